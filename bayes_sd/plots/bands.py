"""Latency over load: median, band of a new measurement, and the measured points."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.plots.labels import doublings, label_ends, plain_log_ticks, shared_parts, told_apart
from bayes_sd.plots.style import BAND_ALPHA, CYCLE, LINES, MARKERS, PAPER, head, is_narrow, new_figure, styled

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 6
"""Configurations of one panel."""
LETTERS = 30
"""Of a line of a label."""
ABOVE = 1.35
"""A band is cut off at so many times the highest median and point: near saturation it would squeeze all else."""
LOG_FROM = 12.0
"""Latencies that differ by more than this factor get a logarithmic axis."""


def plot_bands(bands: Sequence[xr.Dataset], title: str | None = None) -> Figure:
    """Draw latency bands over load.

    Parameters
    ----------
    bands : sequence of Dataset
        From :func:`bayes_sd.decide.bands.latency_bands`; closed and open loops get a panel each, and so does every
        further six configurations.
    title : str, optional

    Returns
    -------
    Figure
    """
    panels = [
        kind[i : i + MOST]
        for open_loop in (0, 1)
        if (kind := [b for b in bands if b.attrs["open_loop"] == open_loop])
        for i in range(0, len(kind), MOST)
    ]
    names = list(dict.fromkeys(b.attrs["deployment"] for b in bands))
    of = names[0] if len(names) == 1 else f"{len(names)} deployments"
    of = "; ".join(filter(None, [of, shared_parts([b.attrs["label"] for b in bands], ", ")]))
    with styled():
        figure, axes = new_figure(
            9.0, 1.1 + 3.6 * len(panels) + _names_in(bands), nrows=len(panels), squeeze=False
        )
        head(
            figure,
            title or "Mean latency over load",
            f"{of}. Lines: median; bands: where {bands[0].attrs['ci']:.0%} of new measurements fall; points: measured",
        )
        for panel, own in zip(axes[:, 0], panels, strict=True):
            _panel(panel, own)
    return figure


def _names_in(bands: Sequence[xr.Dataset]) -> float:
    """Give the height that names take where they stand above a panel [inches]."""
    return 0.25 * len(bands) if is_narrow() else 0.0


def _panel(axes: Axes, bands: Sequence[xr.Dataset]) -> None:
    ends = []
    for n, (band, name) in enumerate(zip(bands, _names(bands), strict=True)):
        colour, marker = CYCLE[n % len(CYCLE)], MARKERS[n % len(MARKERS)]
        load = band["load"].to_numpy()
        low, high = band["predictive_lower"], band["predictive_upper"]
        axes.fill_between(load, low, high, color=colour, alpha=BAND_ALPHA, linewidth=0)
        axes.plot(load, band["latency_median"], LINES[n % len(LINES)], color=colour)
        axes.plot(
            band["measured_load"], band["measured_s"], marker, color=colour, markeredgecolor=PAPER, zorder=3
        )
        drawn = band["latency_median"].dropna("load")
        if drawn.size:
            ends.append((float(drawn["load"][-1]), float(drawn[-1]), name, colour))
    _scale(axes, bands)
    label_ends(axes, ends)


def _names(bands: Sequence[xr.Dataset]) -> list[str]:
    """Name configurations by what tells them apart, in short lines."""
    labels = told_apart([b.attrs["label"] for b in bands], ", ")
    if len({b.attrs["deployment"] for b in bands}) > 1:
        deployments = told_apart([b.attrs["deployment"] for b in bands])
        labels = [f"{d}: {label}" for d, label in zip(deployments, labels, strict=True)]
    return ["\n".join(textwrap.wrap(label, LETTERS)) for label in labels]


def _scale(axes: Axes, bands: Sequence[xr.Dataset]) -> None:
    axes.set_ylabel("mean request latency [s]")
    loads = np.concatenate([_drawn_loads(b) for b in bands])
    if bands[0].attrs["open_loop"]:
        axes.set_xlabel("arrival rate [requests/s], open loop")
        axes.set_xlim(0, loads.max() * 1.02)
    else:
        axes.set_xlabel("requests in flight (closed loop)")
        axes.set_xscale("log")
        plain_log_ticks(axes.xaxis, doublings(loads.min(), loads.max()))
    middle = np.concatenate([b[name].to_numpy() for b in bands for name in ("latency_median", "measured_s")])
    edges = [b[f"predictive_{end}"].to_numpy() for b in bands for end in ("lower", "upper")]
    finite = middle[np.isfinite(middle)]
    if not finite.size:
        return
    bottom = float(np.nanmin([finite.min(), *(np.nanmin(e, initial=np.inf) for e in edges)]))
    widest = float(np.nanmax([finite.max(), *(np.nanmax(e, initial=0.0) for e in edges)]))
    top = min(widest, ABOVE * float(finite.max()))
    if top / bottom > LOG_FROM:
        axes.set_yscale("log")
        plain_log_ticks(axes.yaxis, doublings(bottom / 1.2, top * 1.2))
        axes.set_ylim(bottom / 1.2, top * 1.2)
    else:
        axes.set_ylim(0, top * 1.06)


def _drawn_loads(band: xr.Dataset) -> np.ndarray:
    """Give the loads that have something to draw: a steady state, or a point."""
    load = band["load"].to_numpy()
    steady = load[np.isfinite(band["latency_median"].to_numpy())]
    found = np.concatenate([steady, band["measured_load"].to_numpy()])
    return found if found.size else load
