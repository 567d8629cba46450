"""What every strategy would have reached on logged rollouts (theory 5.5).

A log goes through these rooms in order: `read` makes records of it, `grade` judges answers, `cut`
makes candidates, `check` says what the log is fit for, `estimate` computes success without bias,
`calibrate` fits κ, `report` shows it. `run` is the whole way, `options` and `result` its ends.
"""
