"""Policies of drafting over the rate: what each gives away, and the gain over the best fixed draft length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.plots.labels import label_ends
from bayes_sd.plots.speedup import AXES, asked_words
from bayes_sd.plots.style import (
    BAND_ALPHA,
    BLACK,
    BLUE,
    GREEN,
    LINES,
    OCHRE,
    PURPLE,
    QUIET,
    TEAL,
    VERMILION,
    head,
    new_figure,
    styled,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "none": (BLACK,),
    "fixed": (QUIET,),
    "table": (BLUE,),
    "classes": (GREEN, VERMILION),
    "confidence": (GREEN, OCHRE, VERMILION, TEAL),
}


def plot_policies(result: xr.Dataset, title: str = "Policies of drafting over load") -> Figure:
    """Draw the speed that each policy gives away on average, and the gain of the chosen one.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.policies.compare_policies`.
    title : str

    Returns
    -------
    Figure
    """
    steady = result["chosen"].to_numpy() >= 0
    # Where nothing has a steady state there is nothing to draw; if that is everywhere, an empty frame says so.
    shown = result.isel(load=np.flatnonzero(steady)) if steady.any() else result
    load = shown["load"].to_numpy()
    with styled():
        figure, axes = new_figure(9.0, 6.6, nrows=2, sharex=True)
        head(figure, title, asked_words(result.attrs))
        if steady.any():
            _regrets(axes[0], shown, load)
            _gain(axes[1], shown, load)
        axes[1].set_xlabel(AXES.get(result.attrs["load_axis"], f"load [{result.attrs['load_units']}]"))
        if load.max() > load.min():
            axes[0].set_xlim(load.min(), load.max())
    return figure


def _regrets(axes: Axes, result: xr.Dataset, load: np.ndarray) -> None:
    """Draw one line a policy; of the fixed lengths the best at each load, and the one that is best on the whole."""
    regret = 100.0 * result["relative_regret"].to_numpy()
    kinds, names = result["kind"].to_numpy().astype(str), result["alternative"].to_numpy().astype(str)
    lines: list[tuple[str, np.ndarray, str]] = []
    fixed = regret[kinds == "fixed"]
    whole = int(np.nanmean(fixed, axis=1).argmin())
    lines.append(("best fixed by load", np.nanmin(fixed, axis=0), QUIET))
    lines.append((f"always {names[kinds == 'fixed'][whole]}", fixed[whole], PURPLE))
    for kind in ("table", "classes", "confidence"):
        for j, i in enumerate(np.flatnonzero(kinds == kind)):
            lines.append((names[i], regret[i], COLOURS[kind][j % len(COLOURS[kind])]))
    ends = []
    for j, (name, values, colour) in enumerate(lines):
        axes.plot(load, values, LINES[j % len(LINES)], color=colour)
        held = np.flatnonzero(np.isfinite(values))
        if held.size:
            ends.append((float(load[held[-1]]), float(values[held[-1]]), name, colour))
    top = np.nanmax([np.nanmax(v) for _, v, _ in lines])
    axes.set_ylim(0, max(1.0, min(40.0, 1.1 * float(top))))
    axes.set_ylabel("speed given away [%]")
    label_ends(axes, ends)


def _gain(axes: Axes, result: xr.Dataset, load: np.ndarray) -> None:
    band = 100.0 * (result["gain_band"].to_numpy() - 1.0)
    held = (result["chosen"].to_numpy() >= 0) & np.isfinite(band[1])
    top = 1.3 * max(
        5.0, float(np.nanmax(np.where(np.isfinite(band[:, held]), band[:, held], 0.0), initial=0.0))
    )
    low, middle, high = np.clip(band[:, held], -top, top)
    axes.fill_between(load[held], low, high, color=BLUE, alpha=BAND_ALPHA, linewidth=0)
    axes.plot(load[held], middle, color=BLUE)
    axes.axhline(0.0, color=QUIET, linewidth=1.0)
    axes.set_ylabel("chosen policy faster than\nthe best fixed length [%]")
