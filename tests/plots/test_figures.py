"""Figures: drawn from results, axes named with units, the same look, the same file twice, readable on every page."""

import re
from itertools import pairwise

import numpy as np
import pytest

from bayes_sd.check.fitted import fitted_rows
from bayes_sd.decide.bands import latency_bands
from bayes_sd.decide.collapse import collapse
from bayes_sd.decide.configurations import measured_configurations, select
from bayes_sd.decide.monitor import Monitor
from bayes_sd.decide.plan import plan
from bayes_sd.decide.policies import compare_policies
from bayes_sd.decide.speedup import speedup
from bayes_sd.decide.trees import best_trees
from bayes_sd.decide.tune import tune
from bayes_sd.decide.verdict import to_dataset
from bayes_sd.decide.windows import Window
from bayes_sd.errors import OutputError
from bayes_sd.forecast.mixture import thinned
from bayes_sd.learn.next_runs import next_runs
from bayes_sd.plots import style
from bayes_sd.plots.bands import plot_bands
from bayes_sd.plots.collapse import plot_collapse
from bayes_sd.plots.fitted import plot_fitted
from bayes_sd.plots.monitor import plot_monitor
from bayes_sd.plots.next_runs import plot_next
from bayes_sd.plots.plan import plot_plan
from bayes_sd.plots.policies import plot_policies
from bayes_sd.plots.speedup import plot_speedup
from bayes_sd.plots.stages import plot_stages
from bayes_sd.plots.style import (
    DARK,
    INK,
    PAPER,
    QUIET,
    STAGE_COLOURS,
    check_figure_path,
    dark_svg,
    figure_bytes,
    narrow,
    save_figure,
)
from bayes_sd.plots.trees import plot_trees
from bayes_sd.plots.tune import plot_tune


@pytest.fixture(scope="module")
def results(small_fit, cards):
    """What each figure draws: plotting function and result."""
    posterior = thinned(small_fit, 100)
    chosen = select(measured_configurations(posterior, cards), None)
    bands = [latency_bands(posterior, c, cards) for c in chosen]
    speculating = next(c for c in chosen if c.condition["k"].iloc[0] > 0).condition
    at_rate = speculating.assign(load_kind="rate", arrivals="poisson")
    watch = Monitor(posterior, speculating, cards)
    windows = [Window(latency_s=2.0 + 3.0 * (i > 5), in_flight=8.0, requests=100.0) for i in range(9)]
    return {
        "bands": (plot_bands, bands),
        "one stage": (plot_stages, bands[0]),
        "stages": (plot_stages, bands),
        "collapse": (plot_collapse, collapse(posterior, chosen, cards)),
        "fitted": (plot_fitted, fitted_rows(posterior, cards)),
        "speedup": (plot_speedup, speedup(posterior, at_rate, cards=cards)),
        "plan": (plot_plan, plan(posterior, at_rate, "p95<9s", 20.0, cards=cards)),
        "impossible plan": (plot_plan, plan(posterior, at_rate, "p95<1ms", 20.0, cards=cards)),
        "policies": (
            plot_policies,
            compare_policies(posterior, speculating, [2.0, 8.0], longest=3, thresholds=(0.5,), cards=cards),
        ),
        "trees": (
            plot_trees,
            best_trees(posterior, speculating, [1, 4, 64], deepest=3, most_tokens=12, cards=cards),
        ),
        "tune": (plot_tune, tune(posterior, speculating, cards=cards, draft_lengths=(0, 2, 5))),
        "next": (
            plot_next,
            next_runs(
                posterior,
                speculating.assign(workload="never seen"),
                loads=[16.0],
                draft_lengths=(0, 2, 5),
                cards=cards,
            ),
        ),
        "monitor": (plot_monitor, to_dataset(watch.see_all(windows))),
    }


@pytest.fixture(scope="module")
def figures(results):
    return {name: plot(result) for name, (plot, result) in results.items()}


@pytest.fixture(scope="module")
def slim(results):
    with narrow():
        return {name: plot(result) for name, (plot, result) in results.items()}


NAMES = (
    "bands", "one stage", "stages", "collapse", "fitted", "speedup", "tune", "plan", "impossible plan", "monitor",
    "policies", "trees",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_axes_are_named(figures, name):
    shown = [a for a in figures[name].axes if a.axison]
    assert any(a.get_xlabel() for a in shown)
    assert any(a.get_ylabel() for a in shown) or name == "fitted"


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_renders_alike_and_on_its_own_ground(figures, name):
    """An opaque light ground reads on light and dark pages alike."""
    first, again = figure_bytes(figures[name]), figure_bytes(figures[name])
    assert first == again and first[:4] == b"\x89PNG"
    from io import BytesIO

    import matplotlib.image

    corner = matplotlib.image.imread(BytesIO(first))[0, 0]
    wanted = [int(PAPER[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    assert np.allclose(corner[:3], wanted, atol=0.01)
    assert len(corner) == 3 or corner[3] == 1.0


def test_an_svg_file_is_the_same_twice(figures, tmp_path):
    one, two = (save_figure(figures["bands"], tmp_path / f"{n}.svg").read_bytes() for n in "ab")
    assert one == two and b"<svg" in one


def test_a_name_that_is_no_figures():
    with pytest.raises(OutputError, match=r"\.png or \.svg"):
        check_figure_path("figure.pdf")


def luminance(colour):
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colour", [*style.CYCLE, INK, QUIET])
def test_letters_are_read_on_a_light_and_on_a_dark_page(colour):
    """The least contrast that the Web Content Accessibility Guidelines ask of text."""
    assert contrast(colour, PAPER) >= 4.5
    assert contrast(DARK[colour], DARK[PAPER]) >= 4.5


@pytest.mark.parametrize("name", NAMES)
def test_a_dark_figure_has_a_counterpart_for_every_colour(figures, name):
    """All but the stages' colours, which carry no letters."""
    light = figure_bytes(figures[name], "svg").decode()
    used = set(re.findall(r"#[0-9a-f]{6}", light))
    assert PAPER in used and used <= {*DARK, *STAGE_COLOURS.values()}
    assert not set(re.findall(r"#[0-9a-f]{6}", dark_svg(light))) & ({*DARK} - {*DARK.values()})


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_cut_wide_or_narrow(figures, slim, name):
    for figure in (figures[name], slim[name]):
        style.settle(figure).draw_without_rendering()
        width, height = figure.get_size_inches() * figure.dpi
        for text in _texts(figure):
            box = text.get_window_extent()
            where = f"{name}, {width:.0f} wide: {text.get_text()!r}"
            assert box.x0 > -2 and box.x1 < width + 2, where
            assert box.y0 > -2 and box.y1 < height + 2, where
    assert slim[name].get_size_inches()[0] < 4.2


@pytest.mark.parametrize("name", NAMES)
def test_no_panel_is_empty_and_none_lies_in_the_title(figures, slim, name):
    for figure in (figures[name], slim[name]):
        style.settle(figure).draw_without_rendering()
        title = min(t.get_window_extent().y0 for t in figure.texts)
        for axes in (a for a in figure.axes if a.get_visible()):
            assert axes.has_data(), name
            assert axes.get_tightbbox().y1 <= title + 1, name
        heads = [t.get_window_extent() for t in figure.texts]
        assert all(upper.y0 >= lower.y0 for upper, lower in pairwise(heads))


def _texts(figure):
    """Letters that are drawn: titles, names of axes, ticks within the limits, labels and keys."""
    found = list(figure.texts) + [t for key in figure.legends for t in key.get_texts()]
    for axes in (a for a in figure.axes if a.get_visible()):
        found += [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        found += axes.get_legend().get_texts() if axes.get_legend() else []
    return [t for t in found if t.get_text() and t.get_visible()]


def test_loads_past_saturation_are_covered(figures):
    """No curve runs into the part where there is no steady state."""
    panel = figures["speedup"].axes[0]
    start = min(p.get_x() for p in panel.patches if p.get_hatch())
    (curve,) = [line for line in panel.lines if len(line.get_xdata()) > 2]
    x, y = curve.get_data()
    assert np.max(x[np.isfinite(y)]) <= start + 1e-9


def test_the_alarm_threshold_is_drawn(figures):
    panel = figures["monitor"].axes[1]
    assert any(np.allclose(line.get_ydata(), 1.0) for line in panel.lines)
    assert any("alarm threshold" in text.get_text() for text in panel.texts)


def test_a_speedup_says_of_which_server_and_requests(figures):
    words = " ".join(text.get_text() for text in figures["speedup"].texts)
    assert "A100" in words and "output tokens" in words and "Poisson" in words
