"""The paper's figures, tables and propositions, one module each, and the experiments they need.

`python -m paper_repro.figure3` makes one of them; `dora-theory reproduce` makes all that take no
more than minutes.
"""
