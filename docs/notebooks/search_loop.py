# %% [markdown]
# # A rule of your own in a search loop
#
# A rule takes problems and a budget, and returns integers or weights. The same function works in
# `dt.allocate`, `dt.simulate`, `dt.replay` and `dt.search`.

# %%
import jax
import numpy as np

import dora_theory as dt

# %% [markdown]
# ## The rule
#
# This rule is DORA with a floor: half of the weight is spread evenly. It returns weights, which the
# toolkit apportions by Webster's method, so that the budget is kept exactly.


# %%
def careful(problems, budget, options):
    """Half DORA, half even."""
    dora = dt.dora_weights(
        problems.scores,
        problems.embeddings,
        quality_temperature=options.quality_temperature,
        similarity_temperature=options.similarity_temperature,
        mask=problems.mask,
    )
    even = problems.mask / problems.mask.sum(-1, keepdims=True)
    return (dora + even) / 2


rule = dt.Strategy("careful", careful, geometry=True)

# %% [markdown]
# ## One step
#
# Two of the four candidates are near-copies.

# %%
problems = dt.Problems(
    scores=np.array([[0.9, 0.8, 0.8, 0.5]]),
    embeddings=np.array([[[1, 0, 0], [0, 1, 0], [0, 1, 0.01], [0, 0, 1]]]),
    mask=np.ones((1, 4), bool),
)
for strategy in ("rebase", "dora", rule):
    name = strategy if isinstance(strategy, str) else strategy.name
    print(f"{name:8} {np.asarray(dt.allocate(problems, strategy, 16))[0]}")

# %% [markdown]
# ## A whole search
#
# `dt.search` runs Algorithm 1 on a synthetic tree, every strategy on the same problems and random
# numbers. Put your own loop in its place: the only line that changes is the one that allocates.

# %%
world = dt.Tree(steps=4, dimension=8)
found = dt.search(
    world, ["rebase", "dora", rule], 16, key=jax.random.key(0), num_problems=32, repetitions=4
)
print("rule      metric        mean ± standard error")
for row in found.rows():
    if row["metric"] in ("weighted_vote", "pass_rate"):
        print(f"{row['strategy']:9} {row['metric']:13} {row['mean']:.2f} ± {row['error']:.2f}")
