"""Success of a strategy at a budget, without replacement and without bias (theory 5.5).

`estimator` is the estimate itself, `grouping` batches its problems, `policies` allocates, `ties`
averages over orders, `intervals` bootstraps; `votes`, `trees`, `metrics` and `certified` are what
else is estimated.
"""
