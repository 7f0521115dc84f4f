"""What the test vectors are, and why each is there; ``make.py`` writes them."""
