# %% [markdown]
# # The bias of counting candidates, for your own parameters
#
# Three directions are equally good, but one of them has twelve candidates, one has three, and one has
# a single candidate. What does each rule spend, and what does it lose? Change the first code cell and
# run the notebook again.

# %%
import jax
import numpy as np

import dora_theory as dt

jax.config.update("jax_enable_x64", True)

sizes = np.array([12, 3, 1])
direction_scores = np.array([0.8, 0.8, 0.8])
similarity_within, similarity_between = 0.95, 0.7
quality_temperature, similarity_temperature = 0.1, 0.01
concentration, budget = 1.0, 32

# %% [markdown]
# ## What each rule spends
#
# REBASE shares the budget by quality, candidate by candidate. DORA multiplies each quality by the
# uniqueness of the candidate. The optimum knows the directions.

# %%
directions = np.repeat(np.arange(sizes.size), sizes)
same = directions[:, None] == directions
similarity = np.where(same, similarity_within, similarity_between)
np.fill_diagonal(similarity, 1.0)

quality = dt.quality_weights(direction_scores, quality_temperature=quality_temperature)
weights = dt.quality_weights(direction_scores[directions], quality_temperature=quality_temperature)
uniqueness = dt.uniqueness_from_similarity(
    similarity, similarity_temperature=similarity_temperature
)
allocations = {
    "REBASE": dt.apportion(weights, budget),
    "DORA": dt.apportion(weights * uniqueness, budget),
    "optimum": dt.direction_allocation(quality, directions, concentration, budget),
}
for name, allocation in allocations.items():
    totals = dt.direction_totals(allocation, directions, sizes.size)
    success = float(dt.success_probability(quality, concentration, totals))
    print(f"{name:8} {np.asarray(totals)} success {success:.4f}")

# %% [markdown]
# ## The price, when rollouts are many
#
# Counting candidates needs exp KL(Q‖Q̂) times the rollouts of the optimum, whatever κ is. The bound over
# all qualities is Specht's ratio of the largest size to the smallest.

# %%
counted = dt.solution_level_shares(quality, sizes)
price = float(np.exp(dt.kl_divergence(quality, counted)))
bound = float(dt.specht_ratio(sizes.max() / sizes.min()))
print(f"REBASE needs {price:.2f} times the rollouts; at most {bound:.2f} times at this imbalance")

# %% [markdown]
# ## The similarity temperature
#
# The bias that DORA leaves is U-shaped in T_s. Too low, and near-copies look different; too high, and
# everything looks alike.

# %%
temperatures = np.array([0.003, 0.01, 0.03, 0.07, 0.1, 0.3, 1.0])
theta = dt.similarity_theta(sizes.sum(), similarity_within, similarity_between, temperatures)
mass = dt.direction_mass(quality, sizes, theta)
bias = dt.kl_divergence(np.broadcast_to(quality, mass.shape), mass)
for t, b in zip(temperatures, np.asarray(bias), strict=True):
    print(f"T_s = {t:<5} bias {b:.3f} {'#' * int(60 * b)}")

# %% [markdown]
# **What to do.** At a cosine of 0.95 within a direction the paper's T_s = 0.01 removes almost none of the
# bias, and T_s = 0.07 removes most of it. Measure the cosine of your own near-copies, and choose T_s by
# this table.
