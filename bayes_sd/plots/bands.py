"""Latency over load: median, band of a new measurement, and the measured points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bayes_sd.plots.style import (
    BAND_ALPHA,
    CYCLE,
    LINES,
    MARKERS,
    PAPER,
    QUIET,
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

MOST = 6


def plot_bands(bands: Sequence[xr.Dataset], title: str | None = None) -> Figure:
    """Draw latency bands over load.

    Parameters
    ----------
    bands : sequence of Dataset
        From :func:`bayes_sd.decide.bands.latency_bands`; closed and open loops get a panel each, and so does every
        further six configurations.
    title : str, optional
        The deployment by default.

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
    with styled():
        figure, axes = new_figure(9.5, 0.9 + 3.9 * len(panels), nrows=len(panels), squeeze=False)
        for panel, own in zip(axes[:, 0], panels, strict=True):
            _panel(panel, own)
        names = list(dict.fromkeys(b.attrs["deployment"] for b in bands))
        heading = title or (names[0] if len(names) == 1 else f"{len(names)} deployments")
        axes[0, 0].set_title(heading)
    return figure


def _panel(axes: Axes, bands: Sequence[xr.Dataset]) -> None:
    ends = []
    deployments = {b.attrs["deployment"] for b in bands}
    for n, band in enumerate(bands):
        colour, marker = CYCLE[n % len(CYCLE)], MARKERS[n % len(MARKERS)]
        load = band["load"].to_numpy()
        axes.fill_between(
            load,
            band["predictive_lower"],
            band["predictive_upper"],
            color=colour,
            alpha=BAND_ALPHA,
            linewidth=0,
        )
        axes.plot(load, band["latency_median"], LINES[n % len(LINES)], color=colour)
        axes.plot(
            band["measured_load"], band["measured_s"], marker, color=colour, markeredgecolor=PAPER, zorder=3
        )
        drawn = band["latency_median"].dropna("load")
        if drawn.size:
            label = band.attrs["label"].rsplit(", ", 1 if not band.attrs["open_loop"] else 2)[0]
            words = label.split(", ")
            text = f"{words[0]}\n{', '.join(words[1:])}"
            if len(deployments) > 1:
                text = f"{band.attrs['deployment']}\n{text}"
            ends.append((float(drawn["load"][-1]), float(drawn[-1]), text, colour))
    _scale(axes, bands)
    label_ends(axes, ends)
    ci = bands[0].attrs["ci"]
    axes.text(
        0.02, 0.97,
        f"lines: median mean latency; bands: where {ci:.0%} of new measurements fall; points: measured",
        transform=axes.transAxes, va="top", fontsize=8.5, color=QUIET,
    )  # fmt: skip


def _scale(axes: Axes, bands: Sequence[xr.Dataset]) -> None:
    loads = [float(v) for b in bands for v in (b["load"].min(), b["load"].max())]
    top = max(
        [float(b[name].max()) for b in bands for name in ("predictive_upper", "measured_s") if b[name].size]
    )
    axes.set_ylabel("mean request latency [s]")
    if bands[0].attrs["open_loop"]:
        axes.set_xlabel("arrival rate [requests/s], open loop")
        axes.set_xlim(0, max(loads) * 1.02)
    else:
        axes.set_xlabel("requests in flight (closed loop)")
        axes.set_xscale("log")
        plain_log_ticks(axes.xaxis, doublings(min(loads), max(loads)))
    bottom = min(
        [float(b[name].min()) for b in bands for name in ("predictive_lower", "measured_s") if b[name].size]
    )
    if top / bottom > 12:
        axes.set_yscale("log")
        plain_log_ticks(axes.yaxis, doublings(bottom / 1.3, top * 1.6))
        axes.set_ylim(bottom / 1.3, top * 1.6)
    else:
        axes.set_ylim(0, top * 1.12)
