"""Scores from records: of latency by deployment, of probabilities by choice, each with the standard error of its mean.

The rows of one deployment share most of what they are wrong by, so a deployment counts once: its scores are means over its
rows, and a standard error is that of a mean over deployments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from scoring.predictions import LEVELS, MODELS, POINTS
from scoring.splits import ORDER

BINS = (0.0, 0.05, 0.2, 0.5, 0.8, 0.95, 1.0)
"""Edges between which probabilities are put together to see how reliable they are."""
LEAST = 1e-3
"""Probability below which no claim is scored: some hundred draws cannot say less."""
WIDTH = 0.9
"""Interval whose width is told."""


def with_scores(rows: pd.DataFrame) -> pd.DataFrame:
    """Add to rows ``error`` [%], ``width`` (log width of the 90 % interval) and ``in_LEVEL``."""
    measured = rows["latency_s"]
    scored = rows.assign(error=100.0 * (rows["median_s"] / measured - 1.0))
    if "pit" not in rows:
        return scored
    for level in LEVELS:
        low, high = rows[f"lower_{level:g}"], rows[f"upper_{level:g}"]
        inside = (low <= measured) & (measured <= high)
        scored[f"in_{level:g}"] = inside.astype(float).where(low.notna())
    with np.errstate(invalid="ignore"):
        return scored.assign(width=np.log(rows[f"upper_{WIDTH:g}"] / rows[f"lower_{WIDTH:g}"]))


def by_deployment(rows: pd.DataFrame) -> pd.DataFrame:
    """Give the scores of each deployment in each split.

    Parameters
    ----------
    rows : DataFrame
        Records of rows, with ``split`` and ``model``.

    Returns
    -------
    DataFrame
        ``split, model, deployment, rows, predicted``, medians ``median_error`` and ``median_ape`` [%], means ``in_LEVEL``,
        ``width`` and ``crps``; NaN where the model predicts none of the rows.
    """
    scored = with_scores(rows).assign(
        ape=lambda r: r["error"].abs(), predicted=lambda r: np.isfinite(r["median_s"])
    )
    scored.loc[~scored["predicted"], ["error", "ape"]] = np.nan
    means = [c for c in (*(f"in_{level:g}" for level in LEVELS), "width", "crps") if c in scored]
    named = {"rows": ("error", "size"), "predicted": ("predicted", "sum")}
    named |= {"median_error": ("error", "median"), "median_ape": ("ape", "median")}
    finite = scored.replace([np.inf, -np.inf], np.nan)
    groups = finite.groupby(["split", "model", "deployment"], sort=False)
    return groups.agg(**named, **{name: (name, "mean") for name in means}).reset_index()


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Give one line a split and model: means over deployments and their standard errors (columns ``NAME_se``).

    Returns
    -------
    DataFrame
        ``split, model, deployments, rows, predicted``; ``row_ape``, the median error of rows [%]; ``median_ape`` [%],
        ``in_LEVEL``, ``width``, ``crps`` and their ``_se``.
    """
    lines = []
    for (split, model), own in by_deployment(rows).groupby(["split", "model"], sort=False):
        same = rows[(rows["split"] == split) & (rows["model"] == model)]
        error = 100.0 * (same["median_s"] / same["latency_s"] - 1.0).abs()
        line = {
            "split": split,
            "model": model,
            "deployments": len(own),
            "rows": int(own["rows"].sum()),
            "predicted": int(own["predicted"].sum()),
            "row_ape": error[np.isfinite(error)].median(),
        }
        for name in own.columns[own.columns.get_loc("median_ape") :]:
            line[name], line[f"{name}_se"] = mean_and_error(own[name].to_numpy(dtype=float))
        lines.append(line)
    order = {name: i for i, name in enumerate((*ORDER, *MODELS))}
    return pd.DataFrame(lines).sort_values(["split", "model"], key=lambda s: s.map(order), kind="stable")


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Give the mean of the values that are numbers, and its standard error (NaN of a single one)."""
    own = values[np.isfinite(values)]
    if not len(own):
        return float("nan"), float("nan")
    error = own.std(ddof=1) / np.sqrt(len(own)) if len(own) > 1 else float("nan")
    return float(own.mean()), float(error)


def clustered_error(values: np.ndarray, cluster: Sequence[str]) -> float:
    """Standard error of a mean of values of which those of one cluster are not independent (NaN of one cluster)."""
    residual = pd.Series(values - values.mean()).groupby(np.asarray(cluster)).sum().to_numpy()
    n = len(residual)
    return float(np.sqrt((residual**2).sum() * n / (n - 1)) / len(values)) if n > 1 else float("nan")


def faster_records(choices: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Take the speculating ways of choices: ``deployment, load, k, p, faster, measured, inside``, one row each."""
    lines = []
    for one in choices:
        for i, k in enumerate(one["k"][1:]):
            measured = one["latency_s"][0] / one["latency_s"][i + 1]
            inside = one["lower"][i] <= measured <= one["upper"][i]
            line = {"split": one.get("split", ""), "model": one.get("model", ""), "load": one["load"], "k": k}
            line |= {"deployment": one["deployment"], "p": one["p_faster"][i], "measured": measured}
            lines.append(line | {"faster": measured > 1.0, "inside": inside, "median": one["median"][i]})
    return pd.DataFrame(lines)


def score_faster(pairs: pd.DataFrame) -> dict[str, float]:
    """Score P(faster) of pairs, beside a constant: the share of them that were faster, which nobody knows beforehand.

    Parameters
    ----------
    pairs : DataFrame
        From :func:`faster_records`, one or more rows.

    Returns
    -------
    dict
        ``pairs, deployments``; ``base`` (the constant) and ``p`` (mean claim); ``log_loss, brier`` and the constant's, ``base_``;
        ``gain`` and ``gain_se``: by how much the log loss is lower than the constant's, error by deployment; ``inside``:
        share of measured speedups inside their 90 % intervals.
    """
    y, p = pairs["faster"].to_numpy(dtype=float), pairs["p"].to_numpy(dtype=float)
    base = y.mean()
    gain = log_loss(np.full(len(y), base), y) - log_loss(p, y)
    return {
        "pairs": len(y),
        "deployments": pairs["deployment"].nunique(),
        "base": base,
        "p": p.mean(),
        "log_loss": log_loss(p, y).mean(),
        "base_log_loss": log_loss(np.full(len(y), base), y).mean(),
        "gain": gain.mean(),
        "gain_se": clustered_error(gain, pairs["deployment"].tolist()),
        "brier": ((p - y) ** 2).mean(),
        "base_brier": ((base - y) ** 2).mean(),
        "inside": pairs["inside"].mean(),
    }


def log_loss(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Give minus the log of the probability that was given to what happened, in nats, shape of `p`."""
    q = np.clip(p, LEAST, 1.0 - LEAST)
    return -np.where(y > 0, np.log(q), np.log1p(-q))


def reliability(pairs: pd.DataFrame) -> pd.DataFrame:
    """Put pairs with alike claims together: ``claimed`` from–to, ``pairs``, mean ``p``, and ``faster``, the share that were."""
    which = np.clip(np.digitize(pairs["p"], BINS[1:-1]), 0, len(BINS) - 2)
    lines = []
    for i in range(len(BINS) - 1):
        own = pairs[which == i]
        if len(own):
            line = {"claimed": f"{BINS[i]:g}-{BINS[i + 1]:g}", "pairs": len(own), "p": own["p"].mean()}
            lines.append(line | {"faster": own["faster"].mean()})
    return pd.DataFrame(lines)


def score_best(choices: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Score P(best k) of the choices among three ways or more, beside how often each draft length is best among them.

    Returns
    -------
    dict
        ``choices, deployments, ways`` (mean number); ``log_loss`` and ``brier`` (sum over ways), ``hit`` (share whose most
        probable way was fastest), and those of constants, ``base_``; empty without such a choice.
    """
    found = [one for one in choices if len(one["k"]) > 2]
    if not found:
        return {}
    wins: dict[float, float] = {}
    for one in found:
        best = one["k"][int(np.argmin(one["latency_s"]))]
        wins[best] = wins.get(best, 0.0) + 1.0
    scores = []
    for one in found:
        best = int(np.argmin(one["latency_s"]))
        often = np.array([wins.get(k, 0.0) for k in one["k"]])
        line: dict[str, Any] = {"ways": len(often), "deployment": one["deployment"]}
        for prefix, p in (("", np.asarray(one["p_best"])), ("base_", often / often.sum())):
            y = np.arange(len(p)) == best
            line[f"{prefix}log_loss"] = -np.log(max(p[best], LEAST))
            line[f"{prefix}brier"] = ((p - y) ** 2).sum()
            line[f"{prefix}hit"] = float(np.argmax(p) == best)
        scores.append(line)
    table = pd.DataFrame(scores)
    means = table.drop(columns="deployment").mean().to_dict()
    return {"choices": len(table), "deployments": table["deployment"].nunique()} | means


def worst(rows: pd.DataFrame, number: int) -> pd.DataFrame:
    """Give the worst rows of the hierarchical model in each split, and what the stage coefficients say of them."""
    ours = with_scores(rows[rows["model"] == MODELS[0]])
    keys = ["fit", "configuration", "load_value", "latency_s"]
    six = rows.loc[rows["model"] == "six", [*keys, "median_s"]].rename(columns={"median_s": "six_s"})
    both = ours.merge(six.drop_duplicates(keys), on=keys, how="left")
    columns = ["split", "configuration", "load_value", "latency_s", "median_s"]
    columns += [f"lower_{WIDTH:g}", f"upper_{WIDTH:g}", "six_s", "error"]
    order = both["error"].abs().sort_values(ascending=False).index
    chosen = both.loc[order, columns].groupby("split", sort=True).head(number)
    return chosen.sort_values("split", kind="stable")


def is_point(model: str) -> bool:
    """Say whether a model gives no interval."""
    return model in POINTS
