"""What a speedup over load says, in one or two sentences: where to speculate, where not, and where that is open."""

from __future__ import annotations

from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

SURE = 0.9
"""Probability from which a load counts as one where speculation helps; below 1 − SURE as one where it costs."""
UNITS = {"rate": "req/s", "in-flight": "in flight", "utilisation": "of the limit without speculation"}


def speedup_words(result: xr.Dataset) -> list[str]:
    """Say where speculation helps and where it costs, and by how much.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.speedup.speedup`.

    Returns
    -------
    list of str
        The decision first, then its size. A load counts as decided where P(faster) is above 90 % or below 10 %.
    """
    loads, chance = _known(result)
    if not len(loads):
        return ["Neither server has a steady state at these loads: there is nothing to decide."]
    return [_where(result, loads, chance), _how_much(result)]


def _known(result: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    chance = result["p_faster"].to_numpy()
    known = np.isfinite(chance)
    return result["load"].to_numpy()[known], chance[known]


def spans(loads: np.ndarray, chance: np.ndarray) -> list[tuple[int, float, float]]:
    """Cut loads into spans where speculation helps (1), costs (−1), or where that is open (0).

    Parameters
    ----------
    loads : array, shape (load,)
        Rising.
    chance : array, shape (load,)
        P(faster).

    Returns
    -------
    list of (int, float, float)
        Sign, and the loads between which it holds; where two spans meet, the load at which the probability crosses, found by
        straight lines.
    """
    sign = np.where(chance >= SURE, 1, np.where(chance <= 1.0 - SURE, -1, 0))
    found, at = [], 0
    for value, group in groupby(sign):
        last = at + len(list(group)) - 1
        found.append((int(value), at, last))
        at = last + 1
    edges = [float(loads[0])]
    for (left, _, end), (right, _, _) in pairwise(found):
        level = SURE if max(left, right) == 1 else 1.0 - SURE
        edges.append(_crossing(loads, chance, end, level))
    edges.append(float(loads[-1]))
    return [(value, edges[i], edges[i + 1]) for i, (value, _, _) in enumerate(found)]


def _crossing(loads: np.ndarray, chance: np.ndarray, i: int, level: float) -> float:
    before, after = chance[i] - level, chance[i + 1] - level
    share = before / (before - after) if before != after else 0.5
    return float(loads[i] + np.clip(share, 0.0, 1.0) * (loads[i + 1] - loads[i]))


def _where(result: xr.Dataset, loads: np.ndarray, chance: np.ndarray) -> str:
    about = result.attrs
    unit = UNITS[about["load_axis"]]
    cut = spans(loads, chance)
    signs = [sign for sign, _, _ in cut]
    least, most = chance.min(), chance.max()
    name = f"k = {about['k']}"
    if signs == [1]:
        return f"Speculate with {name} at every load up to {loads[-1]:.3g} {unit}: P(faster) is {_p(least)} or more."
    if signs == [-1]:
        return f"Do not speculate with {name}: it is slower at every load (P(faster) at most {_p(most)})."
    if signs == [0]:
        return f"Whether {name} helps is open at every load (P(faster) {_p(least)} to {_p(most)}): measure before you decide."
    parts = {1: "speculate with " + name, -1: "it costs you", 0: "it is open whether it helps"}
    said = []
    seen: set[int] = set()
    for sign, low, high in cut:
        words = (
            parts[sign] if sign not in seen else {1: "it helps", -1: "it costs you", 0: "it is open"}[sign]
        )
        seen.add(sign)
        inside = chance[(loads >= low) & (loads <= high)]
        more = (
            f" (P(faster) {_p(inside.min())} to {_p(inside.max())})"
            if sign == 0 and high == loads[-1]
            else ""
        )
        said.append(f"{words} {_span(low, high, loads, unit)}{more}")
    # Between a yes and a no the load is open anyway: saying so adds nothing.
    if signs == [1, 0, -1] or signs == [-1, 0, 1]:
        del said[1]
    text = "; ".join(said)
    return f"{text[:1].upper()}{text[1:]}."


def _span(low: float, high: float, loads: np.ndarray, unit: str) -> str:
    if low <= loads[0]:
        return f"below {high:.3g} {unit}"
    if high >= loads[-1]:
        return f"above {low:.3g}"
    return f"from {low:.3g} to {high:.3g}"


def _how_much(result: xr.Dataset) -> str:
    ci = result.attrs["ci"]
    middle, low, high = np.quantile(
        result["zero_load_speedup"].to_numpy(), [0.5, (1.0 - ci) / 2.0, (1.0 + ci) / 2.0]
    )
    what = f"{middle:.2f} [{low:.2f}, {high:.2f}] times as fast"
    return f"A request alone on the server is {what} with it ({ci:.0%} interval)."


def _p(probability: float) -> str:
    if probability > 0.995:
        return ">99 %"
    if probability < 0.005:
        return "<1 %"
    return f"{100 * probability:.0f} %"
