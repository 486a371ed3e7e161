"""What a capacity plan says, in sentences."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

LIKELY = 0.5


def plan_words(result: xr.Dataset) -> list[str]:
    """Say what was found, one sentence each, the main one first.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.plan.plan`.

    Returns
    -------
    list of str
    """
    words = []
    if "p_more" in result and float(result["promised_rate"].max()) > 0:
        words.append(_comparison(result))
    for name in result["alternative"].to_numpy():
        words += _alternative(result.sel(alternative=name), _called(str(name), result.attrs), result.attrs)
    return words


def plan_caveats(result: xr.Dataset, spread_cv: float | None) -> list[str]:
    """Say what a promise leans on, one sentence each.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.plan.plan`.
    spread_cv : float or None
        Spread of output lengths over their mean that was taken because none was stated; None where one was.

    Returns
    -------
    list of str
    """
    words = []
    for name, new in result.attrs["extrapolates"].items():
        if new:
            words.append(f"Never measured, {_called(name, result.attrs)}: {new}.")
    if spread_cv is not None and re.search(r"p\d", result.attrs["slo"]):
        words.append(
            f"Percentiles hang on how much output lengths vary, which nobody stated: {spread_cv:.0%} of their mean is taken, "
            "and the promise covers the doubt about it. Traffic that varies more keeps it less."
        )
    return words


def _called(name: str, about: dict[str, Any]) -> str:
    return "without speculation" if name == "none" else f"with {about['drafter']} {name.split()[-1]}"


def _alternative(one: xr.Dataset, called: str, about: dict[str, Any]) -> list[str]:
    sure, slo = f"{about['probability']:.0%}", about["slo"]
    promised = float(one["promised_rate"])
    infeasible = float(one["p_infeasible"])
    if promised == 0.0:
        worst = float(one["idle_ratio_band"][1])
        if infeasible > LIKELY:
            return [
                f"Infeasible {called}: even an idle replica misses {slo} (typically {worst:.2g} times it), with probability "
                f"{_share(infeasible)}."
            ]
        return [
            f"No promise {called}: with probability {_share(infeasible)} even an idle replica misses {slo}, which is more than "
            f"a {sure} promise allows."
        ]
    words = [f"One replica {called} holds {slo} up to {promised:.3g} requests/s with probability {sure}."]
    if float(one["p_saturation"]) > LIKELY:
        words.append(f"There saturation binds, not the objective: {called} the server cannot do more.")
    if "promised_replicas" in one:
        replicas, rate = float(one["promised_replicas"]), about["rate_rps"]
        limit = float(one["limit_band"][1])
        said = f"{rate:g} requests/s need {replicas:.0f} replica{'s' if replicas > 1 else ''} ({float(one['gpus']):.0f} GPU"
        said += f"{'s' if float(one['gpus']) > 1 else ''})"
        if rate > limit:
            said += f"; one alone is past saturation at {limit:.3g}"
        if "cost_per_hour" in one:
            said += (
                f"; {float(one['cost_per_hour']):.2f} an hour, {float(one['cost_per_million_tokens']):.3g} "
                "per million output tokens"
            )
        words.append(said + ".")
    return words


def _comparison(result: xr.Dataset) -> str:
    more = float(result["p_more"])
    plain, drafting = (float(v) for v in result["promised_rate"])
    sentence = f"Speculation holds the higher rate with probability {_share(more)}"
    if plain > 0 and drafting > 0:
        sentence += f"; the rate to promise is {drafting / plain:.2f} times that without"
    if "promised_replicas" in result:
        a, b = (float(v) for v in result["promised_replicas"])
        if np.isfinite(a) and np.isfinite(b) and a != b:
            fewer, which = min(a, b), "with" if b < a else "without"
            sentence += f"; fewer replicas are needed {which} it ({fewer:.0f} against {max(a, b):.0f})"
    return sentence + "."


def _share(probability: float) -> str:
    """Write a probability, never as certain."""
    if probability > 0.995:
        return "above 99 %"
    if probability < 0.005:
        return "below 1 %"
    return f"{probability:.0%}"
