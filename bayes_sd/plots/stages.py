"""Where a request's latency goes over load: stacked seconds and shares of each stage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.plots.style import (
    INK,
    STAGE_COLOURS,
    doublings,
    label_ends,
    new_figure,
    plain_log_ticks,
    styled,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEGLIGIBLE = 0.004
"""Stages that nowhere reach this share of the latency are not drawn."""
DARK = ("prefill, load-independent", "verify, load-independent")


def plot_stages(bands: xr.Dataset | Sequence[xr.Dataset], title: str | None = None) -> Figure:
    """Draw latency by stage over load: of one configuration in seconds and as shares, of several in seconds.

    Parameters
    ----------
    bands : Dataset or sequence of Dataset
        From :func:`bayes_sd.decide.bands.latency_bands`.
    title : str, optional
        The deployment, and the configuration if there is one only, by default.

    Returns
    -------
    Figure
    """
    several = [bands] if not isinstance(bands, Sequence) else list(bands)
    shown = [
        str(s)
        for s in several[0]["stage"].to_numpy()
        if max(_largest(b, str(s)) for b in several) >= NEGLIGIBLE
    ]
    rows = math.ceil(len(several) / 2) if len(several) > 1 else 1
    with styled():
        figure, axes = new_figure(
            10.5, 0.8 + (3.6 if rows == 1 else 2.9 * rows), nrows=rows, ncols=2, squeeze=False
        )
        panels = list(axes.ravel())
        if len(several) == 1:
            _stack(panels[0], several[0], "stage_s", shown)
            _stack(panels[1], several[0], "stage_share", shown)
            panels[1].set_ylabel("share of the latency [%]")
        for panel, band in zip(panels, several, strict=False):
            if len(several) > 1:
                _stack(panel, band, "stage_s", shown)
                panel.set_title(band.attrs["label"].rsplit(", ", 1)[0], fontsize=9)
        for panel in axes[:, 0]:
            panel.set_ylabel("mean seconds of a request [s]")
        for panel in panels[max(len(several), 2) :]:
            panel.set_axis_off()
        variable = "stage_share" if len(several) == 1 else "stage_s"
        _labels(panels[1], several[min(1, len(several) - 1)], shown, variable)
        heading = title or several[0].attrs["deployment"] + (
            f"\n{several[0].attrs['label']}" if len(several) == 1 else ""
        )
        figure.suptitle(heading, fontsize=11, fontweight="bold", ha="left", x=0.01)
    return figure


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
        axes.fill_between(load, base, base + height, color=colour, linewidth=0.4, edgecolor="white")
        base = base + height
    axes.grid(visible=False)
    axes.set_ylim(0, base.max() * (1.0 if variable == "stage_share" else 1.05))
    axes.margins(x=0)
    if bands.attrs["open_loop"]:
        axes.set_xlabel("arrival rate [requests/s]")
    else:
        axes.set_xlabel("requests in flight")
        axes.set_xscale("log")
        plain_log_ticks(axes.xaxis, doublings(load.min(), load.max()))


def _labels(axes: Axes, bands: xr.Dataset, shown: list[str], variable: str) -> None:
    """Name the stages beside the last load of a panel, in their colours."""
    last = int(np.flatnonzero(np.isfinite(bands["latency_median"].to_numpy()))[-1])
    scale = 100.0 if variable == "stage_share" else 1.0
    base, ends = 0.0, []
    for stage in shown:
        height = scale * float(bands[variable].sel(stage=stage)[last])
        ends.append((float(bands["load"][last]), base + 0.5 * height, stage, INK))
        base += height
    label_ends(axes, ends)
    for text in axes.texts:
        text.set_bbox({"facecolor": STAGE_COLOURS[text.get_text()], "edgecolor": "none", "pad": 1.5})
        text.set_color("white" if text.get_text() in DARK else INK)
