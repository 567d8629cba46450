"""What a candidate's chance is, and what rollouts achieve.

`objective` is eq. 5-7, `priors` the Beta prior, `pochhammer` the rising factorial in log space,
`hierarchy` candidates that share a direction (theory 5.1), `quality` the softmax of scores (eq. 4),
`similarity` cosines and uniqueness (eq. 10-12), `weights` DORA's weights (eq. 13), `directions`
pooling and totals by direction,
`clustering` hard directions, `magnitude` and `streamed_magnitude` magnitude weighting (theory 5.6).
May import kernels and checks.
"""
