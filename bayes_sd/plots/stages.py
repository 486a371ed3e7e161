"""Where a request's latency goes over load: stacked seconds and shares of each stage."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.plots.labels import doublings, plain_log_ticks, told_apart
from bayes_sd.plots.style import PAPER, STAGE_COLOURS, head, is_narrow, new_figure, styled

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEGLIGIBLE = 0.004
"""Stages that nowhere reach this share of the latency are not drawn."""
LETTERS = 90
"""Of the titles of panels side by side."""


def plot_stages(bands: xr.Dataset | Sequence[xr.Dataset], title: str | None = None) -> Figure:
    """Draw latency by stage over load: of one configuration in seconds and as shares, of several in seconds on one scale.

    Parameters
    ----------
    bands : Dataset or sequence of Dataset
        From :func:`bayes_sd.decide.bands.latency_bands`.
    title : str, optional

    Returns
    -------
    Figure
    """
    given = [bands] if not isinstance(bands, Sequence) else list(bands)
    several = [b for b in given if np.isfinite(b["latency_median"].to_numpy()).sum() > 1] or given[:1]
    shown = [
        str(s)
        for s in several[0]["stage"].to_numpy()
        if max(_largest(b, str(s)) for b in several) >= NEGLIGIBLE
    ]
    panels = _panels(several)
    across = 1 if is_narrow() else min(len(panels), 2 if len(panels) in (2, 4) else 3)
    down = math.ceil(len(panels) / across)
    names = list(dict.fromkeys(b.attrs["deployment"] for b in several))
    of = names[0] if len(names) == 1 else f"{len(names)} deployments"
    with styled():
        figure, axes = new_figure(
            9.5, 1.7 + 2.5 * down, nrows=down, ncols=across, squeeze=False, sharey=len(several) > 1
        )
        head(figure, title or "Where a request's time goes", of)
        for axis, (band, variable, words) in zip(axes.ravel(), panels, strict=False):
            _stack(axis, band, variable, shown)
            axis.set_title("\n".join(textwrap.wrap(words, 42 if is_narrow() else LETTERS // across)))
        for axis in axes.ravel()[len(panels) :]:
            axis.set_visible(False)
        highest = max(float(b["stage_s"].sum("stage").max()) for b in several)
        axes[0, 0].set_ylim(0, 1.04 * highest)
        _labels(axes, len(several))
        _key(figure, shown)
    return figure


def _panels(several: Sequence[xr.Dataset]) -> list[tuple[xr.Dataset, str, str]]:
    """Give what each panel shows: a configuration, a variable and its title."""
    if len(several) == 1:
        label = several[0].attrs["label"]
        return [(several[0], "stage_s", label), (several[0], "stage_share", "shares of it")]
    labels = told_apart([b.attrs["label"] for b in several], ", ")
    if len({b.attrs["deployment"] for b in several}) > 1:
        deployments = told_apart([b.attrs["deployment"] for b in several])
        labels = [f"{d}\n{label}" for d, label in zip(deployments, labels, strict=True)]
    return [(band, "stage_s", label) for band, label in zip(several, labels, strict=True)]


def _labels(axes: np.ndarray, several: int) -> None:
    for row in axes:
        row[0].set_ylabel("mean time of a request [s]")
    if several == 1:
        axes.ravel()[1].set_ylabel("share of the latency [%]")


def _largest(bands: xr.Dataset, stage: str) -> float:
    return float(bands["stage_share"].sel(stage=stage).fillna(0.0).max())


def _stack(axes: Axes, bands: xr.Dataset, variable: str, shown: list[str]) -> None:
    drawn = bands.isel(load=np.flatnonzero(np.isfinite(bands["latency_median"].to_numpy())))
    load = drawn["load"].to_numpy()
    scale = 100.0 if variable == "stage_share" else 1.0
    base = np.zeros(len(load))
    for stage in shown:
        height = scale * drawn[variable].sel(stage=stage).to_numpy()
        colour = STAGE_COLOURS[stage]
        axes.fill_between(load, base, base + height, color=colour, linewidth=0.4, edgecolor=PAPER)
        base = base + height
    axes.grid(visible=False)
    if variable == "stage_share":
        axes.set_ylim(0, base.max() if base.size else 100.0)
    axes.margins(x=0)
    if bands.attrs["open_loop"]:
        axes.set_xlabel("arrival rate [requests/s]")
    else:
        axes.set_xlabel("requests in flight")
        axes.set_xscale("log")
        plain_log_ticks(axes.xaxis, doublings(load.min(), load.max()))


def _key(figure: Figure, shown: list[str]) -> None:
    """Name the stages below the panels, from the bottom of the stack to its top."""
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=STAGE_COLOURS[stage], label=stage) for stage in shown]
    columns = 1 if is_narrow() else min(3, len(shown))
    figure.legend(handles=handles, loc="outside lower left", ncols=columns, labelspacing=0.3)
