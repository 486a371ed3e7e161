"""What to measure next: what each candidate run is worth a minute, and what the chosen ones leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.plots.style import BLUE, INK, PAPER, QUIET, head, new_figure, styled

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 14
"""Candidates that are drawn, the most valuable a minute first, beside those that were chosen."""
FARTHEST = 2.0
"""The whole regret is drawn if it is at most so many times what the best run and its error reach."""
LETTERS = 34
"""Of a name of a run."""


def plot_next(result: xr.Dataset, title: str = "What to measure next") -> Figure:
    """Draw candidate runs by their worth, and the regret or width that is left after those chosen.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.learn.next_runs.next_runs`.
    title : str

    Returns
    -------
    Figure
    """
    steps = result.sizes["step"]
    shown = _shown(result)
    with styled():
        heights = [0.26 * len(shown) + 0.9, *([2.2] if steps else [])]
        figure, axes = new_figure(
            8.6, 1.0 + sum(heights), nrows=len(heights), squeeze=False, height_ratios=heights
        )
        head(figure, title, str(result.attrs["verdict"]))
        _worth(axes[0, 0], result, shown)
        if steps:
            _left(axes[1, 0], result)
    return figure


def _shown(result: xr.Dataset) -> np.ndarray:
    """Candidates to draw, the most valuable a minute first."""
    values = result["regret_fall" if result.attrs["aim"] == "regret" else "width_fall"].to_numpy()
    rate = values / (result["seconds"].to_numpy() + float(result.attrs["restart_s"]))
    order = np.argsort(-rate, kind="stable")
    chosen = set(result["chosen"].to_numpy().tolist())
    place = {int(i): n for n, i in enumerate(order)}
    return np.array([i for i in order if place[int(i)] < SHOWN or int(i) in chosen])


def _worth(axes: Axes, result: xr.Dataset, shown: np.ndarray) -> None:
    """Draw a dot a candidate with two standard errors; chosen ones are filled, with their place in the plan."""
    by_regret = result.attrs["aim"] == "regret"
    values = 100.0 * result["regret_fall" if by_regret else "width_fall"].to_numpy()[shown]
    errors = 200.0 * result["regret_fall_error"].to_numpy()[shown] if by_regret else np.zeros(len(shown))
    places = {int(run): n for n, run in enumerate(result["chosen"].to_numpy(), 1)}
    y = np.arange(len(shown))[::-1]
    axes.hlines(y, values - errors, values + errors, color=QUIET, linewidth=1.2)
    for at, value, run in zip(y, values, shown, strict=True):
        place = places.get(int(run))
        axes.plot(
            value, at, "o", color=BLUE if place else PAPER, markeredgecolor=BLUE, markersize=7, zorder=3
        )
        if place:
            axes.annotate(
                str(place), (value, at), (0, 4), textcoords="offset points", ha="center", va="bottom", color=INK, fontsize=8
            )  # fmt: skip
    names, seconds = result["run"].to_numpy().astype(str)[shown], result["seconds"].to_numpy()[shown]
    axes.set_yticks(y, [f"{name[:LETTERS]}, {s:.0f} s" for name, s in zip(names, seconds, strict=True)])
    axes.grid(axis="y", visible=False)
    axes.set_ylim(-0.7, len(shown) - 0.1)
    most = float((values + errors).max())
    words = "interval gets narrower by, if this run is measured alone [%]"
    if by_regret:
        words = "regret falls by, if this run is measured alone [% of the speed]"
        regret = 100.0 * float(result.attrs["regret"])
        if regret <= FARTHEST * most:
            most = max(most, regret)
            axes.axvline(regret, color=QUIET, linewidth=1.0, linestyle=":")
            words += "; dotted: all of it"
    axes.set_xlim(min(0.0, float((values - errors).min())), 1.05 * most if most > 0.0 else 1.0)
    axes.set_xlabel(f"{words}\nthose worth most a minute stand first")


def _left(axes: Axes, result: xr.Dataset) -> None:
    """Draw what is left over the minutes of the plan."""
    by_regret = result.attrs["aim"] == "regret"
    name, now = ("regret", float(result.attrs["regret"])) if by_regret else ("width", 1.0)
    minutes = np.concatenate([[0.0], result["elapsed_s"].to_numpy() / 60.0])
    left = 100.0 * np.concatenate([[now], result[name].to_numpy()])
    axes.step(minutes, left, where="post", color=BLUE)
    axes.plot(minutes[1:], left[1:], "o", color=BLUE, markeredgecolor=PAPER, zorder=3)
    for number, (x, y) in enumerate(zip(minutes[1:], left[1:], strict=True), 1):
        axes.annotate(
            # Beside the line that comes down to the point.
            str(number),
            (x, y),
            (4, 4),
            textcoords="offset points",
            ha="left",
            color=INK,
            fontsize=8,
        )
    axes.set_xlim(0, 1.05 * minutes[-1])
    axes.set_ylim(0, 1.15 * left[0])
    axes.set_xlabel("minutes of measuring, starts of servers included")
    axes.set_ylabel("regret left [%]" if by_regret else "interval, of\nits width now [%]")
