"""One budget for all problems of a log, replayed without replacement (theory 7.5)."""
