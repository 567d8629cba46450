"""The numerics, each op's meaning in plain JAX beside its GPU form; `dispatch` picks one.

`divisor` and `level_search` find the N largest priorities w/(κ + r) (theory 2.1), `divisor_pallas`
does so on a GPU; `similarities` streams sums over the similarity matrix (eq. 10-12);
`random_words` and `arithmetic` are what `beta_sampler` draws log Beta variates with; `outcomes`
samples failures (eq. 6). May import the checks.
"""
