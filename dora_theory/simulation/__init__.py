"""Synthetic problems and Monte Carlo.

`populations` draws problems, `presets` holds populations fitted to real logs, `outcomes` and
`montecarlo` estimate success and regret, `intervals` says how exactly, `sweeps` runs a grid into a
store that resumes. May import all of the theory, and no command.
"""
