"""Every public function of arrays: the axes of what it takes and of what it returns.

A name that `dora_theory` exports and that is neither here nor in `ELSEWHERE` fails a test, so that
a new function is tried on all shapes and on all bad values as soon as it is public.
"""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from api_values import VALUES, G

import dora_theory as dt

K, D = 4, 3
SIZES = {"k": K, "g": G, "d": D, "m": 40, "p": 3, "one": 1, "n": 5, "n+1": 6}


class Entry(NamedTuple):
    """A function, the axes of its arguments, its results and its mask, and who stands for whom."""

    call: Callable[..., Any]
    axes: dict[str, str]
    returns: tuple[str, ...]
    masked: str
    likes: dict[str, str] | None = None

    def value(self, argument: str) -> "tuple[Callable[..., np.ndarray], tuple[Any, ...]]":
        """How an argument is made, and what is bad in it."""
        return VALUES[self.like(argument)]

    def like(self, argument: str) -> str:
        """The name in `VALUES` that an argument has the values of."""
        return (self.likes or {}).get(argument, argument)


def _entry(
    name: str,
    axes: str,
    returns: str,
    masked: bool | str = True,
    call: Callable[..., Any] | None = None,
    likes: dict[str, str] | None = None,
    **fixed: Any,
) -> Entry:
    """`axes` as "scores:k budget"; results, in their order, as "k" or "k, , " for `(k)`, (), ()."""
    parts = [part.partition(":")[::2] for part in axes.split(" ") if part]
    named = {argument: of.replace("*", " ") for argument, of in parts}
    # Without the run-time checks of shapes that tests turn on: these are about the errors beneath.
    function = inspect.unwrap(getattr(dt, name))

    def plain(function: Callable[..., Any], **arguments: Any) -> Any:
        return function(**arguments)

    def called(**arguments: Any) -> Any:
        return (call or plain)(function, **arguments, **fixed)

    leaves = tuple(part.strip().replace("*", " ") for part in returns.split(","))
    mask = {True: "k", False: ""}.get(masked, masked) if isinstance(masked, bool) else masked
    return Entry(called, named, leaves, str(mask).replace("*", " "), likes)


def _of_set(function: Callable[..., Any], **arguments: Any) -> Any:
    """A call with the prior made of its parts."""
    if "chance" in arguments:
        prior: Any = dt.KnownPrior(arguments.pop("chance"))
    else:
        prior = dt.BetaPrior(arguments.pop("alpha"), arguments.pop("beta"))
    return function(prior=prior, **arguments)


def _of_betas(function: Callable[..., Any], **arguments: Any) -> Any:
    """A call with a `BetaPrior` for weights and concentration."""
    prior = dt.BetaPrior(arguments.pop("alpha"), arguments.pop("beta"))
    return function(weights=prior, concentration=None, **arguments)


def _of_one(function: Callable[..., Any], **arguments: Any) -> Any:
    """The same for functions of each problem alone: a batch of sets of one."""
    whole = {name: arguments.pop(name) for name in ("depth", "log_price") if name in arguments}
    own = {"alpha", "beta", "allocation", "mask"}
    wide = {
        name: x if x is None else x[..., None, :] if name in own else x[..., None]
        for name, x in arguments.items()
    }
    found = _of_set(function, **wide, **whole)
    return jax.tree.map(lambda x: x[..., 0] if x.shape[-1] == 1 else x[..., 0, :], found)


def _prior(alpha: Any, beta: Any, allocation: Any) -> Any:
    return dt.BetaPrior(alpha, beta).after_failures(allocation)


def _optimize(budget: Any, initial: Any, mask: Any = None) -> Any:
    w = np.array([0.4, 0.3, 0.2, 0.1], np.float32)
    return inspect.unwrap(dt.optimize_allocation)(
        lambda b: (w * jax.numpy.log(1 + b)).sum(-1),
        budget,
        K,
        initial=initial,
        mask=mask,
        separable=True,
        steps=2,
        refinements=2,
        max_exchanges=2,
    )


def _set(name: str, axes: str, returns: str, **fixed: Any) -> Entry:
    axes = f"values:p alpha:p*k beta:p*k {axes}"
    return _entry(name, axes, returns, "p*k", _of_set, {"values": "worth"}, **fixed)


_FLOOR = "min_rollouts:p max_rollouts:p"
_RULE, _PROBLEM = "scores:k budget", "weights:k concentration budget"
_SPENT = "weights:k concentration allocation:k"
_GROUPS = "direction_weights:g directions:k concentration"
# Q on any scale: what is bad is NaN, infinite or negative.
_ANY_SCALE = {"direction_weights": "quality"}
_T = "quality_temperature similarity_temperature"
TABLE = {
    "affinity": _entry("affinity", "similarity:k*k similarity_temperature", "k*k"),
    "apportion": _entry("apportion", "weights:k budget", "k"),
    "beam_allocation": _entry("beam_allocation", _RULE, "k"),
    "best_of_n_accuracy": _entry(
        "best_of_n_accuracy",
        "weights:k concentration allocation:k separation right_scale wrong_scale",
        "",
        nodes=40,
        max_rollouts=4,
    ),
    "candidate_log_failure": _entry("candidate_log_failure", _SPENT, "k"),
    "certificate": _entry("certificate", _SPENT, ", "),
    "copula_correlation": _entry(
        "copula_correlation", "similarity:k*k similarity_temperature", "k*k, "
    ),
    **{
        name: _entry(name, "weights:k correlation:k*k concentration budget", "k")
        for name in (
            "copula_moment_allocation",
            "determinantal_allocation",
            "expectation_allocation",
            "pair_divisor_allocation",
            "root_weight_allocation",
            "shared_divisor_allocation",
        )
    },
    "moment_divisor_allocation": _entry(
        "moment_divisor_allocation", "means:k second_moments:k*k budget", "k"
    ),
    "root_weights": _entry("root_weights", "weights:k correlation:k*k", "k, , "),
    "correlated_allocation": _entry(
        "correlated_allocation", f"{_GROUPS} within_concentration budget", "k", points=16
    ),
    "correlated_allocation.quadrature": _entry(
        "correlated_allocation", f"{_GROUPS} within_concentration budget", "k", method="quadrature"
    ),
    "cost_allocation": _entry(
        "cost_allocation", "weights:k concentration costs:k cost_budget", "k, , , "
    ),
    "cosine_similarity": _entry("cosine_similarity", "embeddings:k*d", "k*k"),
    "direction_allocation": _entry("direction_allocation", f"{_GROUPS} budget", "k"),
    "direction_mass": _entry(
        "direction_mass", "direction_weights:g sizes:g theta", "g", False, likes=_ANY_SCALE
    ),
    "direction_totals": _entry("direction_totals", "values:k directions:k", "g", num_directions=G),
    "direction_weights": _entry(
        "direction_weights", "scores:k directions:k quality_temperature", "g", num_directions=G
    ),
    "dora_allocation": _entry("dora_allocation", f"{_RULE} embeddings:k*d {_T}", "k"),
    "dora_weights": _entry("dora_weights", f"scores:k embeddings:k*d {_T}", "k"),
    "dvts_allocation": _entry("dvts_allocation", _RULE, "k"),
    "hierarchical_log_failure": _entry(
        "hierarchical_log_failure",
        f"{_GROUPS} within_concentration allocation:k",
        "",
        points=16,
    ),
    "hierarchical_log_failure.quadrature": _entry(
        "hierarchical_log_failure",
        f"{_GROUPS} within_concentration allocation:k",
        "",
        method="quadrature",
    ),
    "is_optimal": _entry("is_optimal", f"{_SPENT} budget", ""),
    "kl_divergence": _entry("kl_divergence", "p:g q:g", "", False),
    "sample_log_beta": _entry(
        "sample_log_beta",
        "alpha:k beta:k",
        "samples k, samples k",
        False,
        key=jax.random.key(0),
        num_samples=2,
    ),
    "log_failure": _entry("log_failure", _SPENT, ""),
    "log_failure.BetaPrior": _entry(
        "log_failure", "alpha:k beta:k allocation:k", "", call=_of_betas
    ),
    "sample_log_gamma": _entry(
        "sample_log_gamma", "shape:k", "samples k", False, key=jax.random.key(0), num_samples=2
    ),
    "magnitude_allocation": _entry("magnitude_allocation", f"{_RULE} embeddings:k*d {_T}", "k"),
    "magnitude_theta": _entry(
        "magnitude_theta", "similarity_within similarity_between similarity_temperature", "", False
    ),
    "magnitude_weighting": _entry(
        "magnitude_weighting", "embeddings:k*d similarity_temperature ridge", "k"
    ),
    "magnitude_weighting_from_similarity": _entry(
        "magnitude_weighting_from_similarity", "similarity:k*k similarity_temperature ridge", "k"
    ),
    "noise_inflation": _entry("noise_inflation", "noise quality_temperature sizes", ", ", False),
    "net_value_order": _entry(
        "net_value_order",
        "weights:k concentration costs:k value",
        "k, m, , , ",
        max_rollouts=SIZES["m"],
    ),
    "optimal_allocation": _entry("optimal_allocation", _PROBLEM, "k"),
    "optimal_allocation.BetaPrior": _entry(
        "optimal_allocation", "alpha:k beta:k budget", "k", call=_of_betas
    ),
    "optimal_set": _entry("optimal_set", _PROBLEM, "k, k, "),
    "optimize_allocation": Entry(
        _optimize, {"budget": "", "initial": "k"}, ("k", "", "k", "", "", "", ""), "k"
    ),
    "priorities": _entry("priorities", _SPENT, "k"),
    "quality_weights": _entry("quality_weights", "scores:k quality_temperature", "k"),
    "rebase_allocation": _entry("rebase_allocation", f"{_RULE} quality_temperature", "k"),
    "rebase_sequential_allocation": _entry(
        "rebase_sequential_allocation", f"{_RULE} quality_temperature", "k"
    ),
    "regret_of_concentration": _entry(
        "regret_of_concentration", "weights:k assumed concentration budget", ""
    ),
    "rollouts_to_match": _entry(
        "rollouts_to_match", "direction_weights:g shares:g concentration budget", "", False
    ),
    "round_allocation": _entry("round_allocation", "weights:k budget", "k"),
    "rounded_waterfill_allocation": _entry("rounded_waterfill_allocation", _PROBLEM, "k"),
    "sequential_ceiling_allocation": _entry(
        "sequential_ceiling_allocation", "weights:k budget", "k"
    ),
    "sharpened_quality": _entry(
        "sharpened_quality", "direction_weights:g rounds", "g", False, likes=_ANY_SCALE
    ),
    "shifted_linear_allocation": _entry("shifted_linear_allocation", _PROBLEM, "k"),
    "similarity_theta": _entry(
        "similarity_theta",
        "num_candidates similarity_within similarity_between similarity_temperature",
        "",
        False,
    ),
    "smallest_budget": _entry("smallest_budget", "weights:k concentration target", ", "),
    "solution_level_shares": _entry(
        "solution_level_shares", "direction_weights:g sizes:g", "g", False, likes=_ANY_SCALE
    ),
    "specht_ratio": _entry("specht_ratio", "imbalance", "", False),
    "spread_evenly": _entry("spread_evenly", "totals:g directions:k", "k"),
    "streamed_magnitude_weighting": _entry(
        "streamed_magnitude_weighting",
        "embeddings:k*d similarity_temperature ridge",
        "k, , ",
        max_iterations=20,
    ),
    "success_probability": _entry("success_probability", _SPENT, ""),
    "temperature_allocation": _entry("temperature_allocation", _RULE, "k"),
    "uniqueness": _entry("uniqueness", "embeddings:k*d similarity_temperature", "k"),
    "uniqueness_from_similarity": _entry(
        "uniqueness_from_similarity", "similarity:k*k similarity_temperature", "k"
    ),
    "verifier_ceiling": _entry(
        "verifier_ceiling", "weights:k concentration true_positive false_positive", "k"
    ),
    "verifier_order": _entry(
        "verifier_order",
        "weights:k concentration true_positive false_positive penalty no_answer",
        "m, k, m, m",
        budget=SIZES["m"],
    ),
    "verifier_outcome": _entry(
        "verifier_outcome",
        "weights:k concentration true_positive false_positive penalty no_answer",
        ", , , ",
        order=np.array([0, 1, 0, -1]),
    ),
    "waterfill_allocation": _entry("waterfill_allocation", _PROBLEM, "k"),
    # Methods of what is exported.
    "BetaPrior": Entry(_prior, {"alpha": "k", "beta": "k", "allocation": "k"}, ("k", "k"), ""),
    "BetaPrior.from_quality": Entry(
        lambda **x: inspect.unwrap(dt.BetaPrior.from_quality.__func__)(dt.BetaPrior, **x),
        {"weights": "k", "concentration": ""},
        ("k", "k"),
        "k",
    ),
    # A batch of these is one of sets of problems, which share a budget.
    "adaptive_bound": _set("adaptive_bound", "", ", ", total=5),
    "allocate_problems": _set("allocate_problems", f"total {_FLOOR}", "p, p*k, , "),
    "allocate_problems.costs": _set("allocate_problems", "total costs:p", "p, p*k, , "),
    "allocate_problems.known": _entry(
        "allocate_problems",
        f"values:p chance:p total {_FLOOR}",
        "p, p*one, , ",
        False,
        _of_set,
        {"values": "worth"},
    ),
    "count_at_price": _entry(
        "count_at_price", "values alpha:k beta:k log_price", "", True, _of_one, {"values": "worth"}
    ),
    "dual_bound": _set("dual_bound", "total log_price", ""),
    "expected_value": _entry(
        "expected_value",
        "values alpha:k beta:k allocation:k",
        "",
        True,
        _of_one,
        {"values": "worth"},
    ),
    "hora_allocation": _entry("hora_allocation", f"right:p attempts:p total {_FLOOR}", "p", False),
    "index_allocation": _set("index_allocation", f"total {_FLOOR}", "p*k"),
    "index_policy": _set("index_policy", "", ", "),
    "is_optimal_across": _set("is_optimal_across", "rollouts:p", ""),
    "knapsack_rl_allocation": _entry(
        "knapsack_rl_allocation", f"chance:p total {_FLOOR}", "p", False
    ),
    "level_allocation": _entry("level_allocation", f"attempts:p total {_FLOOR}", "p", False),
    "neyman_allocation": _entry("neyman_allocation", f"chance:p total {_FLOOR}", "p", False),
    "optimal_problem_set": _set("optimal_problem_set", f"total {_FLOOR}", "p, p, "),
    "problem_certificate": _set("problem_certificate", "rollouts:p", ", "),
    "problem_hazards": _entry(
        "problem_hazards", "alpha:k beta:k", "n, n, n+1", True, _of_one, depth=5
    ),
    "rounds_bound": _set("rounds_bound", "", "", total=5, rounds=2, price=0.1, depth=4),
    "rounds_plan": _set("rounds_plan", "multiplicity:p", "p, , , ", total=5, rounds=2, depth=4),
    # Laws of scale.
    "coverage_cost": _entry("coverage_cost", "alpha beta depth", "", False),
    "dora_constant": _entry("dora_constant", "weights:k concentration", "", False),
    "price_of_not_knowing": _entry(
        "price_of_not_knowing", "alpha", "", False, likes={"alpha": "target"}
    ),
    "price_of_not_looking": _entry(
        "price_of_not_looking", "alpha", "", False, likes={"alpha": "target"}
    ),
    "saving_factor": _entry("saving_factor", "alpha beta depth", "", False),
}

LOOPS_UNDER_VMAP = {
    "allocate_problems",
    "cost_allocation",
    "count_at_price",
    "dual_bound",
    "hora_allocation",
    "index_allocation",
    "is_optimal_across",
    "optimal_problem_set",
    "problem_certificate",
    "smallest_budget",
    "streamed_magnitude_weighting",
}

# What takes a `BetaPrior`, which has no mask: host values of padding are checked with it.
OF_PRIOR = {name for name, entry in TABLE.items() if "alpha" in entry.axes and entry.masked}

# What is exported and is not a function of batches, and why.
ELSEWHERE = {
    "__version__": "a text",
    "check": "returns nothing, has a test of its own",
    "hard_directions": "one problem, on the host",
    "mean_interval proportion_interval difference_interval": "statistics of a sample, on the host",
    "simulate simulate_until rollouts_lost draw_problems": "take a population",
    "allocate calibrate game24 plan plots replay search verify": "take containers, files or claims",
    "replay_across AcrossOptions AcrossResult": "take a file, or come of one",
    "replay_metrics MetricsResult": "take a file, or come of one",
    "run_sweep read_sweep read_store read_sweep_results": "files",
    "cache_compiled": "a folder",
    "bias_report BiasReport": "one problem, on the host",
    "StoredSweep": "a result",
    "rule_claim": "a rule",
    "simulate_benchmark Difficulty BenchmarkSimulation": "take a population, on the host",
    "simulate_families FAMILIES Family FamilySimulation": "take a population, on the host",
    "preset PRESETS Preset Population Problems Sweep": "descriptions",
    "KnownPrior Options ReplayOptions STRATEGIES Strategy Tree": "descriptions",
    "BetaDraws Certificate Estimate OptimalSet Optimized Simulation": "results",
    "g_pass majority_at pass_at pass_hat": "statistics of a sample, on the host",
    "confidence_bound_allocation thompson_failure ucb1_allocation": "rules to compare with",
    "CostAllocation NetValue SmallestBudget VerifierOutcome VerifierPlan": "results",
    "AdaptiveBound BetaFit CalibrationResult Claim Exponent IdenticalRounds LomaxRounds": "results",
    "Plan PlanState ProblemAllocation ProblemSet ReplayResult RoundRobinReplay": "results",
    "RoundsPlan SearchResult Step StreamedWeighting Tapes Verdicts": "results",
    "CopulaCorrelation KernelLength RootWeights": "results",
    "ConfidenceMap fit_confidence_map": "one fit to all candidates of a log, on the host",
    "fit_similarity_temperature": "one fit to all problems of a batch",
    "copula_draws copula_log_moments copula_prior": "a key; tests/model/test_copula.py",
    "Certified ExactAllocation FailureEstimate JointBound JointCertificate JointPrior": "results",
    # A batch is one of priors: tests/allocation/test_joint.py has batches, jit and bad values.
    "certify draws_allocation draws_failure exact_allocation frank_wolfe_gap": "joint priors",
    "joint_allocation joint_certificate joint_log_failure lattice_bound prefix_bound": "same",
    "relaxed_bound": "joint priors",
    "adaptive_value adaptive_value_estimate fewest_rollouts": "one set of problems, on the host",
    "exponent_hazard_line exponent_slope fit_beta replay_round_robin": "one log, on the host",
    "depth_at_coverage identical_rounds lomax_rounds": "numbers, on the host",
    "rounds_exponent split_shares": "numbers, on the host",
}

# Above 1 is no quality, but a weight on any scale.
ANY_SCALE = "apportion", "sequential_ceiling_allocation"


def core(axes: str) -> tuple[int, ...]:
    return tuple(SIZES[axis] for axis in axes.split())


def arguments(
    entry: Entry, batches: dict[str, tuple[int, ...]] | tuple[int, ...], seed: int = 0
) -> dict[str, np.ndarray]:
    """Sound values, of float32 and int32, each with its own batch shape; a mask if it has one."""
    rng = np.random.default_rng(seed)
    made = {}
    for name, axes in entry.axes.items():
        batch = batches if isinstance(batches, tuple) else batches.get(name, ())
        x = entry.value(name)[0](rng, (*batch, *core(axes)))
        made[name] = np.asarray(x, np.float32 if np.issubdtype(x.dtype, np.floating) else None)
    if entry.masked:
        batch = batches if isinstance(batches, tuple) else batches.get("mask", ())
        mask = np.broadcast_to(np.arange(K) < K - 1, (*batch, *core(entry.masked))).copy()
        made["mask"] = mask
        # Padding has no rollouts.
        if "allocation" in made:
            made["allocation"][..., K - 1] = 0
    return made


def leaves(result: Any) -> list[Any]:
    return jax.tree.leaves(result)
