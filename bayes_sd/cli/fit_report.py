"""What ``fit`` prints: what was learned, how well it fits, what was left out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes_sd.cli.page import Page

if TYPE_CHECKING:
    from bayes_sd.sample.fit import FitResult

CI = 0.9
MOST_SOURCES = 10
"""Sources that the page shows unless it is asked for all."""
THIN = 8
"""Every eighth draw tells fit error and coverage well enough."""


@dataclass(frozen=True)
class FitReport:
    """Summary of a fit.

    Attributes
    ----------
    path : Path
    stages : DataFrame
        Stage costs per deployment: median and 90 % interval, ms (prefill per 1,000 prompt tokens; verify step at no
        load; what one more request adds to it at the typical context).
    accuracy, by_source : DataFrame
        Fit error and coverage per source and hardware, and per source.
    rules : list of str
        What each rule that had something to do left out, filled or changed.
    rows : (int, int)
        Rows read, and rows that the rules kept.
    gate, family, n : convergence, family, observations
    """

    path: Path
    stages: pd.DataFrame
    accuracy: pd.DataFrame
    by_source: pd.DataFrame
    rules: list[str]
    rows: tuple[int, int]
    gate: dict[str, Any]
    family: str
    n: int

    def to_dict(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        return {
            "path": str(self.path),
            "family": self.family,
            "observations": self.n,
            "gate": self.gate,
            "accuracy": self.accuracy.to_dict(orient="records"),
            "stages": self.stages.to_dict(orient="records"),
        }

    def print(self, whole: bool = False) -> None:
        """Print the verdict, what was used, and how well it fits.

        Parameters
        ----------
        whole : bool
            Also every source by hardware, and the stage costs of every deployment.
        """
        page = Page(explain=whole)
        page.answer(self._verdict())
        page.say(self._used())
        page.table(
            f"Predictions of the rows that were fitted: error and share in the {CI:.0%} interval, %",
            (
                "source",
                *(["hardware"] if whole else []),
                "speculating",
                "rows",
                "error %",
                "bias %",
                "inside %",
            ),
            [_cells(row, whole) for row in self._accuracy(whole)],
            left=3 if whole else 2,
        )
        hidden = 0 if whole else self.by_source["source"].nunique() - MOST_SOURCES
        if hidden > 0:
            page.lines(f"{hidden} sources with fewer rows, and each by hardware: --table.")
        page.notes("Rules", self.rules)
        if whole:
            head = ("deployment", *self.stages.columns[1:])
            page.table(
                "Stage costs in ms, median [90 % interval]", head, self.stages.astype(str).to_numpy(), left=1
            )
        page.print()

    def _accuracy(self, whole: bool) -> list[dict[Any, Any]]:
        if whole:
            return self.accuracy.to_dict(orient="records")
        largest = self.by_source.groupby("source")["rows"].sum().nlargest(MOST_SOURCES).index
        return self.by_source[self.by_source["source"].isin(largest)].to_dict(orient="records")

    def _used(self) -> str:
        read, kept = self.rows
        same = f", {self.n:,} after repeats of a measurement were averaged" if self.n != kept else ""
        return f"{read:,} rows read, {kept:,} used by the rules below{same}; {len(self.stages)} deployments."

    def _verdict(self) -> str:
        gate = self.gate
        numbers = (
            f"R-hat ≤ {gate['max_rhat']:.3f}, effective sample size ≥ {min(gate['min_ess_bulk'], gate['min_ess_tail']):.0f}, "
            f"{gate['divergences']} divergences, E-BFMI ≥ {gate['min_bfmi']:.2f}"
        )
        if gate["passed"]:
            return f"Converged ({numbers}). Saved {self.path}."
        return (
            f"NOT CONVERGED: {'; '.join(gate['failures'])}. Saved {self.path}, but other commands refuse it unless told "
            "--accept-unconverged. Fit again with more --tune and --draws."
        )


def _cells(row: dict[Any, Any], whole: bool) -> list[str]:
    first = [row["source"], *([row["hardware"]] if whole else []), row["speculating"], str(row["rows"])]
    return [*first, *(f"{row[name]:.1f}" for name in ("median_error", "bias")), f"{row['coverage']:.0f}"]


def fit_report(result: FitResult, path: Path) -> FitReport:
    """Summarise a fit.

    Parameters
    ----------
    result : FitResult
    path : Path
        Where it was saved.

    Returns
    -------
    FitReport
    """
    posterior, report = result.posterior, result.report
    errors = fitted_errors(posterior)
    return FitReport(
        path=path,
        stages=stage_costs(posterior),
        accuracy=by_group(errors, ["source", "hardware", "speculating"]),
        by_source=by_group(errors, ["source", "speculating"]),
        rules=[" ".join(line.split()) for line in str(report).splitlines()[1:]],
        rows=(report.total, report.kept),
        gate=posterior.about["gate"],
        family=posterior.about["family"],
        n=posterior.about["n_observations"],
    )


def stage_costs(posterior) -> pd.DataFrame:
    """Summarise the stage costs of each deployment.

    Parameters
    ----------
    posterior : Posterior

    Returns
    -------
    DataFrame
        Strings "median [lower, upper]" in ms.
    """
    names = [str(c) for c in posterior.tree["posterior"]["coefficient"].to_numpy()]
    cost = np.exp(posterior.draws("log_cost")) * 1e3
    get = {name: cost[:, i] for i, name in enumerate(names)}
    measured = posterior.about["measured"]
    context = np.array([np.mean(m["prompt"]) + 0.5 * np.mean(m["output"]) for m in measured])
    expert = get.get("expert", 0.0 * get["verify"])
    sparse = posterior.levels.roofline["n_experts"] > 0
    shown = {
        "prefill / 1k tokens": get["prefill_token"] * 1e3,
        "verify step": get["verify"] + np.where(sparse, expert, 0.0),
        "+ per request": get["request"] + context * get["kv"],
    }
    pairs = posterior.names("pair")
    table = pd.DataFrame({"deployment": [d.key for d in posterior.levels.deployments]})
    for name, values in shown.items():
        table[name] = [interval(v) for v in values.T]
    if pairs:
        draft = np.exp(posterior.draws("log_draft_cost")) * 1e3
        by_deployment = {
            pair.rsplit(" | ", 1)[0]: interval(v) for pair, v in zip(pairs, draft.T, strict=True)
        }
        table["draft step"] = [by_deployment.get(key, "") for key in table["deployment"]]
    return table


def interval(draws: np.ndarray) -> str:
    """Write draws as "median [lower, upper]" with three digits."""
    lower, median, upper = np.quantile(draws, [(1 - CI) / 2, 0.5, (1 + CI) / 2])
    return f"{median:.3g} [{lower:.3g}, {upper:.3g}]"


def fit_accuracy(posterior) -> pd.DataFrame:
    """Compare the fitted rows with their predictions.

    Parameters
    ----------
    posterior : Posterior

    Returns
    -------
    DataFrame
        Per source, hardware and speculation: rows, median and mean absolute error and bias [%], coverage [%] of the
        90 % predictive interval.
    """
    return by_group(fitted_errors(posterior), ["source", "hardware", "speculating"])


def fitted_errors(posterior) -> pd.DataFrame:
    """Give each fitted row's ``source, hardware, speculating``, ``error`` [%] and ``inside`` [%: 0 or 100]."""
    from bayes_sd.forecast.latency import predict

    observed = posterior.observed
    prediction = predict(posterior, observed, seed=1, thin=THIN)
    truth = observed["latency_s"].to_numpy(dtype=float)
    error = 100.0 * (np.median(prediction.measured_s, axis=0) / truth - 1.0)
    low, high = np.quantile(
        prediction.measured_s, [(1 - CI) / 2, (1 + CI) / 2], axis=0, method="inverted_cdf"
    )
    return pd.DataFrame(
        {
            "source": observed["source"],
            "hardware": observed["hardware"],
            "speculating": np.where(observed["k"] > 0, "yes", "no"),
            "error": error,
            "inside": 100.0 * ((low <= truth) & (truth <= high)),
        }
    )


def by_group(errors: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Summarise the errors of groups of rows; columns as :func:`fit_accuracy` gives them."""
    return (
        errors.groupby(by, sort=False)
        .agg(
            rows=("error", "size"),
            median_error=("error", lambda e: float(e.abs().median())),
            # Where the median draw has no steady state there is no error to average.
            mean_error=("error", lambda e: float(e[np.isfinite(e)].abs().mean())),
            bias=("error", "median"),
            coverage=("inside", "mean"),
        )
        .reset_index()
    )
