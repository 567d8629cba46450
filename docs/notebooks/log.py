# %% [markdown]
# # A log, from file to conclusion
#
# You have a file of scored solutions. What would each strategy have reached on it, and how much should
# you trust the scores? This notebook writes a small log, so that it runs anywhere. Replace its path by
# your own.

# %%
import tempfile
from pathlib import Path

import dora_theory as dt
from dora_theory.replay.synthetic import write_synthetic_log

log = Path(tempfile.mkdtemp()) / "log.jsonl"
_ = write_synthetic_log(log, problems=40, samples=16, seed=0)
print(log.read_text(encoding="utf-8")[:60], "…")

# %% [markdown]
# ## Replay
#
# Each strategy allocates further rollouts to the first steps of the logged solutions. The estimate
# uses every subset of the log, and has no bias where the log suffices.

# %%
result = dt.replay(log, strategies=["temperature", "rebase", "dora"], budgets=[4, 8])
frame = result.to_dataframe()
frame.round(3)

# %% [markdown]
# Each row is a strategy at a budget, with its 95% interval and its paired difference to REBASE:
# pandas does the rest. Where does DORA stand?

# %%
frame.query("strategy == 'dora'").set_index("budget")[
    ["difference", "difference_low", "difference_high"]
].round(3)

# %%
result.plot()

# %% [markdown]
# ## Calibrate κ
#
# κ says how much to trust the scores, and so which apportionment is right: 1/2 is what REBASE's
# rounding assumes.

# %%
fitted = dt.calibrate(log)
for row in fitted.rows():
    print(f"{row['part']:8} {row['mean']:10} κ = {row['concentration']:.2f}")

# %% [markdown]
# ## Conclusion
#
# Two strategies differ if the interval of their paired difference excludes 0. With forty problems few
# differences do, and the conclusion says how many problems would settle each one.

# %%
for sentence in result.conclusion():
    print(sentence)
