"""Tables of the documents from recorded results; ``python -m benchmarks.tables`` writes them."""
