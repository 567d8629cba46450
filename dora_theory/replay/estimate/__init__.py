"""Success of a strategy at a budget, without replacement and without bias (theory 5.5)."""
