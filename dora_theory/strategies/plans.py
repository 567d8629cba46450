"""The ways to plan a batch of many problems, by their command-line names. Loads nothing."""

# What plans a batch, and one line of help for each.
PLANS = {
    "rounds": "the exact optimum for an equal share of N in each of R rounds",
    "stages": "as rounds; N is what is left, and this round spends the part that theory 7.2f plans",
    "committed": "the exact optimum for one batch of N",
    "uniform": "the same for every unsolved problem",
    "round-robin": "to the unsolved problem with the fewest attempts",
    "index": "to the largest value times posterior mean, as if every rollout failed",
    "neyman": "in proportion to √(p(1 - p)), least variance",
    "hora": "the optimum on posteriors Beta(1 + right, 1 + wrong)",
    "knapsack-rl": "Knapsack RL's value p q² of a mixed group",
}

# Those that plan more than one batch.
SEVERAL = ("rounds", "stages")
