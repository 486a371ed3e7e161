"""The interactive page: what it says is what the package says, at any setting of its controls, in a browser of any width."""

import numpy as np
import pytest
from browser import coloured, hard_to_read, opened, resized, without_words

import bayes_sd as sd
from bayes_sd.cli import main
from bayes_sd.condition import Question, base_condition
from bayes_sd.decide.speedup import quantiles, ratio_of
from bayes_sd.decide.tune import judge
from bayes_sd.forecast.mixture import thinned
from bayes_sd.forecast.sweep import Alternative, prepare, sweep
from bayes_sd.latency.acceptance import expected_committed_iid
from bayes_sd.latency.tails import LEVELS
from bayes_sd.posterior import load_posterior
from bayes_sd.report.servers import DRAWS, packed

WORKLOAD = "humaneval"
CLOSE = 3e-3
"""How far a service curve of the page may be off: 16 bits a number, and straight lines between its points. A curve that is so much
too high is one under so much more load, in a unit of time that is so much longer."""
MAP = {"prompt_tokens": "prompt", "output_tokens": "output"}


@pytest.fixture(scope="module")
def page(small_trace, tmp_path_factory):
    """A page made as a user makes it, and what it is about."""
    path = tmp_path_factory.mktemp("explore") / "page.html"
    with pytest.MonkeyPatch.context() as patch:
        arguments = ["explore", str(small_trace), "--workload", WORKLOAD, "--output", str(path)]
        patch.setattr("sys.argv", ["bayes_sd", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    assert not ended.value.code
    whole = load_posterior(small_trace)
    posterior = thinned(whole, DRAWS)
    step = -(-whole.n_draws // posterior.n_draws)
    base, _ = base_condition(
        posterior, posterior.cards(), Question({"workload": WORKLOAD}), "rate", speculate=True
    )
    return path, posterior, base, step


@pytest.fixture(scope="module")
def window(page):
    with opened(page[0]) as browser:
        yield browser


SET = """
const [values, done] = [arguments[0], arguments[1]];
for (const [id, value] of values) {
  const control = document.getElementById(id);
  if (control.type === "checkbox") control.checked = value; else control.value = value;
  control.dispatchEvent(new Event(control.tagName === "SELECT" && id === "loop" ? "change" : "input", {bubbles: true}));
}
requestAnimationFrame(() => requestAnimationFrame(() => done(
  [...document.querySelectorAll("#table tbody tr")].map(tr => Object.fromEntries(
    [...tr.querySelectorAll("td[data-name]")].map(td => [td.dataset.name, td.dataset.value]))))));
"""


def shown(window, **controls):
    """Move the page's controls; give the rows of its table, one for each draft length, as numbers."""
    order = sorted(controls.items(), key=lambda item: item[0] != "loop")  # which sets a load of its own
    rows = window.execute_async_script(SET, order)
    return [{name: [float(v) for v in text.split(",")] for name, text in row.items()} for row in rows]


def stop(base, column, position):
    """Give the length at a stop of a slider."""
    factors = (0.25, 0.5, 1.0, 2.0, 4.0)
    return round(float(base[column].iloc[0]) * factors[position])


def by_package(page, load, axis, arrivals=None, **columns):
    """The package's own answer with the page's draws, for draft lengths 0 to 8, at this load and a little to either side."""
    _, posterior, base, _ = page
    base = base.assign(**columns)
    prepared = prepare(posterior, base, [Alternative(k) for k in range(9)])
    aside = CLOSE if axis == "rate" else 0.0
    return sweep(prepared, [load * (1.0 - aside), load, load * (1.0 + aside)], axis, arrivals, ttft=False)


CASES = [
    ({"loop": "poisson", "load": 4.0}, {}),
    ({"loop": "poisson", "load": 9.0, "prompt": 1, "output": 3}, {}),
    ({"loop": "even", "load": 5.0, "prompt": 4, "output": 1}, {}),
    ({"loop": "closed", "load": 24, "prompt": 3, "output": 2}, {}),
    ({"loop": "closed", "load": 1, "prompt": 0, "output": 4}, {}),
]


@pytest.mark.parametrize(("controls", "columns"), CASES)
def test_sliders_say_what_the_package_says(page, window, controls, columns):
    base = page[2]
    controls = {"prompt": 2, "output": 2, "learned": True} | controls
    rows = shown(window, **controls)
    for column, control in MAP.items():
        if controls[control] != 2:
            columns = columns | {column: float(stop(base, column, controls[control]))}
    axis = "in-flight" if controls["loop"] == "closed" else "rate"
    arrivals = None if axis == "in-flight" else controls["loop"]
    swept = by_package(page, controls["load"], axis, arrivals, **columns)
    near = swept["latency"].to_numpy()
    latency, judged = near[:, :, 1], judge(swept, None)
    lost = judged["relative_regret"].to_numpy()
    steady = np.isfinite(near).all()
    for i, row in enumerate(rows):
        low, _, high = quantiles(near[:, i], [0.05, 0.5, 0.95]).T
        assert np.all(row["latency"] >= low * (1.0 - CLOSE)) and np.all(
            row["latency"] <= high * (1.0 + CLOSE)
        )
        ratio = ratio_of(latency[:, 0], latency[:, i])
        if np.isfinite(latency).all() and near.max() < 1.02 * latency.max():
            np.testing.assert_allclose(row["speedup"], quantiles(ratio, [0.05, 0.5, 0.95]), rtol=4e-3)
        # Probabilities may differ by the draws that are all but tied.
        assert row["best"][0] == pytest.approx(float(judged["p_best"][i, 1]), abs=0.03)
        # What is given away may differ by those that reach saturation at this load or a little to either side.
        least, most = (lost[i, 1],) * 2 if steady else (lost[i].min(), lost[i].max())
        assert least - 3e-3 <= row["lost"][0] <= most + 3e-3


@pytest.mark.parametrize(
    ("loop", "load"), [("poisson", 4.0), ("poisson", 8.0), ("even", 6.0), ("closed", 32)]
)
@pytest.mark.parametrize("statistic", ["mean", "p50", "p95", "p99"])
def test_the_objective_is_held_as_predicted(page, window, loop, load, statistic):
    """Half of the draws hold the objective at the package's median, nine tenths at its upper decile."""
    _, posterior, base, _ = page
    kind = "concurrency" if loop == "closed" else "rate"
    frame = base.assign(
        load_kind=kind, load_value=float(load), arrivals="poisson" if loop == "poisson" else "even"
    )
    prediction = sd.predict(posterior, frame)
    times = prediction.latency_s[:, 0]
    if statistic != "mean":
        times = prediction.tails_s[:, 0, [f"p{100 * level:.0f}" for level in LEVELS].index(statistic)]
    k = int(base["k"].iloc[0])
    for share in (0.5, 0.9):
        slo = float(quantiles(times, [share])[0]) * 1.0005
        if not np.isfinite(slo):
            continue
        rows = shown(
            window, loop=loop, load=load, prompt=2, output=2, learned=True, statistic=statistic, slo=slo
        )
        assert rows[k]["held"][0] == pytest.approx(share, abs=0.08)


def test_a_stated_acceptance_is_that_of_a_condition_which_states_it(page, window):
    _, posterior, base, _ = page
    k, alpha = int(base["k"].iloc[0]), 0.4
    rows = shown(window, loop="poisson", load=3.0, prompt=2, output=2, k=k, learned=False, alpha=alpha)
    stated = float(expected_committed_iid(np.array(alpha), np.array(k)))
    frame = base.assign(load_value=3.0, arrivals="poisson", mean_accepted_len=stated, acceptance=np.nan)
    band = quantiles(sd.predict(posterior, frame).latency_s[:, 0], [0.05, 0.5, 0.95])
    np.testing.assert_allclose(rows[k]["latency"], band, rtol=CLOSE)
    better = shown(window, loop="poisson", load=3.0, learned=False, alpha=0.9)
    assert better[k]["latency"][1] < rows[k]["latency"][1]


def test_the_answer_names_what_was_asked(window):
    shown(window, loop="closed", load=2, k=3, learned=True)
    assert "k = 3" in window.find_element("id", "answer").text
    assert "2 clients" in window.find_element("id", "answer").text
    shown(window, loop="poisson", load=500.0)
    assert "neither server keeps up" in window.find_element("id", "answer").text


def test_a_page_fits_every_width_in_light_and_dark(window):
    for scheme in ("light", "dark"):
        coloured(window, scheme)
        for width in (400, 600, 800, 1200, 1600):
            resized(window, width)
            shown(window, loop="poisson", load=4.0)
            wide = window.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, (scheme, width)
    colours = "const s = getComputedStyle(document.body); return s.color + ' on ' + s.backgroundColor"
    dark = window.execute_script(colours)
    coloured(window, "light")
    assert window.execute_script(colours) != dark
    assert hard_to_read(window) == {}
    assert without_words(window) == []
    assert window.get_log("browser") == []


def test_keyboard_and_screen_reader_get_everything(window):
    """Every control can be reached and has a name; the answer is spoken; charts have words."""
    names = window.execute_script(
        "return [...document.querySelectorAll('input, select')].map(c => [c.id, c.tabIndex, c.ariaLabel || "
        "(c.getAttribute('aria-labelledby') && document.getElementById(c.getAttribute('aria-labelledby')).textContent) || "
        "(c.labels[0] && c.labels[0].textContent)])"
    )
    assert len(names) >= 10
    assert all(index == 0 and name and name.strip() for _, index, name in names), names
    before = window.find_element("id", "k").get_attribute("value")
    window.execute_script("document.getElementById('k').focus()")
    from selenium.webdriver.common.keys import Keys

    window.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert window.find_element("id", "k").get_attribute("value") != before
    from selenium.webdriver.support.ui import WebDriverWait

    spoken = "return document.getElementById('spoken').textContent"
    WebDriverWait(window, 10).until(lambda w: "probability" in w.execute_script(spoken))
    assert all(
        window.execute_script(
            "return [...document.querySelectorAll('.chart')].map(c => c.getAttribute('aria-labelledby'))"
        )
    )


def test_the_page_is_one_small_file_that_asks_nobody(page):
    text = page[0].read_text(encoding="utf-8")
    assert page[0].stat().st_size < 5e6
    assert "default-src 'none'" in text
    assert not [word for word in ("http://", "https://", '<link rel="stylesheet', " src=") if word in text]


def test_packing_keeps_numbers_to_a_part_in_a_thousand():
    values = np.concatenate([[0.0], np.geomspace(1e-6, 1e6, 1000)])
    codes, low, step = packed(values)
    back = np.where(codes > 0, np.exp(low + step * (codes.astype(float) - 1.0)), 0.0)
    np.testing.assert_allclose(back, values, rtol=1e-3)
    assert back[0] == 0.0


@pytest.mark.parametrize("option", [["--output", "page.pdf"], ["--method", "none"]])
def test_what_cannot_be_explored_is_refused(small_trace, monkeypatch, capsys, tmp_path, option):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["bayes_sd", "explore", str(small_trace), *option])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert len(said.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
