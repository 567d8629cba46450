"""From qualities to integer rollouts.

`optimal` is the exact optimum and its certificate (theory 2.1-2.2), `rules` the rules of the paper
(eq. 1-4, 13), `waterfill` the real-valued relaxation (theory 2.4-2.5), `hierarchical` the optimum
over directions and correlated candidates (theory 5.1), `optimize` any objective. One budget for
many problems (theory 7): `across` the committed optimum (by `prices`, then `exchange`), `adaptive`
the index policy, `rounds` batches between the two, `scaling` their laws, `literature` the rules of
others, `exponents` what counts say of difficulty. May import the model and kernels.
"""
