"""What ``fit`` prints: what was learned, how well it fits, what was left out."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from bayes_sd.sample.fit import FitResult

CI = 0.9
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
    accuracy : DataFrame
        Fit error and coverage per source and hardware.
    rules, gate, family, n : what was left out, convergence, family, observations
    """

    path: Path
    stages: pd.DataFrame
    accuracy: pd.DataFrame
    rules: str
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

    def __str__(self) -> str:
        from rich import box
        from rich.console import Console
        from rich.table import Table

        text = io.StringIO()
        console = Console(file=text, width=118, force_terminal=False)
        for title, frame in (
            ("Stage costs in ms, median [90 % interval]", self.stages),
            ("Fit error by source (predictions of the rows that were fitted)", self.accuracy),
        ):
            table = Table(title=title, box=box.SIMPLE, title_justify="left")
            for name in frame.columns:
                table.add_column(
                    name, justify="left" if frame[name].dtype.kind not in "fi" else "right", overflow="fold"
                )
            for row in frame.itertuples(index=False):
                table.add_row(*[f"{v:.1f}" if isinstance(v, float) else str(v) for v in row])
            console.print(table)
        console.print(self.rules, highlight=False, markup=False, soft_wrap=True)
        console.print(self._verdict(), highlight=False, markup=False, soft_wrap=True)
        return text.getvalue().rstrip()

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
    posterior = result.posterior
    return FitReport(
        path=path,
        stages=stage_costs(posterior),
        accuracy=fit_accuracy(posterior),
        rules=str(result.report),
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
    from bayes_sd.forecast.latency import predict

    observed = posterior.observed
    prediction = predict(posterior, observed, seed=1, thin=THIN)
    truth = observed["latency_s"].to_numpy(dtype=float)
    error = 100.0 * (np.median(prediction.latency_s, axis=0) / truth - 1.0)
    low, high = np.quantile(
        prediction.measured_s, [(1 - CI) / 2, (1 + CI) / 2], axis=0, method="inverted_cdf"
    )
    frame = pd.DataFrame(
        {
            "source": observed["source"],
            "hardware": observed["hardware"],
            "speculating": np.where(observed["k"] > 0, "yes", "no"),
            "error": error,
            "inside": 100.0 * ((low <= truth) & (truth <= high)),
        }
    )
    groups = frame.groupby(["source", "hardware", "speculating"], sort=False)
    return groups.agg(
        rows=("error", "size"),
        median_error=("error", lambda e: float(e.abs().median())),
        # Where the median draw has no steady state there is no error to average.
        mean_error=("error", lambda e: float(e[np.isfinite(e)].abs().mean())),
        bias=("error", "median"),
        coverage=("inside", "mean"),
    ).reset_index()
