"""From qualities to integer rollouts.

`optimal` is the exact optimum (theory 2.1), `certificate` decides what is (2.2), `rules` has the
rules of the paper (eq. 1-4, 13), `rounding` its own rounding, `waterfill` the real relaxation
(2.4-2.5), `hierarchical` directions and correlated candidates (5.1), `joint` any correlation (8.1),
`optimize` any objective. One budget for many problems (7): `across` the committed optimum (by
`prices`, then `exchange`), `adaptive` the index policy, `rounds` batches between the two, `scaling`
their laws, `literature` the rules of others, `exponents` what counts say of difficulty.
May import the model and kernels.
"""
