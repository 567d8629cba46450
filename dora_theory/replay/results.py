"""Replay and calibration from Python: what the commands of the same names print, as objects."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dora_theory._errors import amount
from dora_theory.io.documents import Document
from dora_theory.replay.across.options import AcrossOptions
from dora_theory.replay.options import ReplayOptions
from dora_theory.replay.workers import workers_at
from dora_theory.strategies.choosing import AnyStrategy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DEFAULT = ReplayOptions()
_ACROSS = AcrossOptions()


class ReplayResult(Document):
    """What every strategy would have reached on one log, see `replay`."""

    def rows(self) -> list[dict[str, Any]]:
        """A row for each strategy and budget, with its paired difference to REBASE."""
        found = []
        for name, of in self.data["strategies"].items():
            paired = self.data["paired"].get(f"{name}-rebase", {"budget": {}})["budget"]
            for budget, cell in of["budget"].items():
                against = paired.get(budget) or {}
                found.append(
                    {
                        "strategy": name,
                        "budget": int(budget),
                        **{key: cell[key] for key in ("success", "low", "high", "clipped")},
                        "difference": against.get("difference"),
                        "difference_low": against.get("low"),
                        "difference_high": against.get("high"),
                    }
                )
        return found

    def conclusion(self) -> list[str]:
        """What the numbers say, in sentences."""
        from dora_theory.replay.report.conclusion import conclusion

        return conclusion(dict(self.data))

    def plot(self) -> "Figure":
        """Success against budget, and the difference to REBASE."""
        from dora_theory.replay.report.kinds import titles_of
        from dora_theory.replay.report.picture import success_against_budget

        return success_against_budget([dict(self.data)], titles_of([self.data]))

    def _title(self) -> str:
        data = self.data
        return (
            f"replay of {data['log']}: {amount(data['problems'], 'problem')}, "
            f"{amount(data['samples'], 'sample')}"
        )


class AcrossResult(Document):
    """One budget for all problems of a log, see `replay_across`."""

    def rows(self) -> list[dict[str, Any]]:
        """A row for each policy and budget."""
        return [
            {"policy": policy, "rollouts_per_problem": int(n), **cell}
            for policy, of in self.data["policies"].items()
            for n, cell in of.items()
        ]

    def _title(self) -> str:
        return f"one budget for {amount(self.data['problems'], 'problem')} of {self.data['log']}"


class MetricsResult(Document):
    """Metrics of plain sampling on one log and its verifiers, see `replay_metrics`."""

    def rows(self) -> list[dict[str, Any]]:
        """A row for each metric and k, then for each verifier and measure, by k where it has one.

        The verifier of a metric, and the k of a rate, is None.
        """
        from dora_theory.replay.report.metrics_table import verifiers_of

        none = {"mean": None, "low": None, "high": None}

        def row(verifier: str | None, measure: str, k: str | None, cell: Any) -> dict[str, Any]:
            at = None if k is None else int(k)
            return {"verifier": verifier, "measure": measure, "k": at, **(cell or none)}

        metrics = self.data["answers"] | self.data["metrics"]
        found = [row(None, name, k, cell) for name, of in metrics.items() for k, cell in of.items()]
        for name, of in verifiers_of(self.data).items():
            found += [row(name, x, None, of[x]) for x in of if x != "budget"]
            for k, cells in of["budget"].items():
                found += [row(name, measure, k, cell) for measure, cell in cells.items()]
        return found

    def plot(self) -> "Figure":
        """Accuracy against k: stops by each verifier, best of n, and votes."""
        from dora_theory.replay.report.kinds import titles_of
        from dora_theory.replay.report.metrics_picture import accuracy_against_solutions

        return accuracy_against_solutions([self.data], titles_of([self.data]))

    def _title(self) -> str:
        return f"metrics of {amount(self.data['problems'], 'problem')} of {self.data['log']}"


class CalibrationResult(Document):
    """How far the scores of one log can be trusted, see `calibrate`."""

    def rows(self) -> list[dict[str, Any]]:
        """A row for each mean over the whole log, then for each depth and each difficulty: κ."""
        data = self.data
        parts = [("log", mean, fit) for mean, fit in data["concentration"].items()]
        parts += [(f"depth {m}", data["best"], fit) for m, fit in data["depth"].items()]
        parts += [(f"level {m}", data["best"], fit) for m, fit in data["level"].items()]
        return [
            {
                "part": part,
                "mean": mean,
                **{k: v for k, v in fit.items() if not isinstance(v, dict | list)},
            }
            for part, mean, fit in parts
        ]

    def _title(self) -> str:
        return f"calibration of {self.data['log']}"


def replay(
    log: str | Path,
    *,
    strategies: Sequence[AnyStrategy] | None = None,
    budgets: Sequence[int] | None = None,
    options: ReplayOptions = _DEFAULT,
    note: Callable[[str], None] = lambda _: None,
    workers: int | str | None = None,
) -> ReplayResult:
    """Success of every strategy at every budget on a log of scored solutions, without bias.

    Args:
        log: a file or folder that one of the formats reads.
        strategies: names, or rules of your own, see `allocate`; those of the options if None.
        budgets: N, further rollouts of a problem; those of the options if None.
        options: how the log is read, cut and replayed.
        note: called with each remark on the log as soon as it is known; all are in the result.
        workers: how many processes of this machine judge, cut and estimate, or the address of a
            Dask scheduler whose workers do; this process alone if None. The result is the same.

    Returns:
        Means over problems with 95% intervals, and paired differences to REBASE.

    Raises:
        InputError: the log cannot be read, judged or used; an option out of its range.

    Examples:
        >>> import pathlib, tempfile
        >>> from dora_theory.replay.synthetic import write_synthetic_log
        >>> log = pathlib.Path(tempfile.mkdtemp()) / 'log.jsonl'
        >>> _ = write_synthetic_log(log, problems=8, samples=8)
        >>> found = dt.replay(log, strategies=["rebase"], budgets=[4])
        >>> sorted({row['strategy'] for row in found.rows()})
        ['rebase']

    Source: theory 5.5.
    """
    from dora_theory.replay.report.summary import summary
    from dora_theory.replay.run import replay as run

    how = _with(options, strategies, budgets)
    with workers_at(workers) as there:
        return ReplayResult(summary(run(str(log), how, note=note, workers=there)))


def replay_across(
    log: str | Path,
    *,
    across: AcrossOptions = _ACROSS,
    options: ReplayOptions = _DEFAULT,
    note: Callable[[str], None] = lambda _: None,
) -> AcrossResult:
    """Solved problems against one budget for all problems of a log, without replacement.

    Args:
        log: a file or folder that one of the formats reads; scores are not needed.
        across: budgets, coverages, rounds, what priors differ by, thresholds.
        options: how the log is read.
        note: called with each remark on the log as soon as it is known; all are in the result.

    Returns:
        Shares solved by uniform, R rounds, round robin, policies with priors of the log's columns
        and an oracle, with 95% intervals; savings at coverages beside what a fitted Beta predicts;
        and what a stop at a score does, where the log has scores.

    Raises:
        InputError: the log cannot be read, judged or used; an option out of its range.

    Examples:
        >>> import pathlib, tempfile
        >>> from dora_theory.replay.synthetic import write_synthetic_log
        >>> log = pathlib.Path(tempfile.mkdtemp()) / 'log.jsonl'
        >>> _ = write_synthetic_log(log, problems=8, samples=8)
        >>> found = dt.replay_across(log)
        >>> len(found.rows()) > 0
        True

    Source: theory 7.5.
    """
    from dora_theory.replay.across.run import replay_across as run

    return AcrossResult(run(str(log), across, options, note=note))


def replay_metrics(
    log: str | Path,
    *,
    metrics: Sequence[str] = ("pass@k", "pass^k", "majority@k"),
    budgets: Sequence[int] = (),
    accept: Sequence[float] = (),
    share: float = 0.5,
    options: ReplayOptions = _DEFAULT,
    note: Callable[[str], None] = lambda _: None,
) -> MetricsResult:
    """What k plain samples of a log show, and what its verifiers are worth.

    Args:
        log: a file or folder that one of the formats reads; scores are needed for some metrics.
        metrics: of pass@k, pass^k, g-pass@k, majority@k, best-of-n and weighted-vote.
        budgets: k; powers of two up to what is logged of every problem if empty.
        accept: mean step scores from which the verifier accepts; quantiles if empty.
        share: τ of G-pass@k in (0, 1].
        options: how the log is read.
        note: called with each remark on the log as soon as it is known; all are in the result.

    Returns:
        Exact means over all draws of k, with 95% intervals over problems (weighted-vote alone is
        resampled); rates, ceiling, accuracy and cost of thresholds of the scores, of agreement
        with the majority, and of a perfect verifier.

    Raises:
        InputError: an unknown metric, a share outside (0, 1]; the log cannot be read, judged or
            used; k beyond the solutions of a problem; scores are needed and missing.

    Examples:
        >>> import pathlib, tempfile
        >>> from dora_theory.replay.synthetic import write_synthetic_log
        >>> log = pathlib.Path(tempfile.mkdtemp()) / 'log.jsonl'
        >>> _ = write_synthetic_log(log, problems=8, samples=8)
        >>> found = dt.replay_metrics(log, metrics=["pass@k"], budgets=[2])
        >>> len(found.rows()) > 0
        True

    Source: theory 9.3, 9.4.
    """
    from dora_theory.replay.metrics import replay_metrics as run

    found = run(str(log), metrics, budgets, options, accept=accept, share=share, note=note)
    return MetricsResult(found)


def calibrate(
    log: str | Path,
    *,
    depths: Sequence[int] = (1, 2, 3, 4, 6, 8),
    budgets: Sequence[int] = (4, 16),
    options: ReplayOptions = _DEFAULT,
    note: Callable[[str], None] = lambda _: None,
    workers: int | str | None = None,
) -> CalibrationResult:
    """κ of a log of scored solutions: how far its scores can be trusted.

    Args:
        log: a file or folder that one of the formats reads.
        depths: steps after which κ is fitted, beside those of the options.
        budgets: N that are replayed with the fitted κ.
        options: how the log is read and cut.
        note: as `replay`.
        workers: as `replay`.

    Returns:
        κ by maximum likelihood of the beta-binomial, with 95% profile intervals.

    Raises:
        InputError: as `replay`.

    Examples:
        >>> import pathlib, tempfile
        >>> from dora_theory.replay.synthetic import write_synthetic_log
        >>> log = pathlib.Path(tempfile.mkdtemp()) / 'log.jsonl'
        >>> _ = write_synthetic_log(log, problems=8, samples=8)
        >>> found = dt.calibrate(log)
        >>> len(found.rows()) > 0
        True
    """
    from dora_theory.replay.calibrate.fit import calibrate as run

    how = _with(options, None, budgets)
    with workers_at(workers) as there:
        found = run(str(log), how, depths=tuple(depths), note=note, workers=there)
    return CalibrationResult(found)


def _with(
    options: ReplayOptions,
    strategies: Sequence[AnyStrategy] | None,
    budgets: Sequence[int] | None,
) -> ReplayOptions:
    changes: dict[str, Any] = {}
    if strategies is not None:
        # A lone name stays whole, so that it is refused by name and not letter by letter.
        changes["strategies"] = strategies if isinstance(strategies, str) else tuple(strategies)
    if budgets is not None:
        if not isinstance(budgets, Iterable):
            raise TypeError(f"budgets = {budgets!r}: needs a sequence, such as ({budgets!r},)")
        changes |= {"budgets": tuple(budgets), "all_budgets": True}
    return changed(options, **changes) if changes else options
