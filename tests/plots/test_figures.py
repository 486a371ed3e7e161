"""Figures: drawn from results, axes named with units, the same look, the same file twice."""

import numpy as np
import pytest

from bayes_sd.check.fitted import fitted_rows
from bayes_sd.decide.bands import latency_bands
from bayes_sd.decide.collapse import collapse
from bayes_sd.decide.configurations import measured_configurations, select
from bayes_sd.decide.plan import plan
from bayes_sd.decide.policies import compare_policies
from bayes_sd.decide.speedup import speedup
from bayes_sd.decide.trees import best_trees
from bayes_sd.decide.tune import tune
from bayes_sd.errors import OutputError
from bayes_sd.forecast.mixture import thinned
from bayes_sd.plots.bands import plot_bands
from bayes_sd.plots.collapse import plot_collapse
from bayes_sd.plots.fitted import plot_fitted
from bayes_sd.plots.plan import plot_plan
from bayes_sd.plots.policies import plot_policies
from bayes_sd.plots.speedup import plot_speedup
from bayes_sd.plots.stages import plot_stages
from bayes_sd.plots.style import PAPER, check_figure_path, figure_bytes, save_figure
from bayes_sd.plots.trees import plot_trees
from bayes_sd.plots.tune import plot_tune


@pytest.fixture(scope="module")
def figures(small_fit, cards):
    posterior = thinned(small_fit, 100)
    chosen = select(measured_configurations(posterior, cards), None)
    bands = [latency_bands(posterior, c, cards) for c in chosen]
    speculating = next(c for c in chosen if c.condition["k"].iloc[0] > 0).condition
    return {
        "bands": plot_bands(bands),
        "one stage": plot_stages(bands[0]),
        "stages": plot_stages(bands),
        "collapse": plot_collapse(collapse(posterior, chosen, cards)),
        "fitted": plot_fitted(fitted_rows(posterior, cards)),
        "speedup": plot_speedup(
            speedup(posterior, speculating.assign(load_kind="rate", arrivals="poisson"), cards=cards)
        ),
        "plan": plot_plan(
            plan(
                posterior,
                speculating.assign(load_kind="rate", arrivals="poisson"),
                "p95<9s",
                20.0,
                cards=cards,
            )
        ),
        "policies": plot_policies(
            compare_policies(posterior, speculating, [2.0, 8.0], longest=3, thresholds=(0.5,), cards=cards)
        ),
        "trees": plot_trees(
            best_trees(posterior, speculating, [1, 4, 64], deepest=3, most_tokens=12, cards=cards)
        ),
        "tune": plot_tune(tune(posterior, speculating, cards=cards, draft_lengths=(0, 2, 5))),
    }


NAMES = ("bands", "one stage", "stages", "collapse", "fitted", "speedup", "trees", "policies", "tune", "plan")


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
