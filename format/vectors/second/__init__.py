"""A second implementation of the hapistore format, in plain Python, written from the pages of ``format/`` alone.

It exists to show that they suffice and to make the test vectors beside it. It is slow, reads every file whole, and is
used by nothing else. It imports nothing of hapistore's.
"""
