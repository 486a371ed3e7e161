"""Routing and popularity of experts come back from a table simulated with them. Gates, declared before any run:

* what a draft token counts for (psi) and the skew of popularity are inside their central 99 % intervals, for two truths on either
  side of the priors' medians;
* psi is learned: its posterior is at most half as wide as its prior.
"""

import numpy as np
import pytest

from bayes_sd.latency.coverage import coverage_skewed, effective_tokens
from bayes_sd.latency.expert_load import busiest_expert_load
from bayes_sd.latency.service import StageCosts, Work, busiest_wait, service_latency_s, step_s
from bayes_sd.model.design import build_design
from bayes_sd.model.spec import ModelSpec
from bayes_sd.sample.fit import fit_frame, observations
from bayes_sd.sample.settings import SamplerSettings

NOISE = 0.01
BUSIEST_SHARE = 0.15
EXPERTS, ACTIVE = 128, 4


@pytest.fixture(scope="module")
def rows(cards):
    """The shape of a real table: one server with and without drafts, and the same GPU with other engines and sizes."""
    frame, _ = observations("gpt-oss", cards=cards)
    return frame[frame["hardware"].str.casefold().str.contains("h200")].reset_index(drop=True)


def simulated(rows, cards, psi, skew, seed):
    design = build_design(rows, cards)
    ideal = {k: v[design.rows["deployment"]] for k, v in design.levels.roofline.items()}
    token = 1.7 * ideal["compute_token_s"] + 2.0 * ideal["link_token_s"]
    costs = StageCosts(
        prefill_fixed_s=0.03,
        prefill_token_s=2.0 * ideal["compute_token_s"] + 2.0 * ideal["link_token_s"],
        verify_fixed_s=1.3 * ideal["weights_s"] + 55e-6 * ideal["layers"],
        verify_expert_s=1.4 * ideal["experts_s"],
        sequence_s=18e-6,
        token_s=token,
        kv_token_s=1.3 * ideal["kv_token_s"],
        draft_fixed_s=9e-4,
        draft_token_s=0.15 * token,
        draft_extra_steps=0.5,
    )
    k, n = design.rows["k"], design.rows["load"]
    work = Work(design.rows["prompt"], design.rows["output"], k, design.rows["committed"])
    tokens = effective_tokens(n, k, psi)
    covered = coverage_skewed(tokens, EXPERTS, ACTIVE, skew)
    wait = busiest_wait(BUSIEST_SHARE, busiest_expert_load(tokens, EXPERTS, ACTIVE, skew))
    latency = service_latency_s(costs, work, n, step_s(costs, work, n, covered, 1.0, wait))
    noise = np.random.default_rng(seed).normal(size=len(n))
    return design.frame.assign(
        latency_s=latency * np.exp(NOISE * noise), mean_ttft_ms=np.nan, mean_tpot_ms=np.nan
    )


@pytest.mark.slow
@pytest.mark.simulation
@pytest.mark.parametrize(("psi", "skew"), [(0.75, 0.45), (0.35, 0.28)])
def test_routing_and_popularity_come_back(rows, cards, psi, skew):
    frame = simulated(rows, cards, psi, skew, seed=int(100 * psi))
    spec = ModelSpec(family="gpt-oss", kernel=False)
    posterior, gate = fit_frame(frame, spec, SamplerSettings(draws=700, tune=300, chains=2, seed=3), cards)
    assert gate.max_rhat < 1.1
    logit = posterior.draws("logit_routing")
    low, high = np.quantile(logit, [0.005, 0.995])
    assert low <= np.log(psi / (1.0 - psi)) <= high
    assert logit.std() <= 0.5 * spec.priors["routing"]["independence_logit_sd"]
    low, high = np.quantile(posterior.draws("log_popularity_skew")[:, 0], [0.005, 0.995])
    assert low <= np.log(skew) <= high
