"""Known coefficients come back from tables simulated with them. Gates, declared before any run:

* the total slope of latency in load, and the cost of a verify step, are inside their central 99 % interval for every
  deployment, and their medians within 5 % of the truth;
* the acceptance of all cells is inside their joint 99 % intervals, round what their rows' runs happened to average;
* and those intervals are as wide as so many runs leave them: RUN_SD/√n, to within a quarter.
"""

from statistics import NormalDist

import numpy as np
import pytest

from bayes_sd.latency.acceptance import expected_committed_iid
from bayes_sd.latency.service import StageCosts, Work, linear_coefficients, service_latency_s, step_s
from bayes_sd.model.design import build_design
from bayes_sd.model.spec import ModelSpec
from bayes_sd.sample.fit import fit_frame
from bayes_sd.sample.settings import SamplerSettings

NOISE = 0.01
RUN_SD = 0.05
TRUE_ALPHA = 0.7


def true_costs(frame, cards):
    """Costs of each row's deployment: rooflines times efficiencies that are not the prior medians."""
    design = build_design(frame, cards)
    ideal = {k: v[design.rows["deployment"]] for k, v in design.levels.roofline.items()}
    token = 2.0 * ideal["compute_token_s"]
    return design, StageCosts(
        prefill_fixed_s=0.02,
        prefill_token_s=2.2 * ideal["compute_token_s"],
        verify_fixed_s=1.2 * ideal["weights_s"] + 60e-6 * ideal["layers"],
        verify_expert_s=0.0,
        sequence_s=20e-6,
        token_s=token,
        kv_token_s=1.4 * ideal["kv_token_s"],
        draft_fixed_s=9e-4,
        draft_token_s=0.15 * token,
        draft_extra_steps=0.4,
    )


@pytest.fixture(scope="module")
def simulated(a100, cards):
    rng = np.random.default_rng(8)
    design, costs = true_costs(a100, cards)
    frame = design.frame.copy()
    k = design.rows["k"]
    logits = np.log(TRUE_ALPHA / (1 - TRUE_ALPHA)) + RUN_SD * rng.normal(size=len(k))
    committed = np.where(k > 0, expected_committed_iid(1 / (1 + np.exp(-logits)), k.astype(int)), 1.0)
    work = Work(design.rows["prompt"], design.rows["output"], k, committed)
    n = design.rows["load"]
    latency = service_latency_s(costs, work, n, step_s(costs, work, n, 0.0))
    frame["latency_s"] = latency * np.exp(NOISE * rng.normal(size=len(n)))
    frame["mean_accepted_len"] = np.where(k > 0, committed, np.nan)
    frame["simulated_logit"] = logits
    frame["mean_ttft_ms"] = np.nan
    frame["mean_tpot_ms"] = np.nan
    settings = SamplerSettings(draws=2500, tune=600, chains=2, seed=5, target_accept=0.95)
    posterior, gate = fit_frame(
        frame, ModelSpec(family="llama", kernel=False, acceptance="iid"), settings, cards
    )
    return posterior, gate, frame, costs, work


def test_sampling_is_sound(simulated):
    _, gate, *_ = simulated
    assert gate.divergences <= 5  # of 5000 draws after a short warm-up; real fits are judged by the gate
    assert gate.max_rhat < 1.1


def test_linear_coefficients_come_back(simulated, cards):
    from bayes_sd.forecast.conditions import resolve
    from bayes_sd.forecast.costs import costs_for

    posterior, _, frame, costs, work = simulated
    resolved = resolve(frame, posterior, cards)
    found = costs_for(posterior, resolved, cards)
    drawn = linear_coefficients(
        found.costs, Work(resolved.prompt, resolved.output, resolved.k, found.committed)
    )
    truth = linear_coefficients(costs, work)
    for draws, true in zip(drawn, truth, strict=True):
        low, median, high = np.quantile(draws, [0.005, 0.5, 0.995], axis=0)
        inside = (low <= true) & (true <= high)
        assert inside.mean() >= 0.95
        assert np.abs(np.log(median / true)).max() < 0.05


def test_acceptance_comes_back(simulated, cards):
    """Some seven or eight runs a cell: their own mean is what can be learned, and its standard error how well."""
    posterior, _, frame, *_ = simulated
    design = build_design(frame, cards)
    cell, simulated_logit = design.rows["cell"], design.frame["simulated_logit"].to_numpy()
    own = [simulated_logit[cell == i] for i in range(len(design.coords["cell"]))]
    truth, error = (
        np.array(v) for v in zip(*[(v.mean(), RUN_SD / np.sqrt(len(v))) for v in own], strict=True)
    )
    slope = posterior.draws("acceptance_length_slope")[:, None]
    cells = posterior.draws("acceptance_cell") + slope * np.log(5 / 4)
    tail = 0.005 / cells.shape[1]  # all cells at once at 99 %
    # By the normal quantile: an empirical one so far out would rest on a single draw.
    reach = NormalDist().inv_cdf(1 - tail)
    assert np.all(np.abs(cells.mean(axis=0) - truth) <= reach * cells.std(axis=0))
    assert np.all(np.abs(np.log(cells.std(axis=0) / error)) <= np.log(1.25))
