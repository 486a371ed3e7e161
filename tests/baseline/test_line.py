import numpy as np
import pytest

from bayes_sd.baseline import fit_line, fit_lines
from bayes_sd.errors import ModelError

C1_S, C2_S = 2.0, 0.05


@pytest.mark.parametrize("n_rows", [2, 6])
def test_closed_loop_recovers_coefficients(n_rows):
    clients = np.geomspace(1, 128, n_rows)
    line = fit_line(C1_S + C2_S * clients, clients, np.zeros(n_rows, dtype=bool))
    assert line.c1_s == pytest.approx(C1_S, rel=1e-4)
    assert line.c2_s == pytest.approx(C2_S, rel=1e-4)


def test_open_loop_recovers_coefficients():
    rate = np.array([1.0, 5.0, 10.0, 15.0, 19.0])
    line = fit_line(C1_S / (1.0 - rate * C2_S), rate, np.ones(5, dtype=bool))
    assert line.c1_s == pytest.approx(C1_S, rel=1e-4)
    assert line.c2_s == pytest.approx(C2_S, rel=1e-4)


def test_both_loops_are_one_equation():
    clients = np.array([2.0, 30.0])
    latency = C1_S + C2_S * clients
    line = fit_line(latency, clients, np.zeros(2, dtype=bool))
    by_little = line.latency_s(clients / latency, np.ones(2, dtype=bool))
    np.testing.assert_allclose(by_little, latency, rtol=1e-3)


def test_past_saturation_is_infinite():
    line = fit_line(C1_S + C2_S * np.array([1.0, 10.0]), np.array([1.0, 10.0]), np.zeros(2, dtype=bool))
    assert np.isinf(line.latency_s(np.array([1.01 / C2_S]), np.array([True]))).all()


def test_falling_latency_gives_positive_coefficients():
    line = fit_line(np.array([2.0, 1.9, 1.8]), np.array([1.0, 2.0, 4.0]), np.zeros(3, dtype=bool))
    assert line.c1_s > 0
    assert line.c2_s >= 0


def test_one_load_is_refused():
    with pytest.raises(ModelError, match="load"):
        fit_line(np.array([2.0, 2.1]), np.array([4.0, 4.0]), np.zeros(2, dtype=bool))


def test_table_predicts_measured_configurations_only(make_table, cards):
    lengths = {"prompt_tokens": 512.0, "output_tokens": 128.0}
    rows = make_table(
        [
            lengths | {"load_value": n, "latency_s": C1_S + C2_S * n, "workload": "chat"}
            for n in (1.0, 8.0, 64.0)
        ]
        + [lengths | {"load_value": 1.0, "latency_s": 1.0, "workload": "once"}]
    )
    fits = fit_lines(rows, cards)
    assert len(fits.lines) == 1
    assert len(fits.refused) == 1
    asked = make_table(
        [
            lengths | {"load_value": 32.0, "workload": "chat"},
            lengths | {"load_value": 32.0, "workload": "once"},
            lengths | {"load_value": 32.0, "workload": "chat", "tp": 2},
        ]
    )
    found = fits.predict(asked)
    assert found[0] == pytest.approx(C1_S + C2_S * 32.0, rel=1e-4)
    assert np.isnan(found[1:]).all()


def test_open_loop_is_fitted_at_the_achieved_rate(make_table, cards):
    achieved = np.array([2.0, 9.0, 16.0])
    rows = make_table(
        [
            {
                "prompt_tokens": 512.0,
                "output_tokens": 128.0,
                "load_kind": "rate",
                "load_value": 1.05 * rate,
                "achieved_rps": rate,
                "latency_s": C1_S / (1.0 - rate * C2_S),
            }
            for rate in achieved
        ]
    )
    (line,) = fit_lines(rows, cards).lines.values()
    assert line.c2_s == pytest.approx(C2_S, rel=1e-4)


def test_no_sweep_at_all_is_refused(make_table, cards):
    row = {"prompt_tokens": 512.0, "output_tokens": 128.0, "load_value": 1.0, "latency_s": 1.0}
    with pytest.raises(ModelError, match="two loads"):
        fit_lines(make_table([row]), cards)
