"""What a model says of rows that it was not fitted to: one record a row, and one a choice that was measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

LEVELS = (0.5, 0.8, 0.9, 0.95)
"""Probabilities of the predictive intervals whose coverage is scored."""
POINTS = {"six": "fit_stages", "two": "fit_lines"}
MODELS = ("hierarchical", "no pooling", *POINTS)
KEPT = (
    "source", "deployment", "configuration", "k", "prompt_tokens", "output_tokens", "load_kind", "load_value",
    "latency_s",
)  # fmt: skip
SETTING = ["source", "deployment", "shape", "load_kind", "load_value"]
"""What rows share between which a user chooses: with or without speculation, and how much."""


def tails_of(level: float) -> tuple[float, float]:
    """Give the two probabilities that an equal-tailed interval lies between."""
    return (1.0 - level) / 2.0, (1.0 + level) / 2.0


def blind(frame: pd.DataFrame) -> pd.DataFrame:
    """Leave out every result, so that no model can see an answer; what states E stays."""
    from bayes_sd.measurements.schema import COLUMNS

    stating = {"n_drafts", "n_accepted_tokens"}
    results = {c.name for c in COLUMNS if c.condition == "result"} - stating
    return frame.drop(columns=[c for c in frame if c in results | {"latency_s", "latency_statistic"}])


def crps_log(draws_s: np.ndarray, latency_s: np.ndarray) -> np.ndarray:
    """CRPS of log latency from draws of shape (draw, row): E|X − y| − E|X − X'|/2, the latter unbiased."""
    x = np.sort(np.log(draws_s), axis=0)
    n = len(x)
    weight = (2.0 * np.arange(1, n + 1) - n - 1)[:, None] / (n * (n - 1))
    with np.errstate(invalid="ignore"):
        return np.abs(x - np.log(latency_s)).mean(axis=0) - (weight * x).sum(axis=0)


def row_records(posterior: Any, test: pd.DataFrame, cards: Any, seed: int) -> pd.DataFrame:
    """Predict rows from a posterior.

    Returns
    -------
    DataFrame
        Index of `test`; ``median_s`` of what the row tells of its latency; ``lower_LEVEL, upper_LEVEL`` [s] of a new
        measurement and its ``pit`` (share of predictions at or below what was measured), ``crps``.
    """
    from bayes_sd.forecast import predict

    measured = test["latency_s"].to_numpy(dtype=float)
    drawn = predict(posterior, blind(test), cards, seed=seed)
    columns: dict[str, np.ndarray] = {
        "median_s": np.quantile(drawn.measured_s, 0.5, axis=0, method="inverted_cdf"),
        "pit": np.mean(drawn.measured_s <= measured, axis=0),
        "crps": crps_log(drawn.measured_s, measured),
    }
    for level in LEVELS:
        low, high = np.quantile(drawn.measured_s, tails_of(level), axis=0, method="inverted_cdf")
        columns |= {f"lower_{level:g}": low, f"upper_{level:g}": high}
    return pd.DataFrame(columns, index=test.index)


def point_records(train: pd.DataFrame, test: pd.DataFrame, name: str, cards: Any) -> pd.DataFrame:
    """Fit and predict by the point fit `name`; ``median_s`` and ``crps``, which for a point is the absolute error."""
    from bayes_sd import baseline

    found = getattr(baseline, POINTS[name])(train, cards).predict(blind(test))
    crps = np.abs(np.log(found / test["latency_s"].to_numpy()))
    return pd.DataFrame({"median_s": found, "crps": crps}, index=test.index)


def choices(frame: pd.DataFrame, label: np.ndarray) -> list[pd.DataFrame]:
    """Find the servers and loads that were measured without speculation and with it, the latter held out.

    Parameters
    ----------
    frame : DataFrame
        All rows, from :func:`scoring.splits.with_names`.
    label : array of str, shape (row,)
        Of :class:`scoring.splits.Split`.

    Returns
    -------
    list of DataFrame
        One a choice: the row without speculation first, then one for each way to draft that is held out, with its
        ``label``; ``latency_s`` is the mean over repeats.
    """
    found = []
    labelled = frame.assign(label=label)
    wanted = set(labelled.loc[(frame["k"] > 0) & (label != ""), "deployment"])
    for _, group in labelled[frame["deployment"].isin(wanted)].groupby(SETTING, sort=True):
        ways = group.groupby(["method", "drafter", "k"], sort=False, dropna=False)
        mean = ways["latency_s"].transform(lambda s: np.exp(np.log(s).mean()))
        one = group.assign(latency_s=mean).drop_duplicates(["method", "drafter", "k"])
        one = one[(one["k"] == 0) | (one["label"] != "")].sort_values("k", kind="stable")
        if (one["k"] == 0).sum() == 1 and len(one) > 1:
            found.append(one)
    return found


def choice_records(posterior: Any, found: list[pd.DataFrame], cards: Any, seed: int) -> list[dict[str, Any]]:
    """Say how probable each way of a choice is to be fastest, as to somebody who asks and states no acceptance.

    Returns
    -------
    list of dict
        One a choice: ``split``, ``deployment``, ``k`` and ``latency_s`` of its ways, ``p_best`` likewise; of each but the first
        ``p_faster`` than without speculation and the interval of the speedup, ``lower, median, upper``.
    """
    from bayes_sd.decide.speedup import ratio_of
    from bayes_sd.forecast import predict
    from bayes_sd.measurements.schema import of_role

    if not found:
        return []
    lengths = ["prompt_tokens", "output_tokens"]
    asked = pd.concat([one.assign(**{n: one[n].median() for n in lengths}) for one in found])
    asked = blind(asked).drop(columns=[name for name in of_role("acceptance") if name in asked])
    latency = predict(posterior, asked.reset_index(drop=True), cards, seed=seed).latency_s
    records, start = [], 0
    for one in found:
        own = latency[:, start : start + len(one)]
        start += len(one)
        ratio = ratio_of(own[:, :1], own[:, 1:])
        winner = np.bincount(own.argmin(axis=1), minlength=len(one))
        low, median, high = np.quantile(ratio, [0.05, 0.5, 0.95], axis=0, method="inverted_cdf")
        records.append(
            {
                "split": str(one["label"].iloc[1]),
                "deployment": str(one["deployment"].iloc[0]),
                "load": float(one["load_value"].iloc[0]),
                "k": one["k"].astype(float).tolist(),
                "latency_s": one["latency_s"].tolist(),
                "p_best": (winner / len(own)).tolist(),
                "p_faster": (ratio > 1.0).mean(axis=0).tolist(),
                "lower": low.tolist(),
                "median": median.tolist(),
                "upper": high.tolist(),
            }
        )
    return records


def score_fold(
    frame: pd.DataFrame, label: np.ndarray, model: str, args: dict[str, Any], cards: Any
) -> dict[str, Any]:
    """Fit what is not held out by one model, and record what it says of the rest.

    Parameters
    ----------
    frame : DataFrame
        From :func:`scoring.splits.with_names`.
    label : array of str, shape (row,)
    model : str
        One of :data:`MODELS`.
    args : dict
        ``family``, ``draws``, ``tune``, ``chains``, ``cores``, ``seed``.
    cards : Cards

    Returns
    -------
    dict
        ``rows`` and ``choices`` (lists of records), ``gate`` (empty if passed), ``n_fitted``.
    """
    held = label != ""
    train, test = frame[~held], frame[held]
    about = test[list(KEPT)].assign(split=label[held])
    if model in POINTS:
        rows, chosen, gate = point_records(train, test, model, cards), [], ""
    else:
        from bayes_sd.model.spec import ModelSpec, family_priors
        from bayes_sd.sample.fit import fit_frame
        from bayes_sd.sample.settings import SamplerSettings

        settings = SamplerSettings(**{n: args[n] for n in ("draws", "tune", "chains", "cores", "seed")})
        family = args["family"]
        spec = ModelSpec(family=family, pooled=model == "hierarchical", priors=family_priors(family))
        posterior, verdict = fit_frame(train, spec, settings, cards)
        gate = "; ".join(verdict.failures)
        rows = row_records(posterior, test, cards, args["seed"])
        chosen = choice_records(posterior, choices(frame, label), cards, args["seed"])
    return {
        "rows": about.join(rows).reset_index(drop=True).to_dict("records"),
        "choices": chosen,
        "gate": gate,
        "n_fitted": int((~held).sum()),
    }
