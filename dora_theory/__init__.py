"""dora-theory: where should the next rollout go, and can it be proved?

This page is the index of the whole: what is listed here is public, and nothing else is. Names are
loaded when they are first used, so that `import dora_theory` itself costs nothing.

The dtype is JAX's own: unless `jax_enable_x64` is on, float64 arrays of NumPy are rounded to
float32 without a warning, as by `jax.numpy`, and what is returned is float32.
"""

from importlib import import_module
from typing import Any

# module → its public names, sorted.
_PUBLIC = {
    "allocation.across": (
        "ProblemAllocation",
        "ProblemSet",
        "allocate_problems",
        "count_at_price",
        "dual_bound",
        "expected_value",
        "fewest_rollouts",
        "is_optimal_across",
        "optimal_problem_set",
        "problem_certificate",
    ),
    "allocation.adaptive": (
        "AdaptiveBound",
        "Step",
        "Tapes",
        "adaptive_bound",
        "adaptive_value",
        "adaptive_value_estimate",
        "index_allocation",
        "index_policy",
        "problem_hazards",
    ),
    "allocation.exponents": (
        "BetaFit",
        "Exponent",
        "RoundRobinReplay",
        "exponent_hazard_line",
        "exponent_slope",
        "fit_beta",
        "replay_round_robin",
    ),
    "allocation.hierarchical": (
        "correlated_allocation",
        "direction_allocation",
        "hierarchical_log_failure",
        "spread_evenly",
    ),
    "allocation.literature": (
        "hora_allocation",
        "knapsack_rl_allocation",
        "level_allocation",
        "neyman_allocation",
    ),
    "allocation.optimal": (
        "Certificate",
        "OptimalSet",
        "apportion",
        "certificate",
        "is_optimal",
        "optimal_allocation",
        "optimal_allocation_beta",
        "optimal_set",
    ),
    "allocation.optimize": ("Optimised", "optimise_allocation"),
    "allocation.rules": (
        "beam_allocation",
        "dora_allocation",
        "dvts_allocation",
        "magnitude_allocation",
        "rebase_allocation",
        "rebase_sequential_allocation",
        "round_allocation",
        "sequential_ceiling_allocation",
        "temperature_allocation",
    ),
    "allocation.waterfill": (
        "rounded_waterfill_allocation",
        "shifted_linear_allocation",
        "waterfill_allocation",
    ),
    "bias": (
        "direction_mass",
        "kl_divergence",
        "magnitude_theta",
        "noise_inflation",
        "regret_of_concentration",
        "rollouts_to_match",
        "sharpened_quality",
        "similarity_theta",
        "solution_level_shares",
        "specht_ratio",
    ),
    "io.store": ("read_store",),
    "kernels.beta_sampler": ("BetaDraws", "sample_log_beta", "sample_log_gamma"),
    "model.clustering": ("hard_directions",),
    "model.directions": ("direction_totals", "direction_weights"),
    "model.magnitude": ("magnitude_weighting", "magnitude_weighting_from_similarity"),
    "model.objective": (
        "candidate_log_failure",
        "log_failure",
        "log_failure_beta",
        "priorities",
        "success_probability",
    ),
    "model.priors": ("BetaPrior", "HierarchicalPrior", "KnownPrior"),
    "model.similarity": (
        "affinity",
        "cosine_similarity",
        "dora_weights",
        "quality_weights",
        "uniqueness",
        "uniqueness_from_similarity",
    ),
    "model.streamed_magnitude": ("StreamedWeighting", "streamed_magnitude_weighting"),
    "planning": ("Plan", "PlanState", "plan"),
    "simulation.contenders": ("Settings",),
    "simulation.intervals": (
        "Estimate",
        "difference_interval",
        "mean_interval",
        "proportion_interval",
    ),
    "simulation.montecarlo": ("Simulation", "rollouts_lost", "simulate", "simulate_until"),
    "simulation.populations": ("Population", "Problems", "draw_problems"),
    "simulation.presets": ("PRESETS", "Preset", "preset"),
    "simulation.sweep_files": ("read_sweep",),
    "simulation.sweeps": ("Sweep", "run_sweep"),
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}

__version__ = "0.1.0"
__all__ = sorted([*_HOME, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'dora_theory' has no attribute {name!r}")
    value = getattr(import_module(f"dora_theory.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
