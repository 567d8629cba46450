"""An interactive page on which the bias of solution-level allocation can be felt (theory 4).

`scene` is a setting, `view` computes what it shows, `charts` and `words` show it, `logged` takes a
problem from a log, and `page` is the notebook that `dora-theory explore` runs.
"""
