"""Regret over time: what each way to a draft length has given away so far, by scenario, above the load that it met."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bayes_sd.plots.labels import label_ends
from bayes_sd.plots.style import (
    BLUE,
    GRID,
    OCHRE,
    QUIET,
    VERMILION,
    check_figure_path,
    dark_svg,
    figure_bytes,
    head,
    new_figure,
    save_figure,
    styled,
)

SHOWN = (("advise", BLUE, "-"), ("best fixed length", VERMILION, "--"), ("best bandit", OCHRE, "-."))
"""What is drawn, with its colour and line; an oracle, which gives nothing away, is the zero line."""


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw a panel a scenario; an SVG gets a dark twin beside it.

    Parameters
    ----------
    rows : list of dict
        Of `benchmarks/advise.py`: ``scenario``, ``share`` and ``committed`` by window, ``curves`` of regret by window for each of
        :data:`SHOWN`, means over the seeds, ``seeds`` and ``window_s``.
    path : Path
        FILE.png or FILE.svg.
    """
    check_figure_path(path)
    with styled():
        figure, grid = new_figure(
            9.4, 1.0 + 2.5 * -(-len(rows) // 2), nrows=-(-len(rows) // 2), ncols=2, squeeze=False
        )
        seeds = rows[0]["seeds"]
        head(
            figure,
            "Speed given away so far, in minutes",
            f"mean over {seeds} simulated server{'s' if seeds > 1 else ''}; an oracle is at zero; grey: load as a share of what the "
            "server holds; dotted: another workload",
        )
        for axes in grid.flat[len(rows) :]:
            axes.set_visible(False)
        for axes, row in zip(grid.flat, rows, strict=False):
            _panel(axes, row)
    save_figure(figure, path)
    if path.suffix.lower() == ".svg":
        twin = path.with_name(f"{path.stem}-dark.svg")
        twin.write_text(dark_svg(figure_bytes(figure, "svg").decode()), encoding="utf-8")


def _panel(axes: Any, row: dict[str, Any]) -> None:
    """Draw one scenario: cumulated regret, with the load behind it."""
    minutes = row["window_s"] / 60.0
    x = minutes * np.arange(1, len(row["share"]) + 1)
    lost = {name: minutes * np.cumsum(row["curves"][name]) for name, _, _ in SHOWN}
    # A bandit that tries everything would press all others to the ground: the panel ends at three times the better two.
    top = max(1.15 * max(lost["advise"][-1], lost["best fixed length"][-1]), 0.5)
    top = min(max(top, 1.05 * lost["best bandit"][-1]), 3.0 * top)
    axes.fill_between(x, 0.0, top * np.asarray(row["share"]), color=GRID, alpha=0.6, linewidth=0, step="pre")
    for at in np.flatnonzero(np.abs(np.diff(row["committed"])) > 0.5):
        axes.axvline(x[at], color=QUIET, linewidth=1.0, linestyle=":")
    ends = []
    for name, colour, line in SHOWN:
        axes.plot(x, lost[name], color=colour, linestyle=line)
        ends.append(
            (
                float(x[-1]),
                float(lost[name][-1]),
                f"{name}\n{100 * np.mean(row['curves'][name]):.1f} %",
                colour,
            )
        )
    axes.set(
        xlim=(0, x[-1]), ylim=(0, top), title=row["scenario"], xlabel="minutes", ylabel="minutes given away"
    )
    label_ends(axes, ends)
