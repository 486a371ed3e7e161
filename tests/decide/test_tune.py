"""Which draft length is best: probabilities that mean what they say, regrets, and a table that vLLM takes."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_sd.decide.schedule import batch_sizes, schedule, speculative_config, sweep_batch_sizes
from bayes_sd.decide.tune import judge, prepare_choices, tune
from bayes_sd.errors import ConditionError
from bayes_sd.forecast.sweep import sweep

EAGLES = [("eagle3", "EAGLE3-Llama-3.1-8B"), ("eagle", "EAGLE-Llama-3.1-8B")]


def swept(latency, drafters=None, loads=None, k=None):
    """A sweep made by hand, latency of shape (sample, alternative, load)."""
    latency = np.asarray(latency, dtype=float)
    n = latency.shape[1]
    dims = ("sample", "alternative", "load")
    drafters = drafters or ["", *["d"] * (n - 1)]
    return xr.Dataset(
        {"latency": (dims, latency), "stable": (dims, np.isfinite(latency))},
        coords={
            "alternative": [f"a{i}" for i in range(n)],
            "k": ("alternative", np.arange(n) if k is None else k),
            "drafter": ("alternative", drafters),
            "load": np.arange(1.0, latency.shape[2] + 1) if loads is None else loads,
        },
        attrs={"load_axis": "in-flight"},
    )


def test_probabilities_and_regrets_by_hand():
    latency = [[[1.0], [2.0]], [[1.0], [0.5]], [[4.0], [5.0]], [[1.0], [2.0]]]
    found = judge(swept(latency))
    assert np.allclose(found["p_best"][:, 0], [0.75, 0.25])
    assert np.allclose(found["relative_regret"][:, 0], [0.5 / 4, (0.5 + 0.2 + 0.5) / 4])
    assert np.allclose(found["regret"][:, 0], [0.5 / 4, 3.0 / 4])
    assert found["safe"][0] == 0 and found["probable"][0] == 0


def test_the_safe_choice_may_not_be_the_most_probable():
    """Best in two draws of three by a hair, and far behind in the third."""
    found = judge(swept([[[1.0], [1.01]], [[1.0], [1.01]], [[9.0], [1.0]]]))
    assert found["probable"][0] == 0 and found["safe"][0] == 1


def test_saturation_counts_as_all_speed_lost():
    inf = np.inf
    found = judge(swept([[[1.0, inf, inf], [inf, 2.0, inf]]] * 4))
    assert np.allclose(found["relative_regret"][:, :2], [[0.0, 1.0], [1.0, 0.0]])
    assert list(found["safe"].to_numpy()) == [0, 1, -1]
    assert np.isnan(found["p_best"][:, 2]).all()
    assert np.allclose(found["p_defined"], [1.0, 1.0, 0.0])


@pytest.fixture(scope="module")
def tuned(small_fit, base, cards):
    return tune(small_fit, base, [1, 8, 32, 128], cards=cards)


def test_one_is_best_in_every_draw(tuned):
    assert np.allclose(tuned["p_best"].sum("alternative"), 1.0)
    assert np.all(tuned["relative_regret"] >= 0.0)
    safe = tuned["relative_regret"].to_numpy()[tuned["safe"].to_numpy(), np.arange(4)]
    assert np.allclose(safe, tuned["safe_relative_regret"])
    assert np.all(safe <= tuned["relative_regret"].to_numpy().min(axis=0))


def test_the_best_draft_length_falls_as_load_grows(tuned):
    """What the paper finds, and every serving engine's users."""
    chosen = tuned["k"].to_numpy()[tuned["safe"].to_numpy()]
    assert chosen[0] > chosen[-1]
    assert np.all(np.diff(chosen) <= 0)


def test_drafters_are_compared_by_load(small_fit, base, cards):
    found = tune(small_fit, base, [1, 64], draft_lengths=(0, 2, 4), drafters=EAGLES, cards=cards)
    assert list(found["choice"].to_numpy()) == ["none", "EAGLE3-Llama-3.1-8B", "EAGLE-Llama-3.1-8B"]
    assert np.allclose(found["p_best_drafter"].sum("choice"), 1.0)
    assert "EAGLE-Llama-3.1-8B was never measured" in " ".join(found.attrs["caveats"])


@pytest.mark.parametrize("lengths", [(-1, 2), (0, 1.5), (0, 65), (0,), (3,)])
def test_draft_lengths_that_leave_no_choice(small_fit, base, cards, lengths):
    with pytest.raises(ConditionError, match=r"draft length"):
        prepare_choices(small_fit, base, lengths, cards=cards)


def test_batch_sizes_reach_from_one_to_the_cap():
    for largest in (1, 2, 63, 64, 65, 100, 256, 1024):
        sizes = batch_sizes(largest)
        assert sizes[0] == 1 and sizes[-1] == largest
        assert np.all(np.diff(sizes) > 0)


def check_vllm(table, longest):
    """The rules of vLLM's own check: inclusive ranges from 1 on, no overlap, K from 0 to num_speculative_tokens."""
    assert table[0][0] == 1
    end = 0
    for start, stop, k in table:
        assert start == end + 1 and stop >= start
        assert 0 <= k <= longest
        end = stop
    return end


def test_a_table_that_vllm_takes(small_fit, another, cards):
    base = another(max_num_seqs=192)
    rows = schedule(sweep_batch_sizes(prepare_choices(small_fit, base, cards=cards)))
    config = speculative_config(rows, "eagle3", base["drafter"].iloc[0], cards)
    assert (
        check_vllm(config["num_speculative_tokens_per_batch_size"], config["num_speculative_tokens"]) == 192
    )
    assert config["num_speculative_tokens"] == rows["k"].max()
    assert config["model"] == "yuhuili/EAGLE3-LLaMA3.1-Instruct-8B"
    assert np.all(rows["p_best"].between(0, 1)) and np.all(rows["relative_regret_most"] < 0.05)
    assert np.all(rows["k"] != rows["runner_up"])


def test_a_row_must_be_worth_writing():
    """k = 1 wins at one batch size of sixteen by two per mille: no row for that; by a fifth: its own row."""
    for better, expected in ((0.993, [[1, 16, 2]]), (0.8, [[1, 8, 2], [9, 9, 1], [10, 16, 2]])):
        latency = np.tile([[2.0], [1.0], [0.995]], (4, 1, 16))
        latency[:, 1, 8] *= better
        rows = schedule(swept(latency))
        assert rows[["start", "end", "k"]].to_numpy().tolist() == expected


def test_speculation_that_never_pays():
    rows = schedule(swept(np.tile([[1.0], [2.0], [3.0]], (4, 1, 16))))
    config = speculative_config(rows, "eagle3", "d")
    assert config["num_speculative_tokens_per_batch_size"] == [[1, 16, 0]]
    assert config["num_speculative_tokens"] == 1  # vLLM takes no 0 there


def test_one_drafter_for_one_engine():
    """The table is for the drafter that gives away least; its probabilities are among its own draft lengths."""
    latency = np.tile([[3.0], [2.0], [1.0]], (4, 1, 16))
    rows = schedule(swept(latency, ["", "slow", "fast"], k=[0, 2, 2]))
    assert list(rows["drafter"]) == ["fast"]
    rows = schedule(swept(latency, ["", "slow", "fast"], k=[0, 2, 2]), "slow")
    assert rows["p_best"].iloc[0] == 1.0
    with pytest.raises(ConditionError, match="slow, fast"):
        schedule(swept(latency, ["", "slow", "fast"]), "other")


def reliability(predicted, happened, least=150):
    """Share that happened in each decile of predicted probabilities that has enough cases, beside the mean predicted."""
    decile = np.minimum((10 * predicted).astype(int), 9)
    rows = [
        (predicted[decile == d].mean(), happened[decile == d].mean(), (decile == d).sum())
        for d in range(10)
        if (decile == d).any()
    ]
    return [(p, h) for p, h, n in rows if n >= least]


def test_probabilities_of_being_best_are_calibrated(small_fit, another, cards):
    """Truths drawn from the draws, two noisy measurements of each, the draws weighted by them: of the cases called 30 %
    likely 30 % happen, within 0.07 in each decile. 1,200 decisions at 2 loads, 9 alternatives each. The draws stand for
    all that may be true, so weighting them is exact, and what remains is the sampling error of the shares."""
    base = another(hardware="A100-SXM4-40GB", workload="never seen")
    prepared = prepare_choices(small_fit, base, cards=cards, seed=1)
    alternatives = sweep(prepared, [2.0, 24.0], "in-flight", ttft=False)
    latency = alternatives["latency"].to_numpy()
    measured = np.log(sweep(prepared, [1.0, 16.0], "in-flight", ttft=False)["latency"].to_numpy()[:, 5])
    rng, noise = np.random.default_rng(5), 0.1
    predicted, happened = [], []
    for truth in np.tile(np.arange(len(latency)), 3):
        seen = measured[truth] + noise * rng.normal(size=2)
        log_weight = -0.5 * (((measured - seen) / noise) ** 2).sum(axis=1)
        weight = np.exp(log_weight - log_weight.max())
        drawn = rng.choice(len(weight), 1000, p=weight / weight.sum())
        predicted.append(judge(alternatives.isel(sample=drawn))["p_best"].to_numpy())
        happened.append(latency[truth] == latency[truth].min(axis=0))
    rows = reliability(np.ravel(predicted), np.ravel(happened))
    assert len(predicted) >= 200
    assert len(rows) >= 5
    for probability, share in rows:
        assert abs(probability - share) < 0.07, rows


@pytest.mark.slow
def test_draft_lengths_chosen_from_simulated_tables(cards):
    """A simulated engine measured at k = 0, 2 and 5 and fitted; then asked for the best of k = 0..7. Gates, declared before
    any run: the safe choice loses under 3 % to the truly best one at each load, expected regrets included; the truly best
    one has a probability of at least 0.05 wherever it is better than the next by 2 %; and the mean probability of the
    truly best ones is above that of picking one of eight blindly."""
    from bayes_sd.latency.acceptance import expected_committed_iid
    from bayes_sd.latency.service import StageCosts, Work, service_latency_s, step_s
    from bayes_sd.measurements.table import check_condition
    from bayes_sd.model.spec import ModelSpec
    from bayes_sd.sample.fit import fit_frame
    from bayes_sd.sample.settings import SamplerSettings
    from bayes_sd.simulator import LoadSpec, ServerSpec, TokenLaw, simulate_ladder
    from bayes_sd.simulator.table import measurement_table

    costs = StageCosts(0.02, 2.5e-5, 0.0105, 0.0, 2e-5, 1.3e-5, 9e-8, 8e-4, 2e-6, 0.5)
    alpha, labels = 0.72, {
        "hardware": "A100-SXM4-80GB", "engine": "vllm", "verifier": "Llama-3.1-8B-Instruct", "precision": "fp16",
        "workload": "simulated", "source": "simulated",
    }  # fmt: skip
    drafting = labels | {"method": "eagle3", "drafter": EAGLES[0][1]}
    frames = []
    for k in (0, 2, 5):
        server = ServerSpec(
            costs, TokenLaw(500, 0, "fixed"), TokenLaw(256, 0, "fixed"), (alpha,) * k, 256,
            labels=drafting if k else labels | {"method": "none"},
        )  # fmt: skip
        loads = [LoadSpec("closed", n, 600) for n in (1, 2, 4, 8, 16, 32, 64, 128)]
        frames.append(measurement_table(simulate_ladder(server, loads, 11)))
    frame = read_back(pd.concat(frames, ignore_index=True))
    settings = SamplerSettings(draws=250, tune=500, chains=2, seed=5)
    posterior, _ = fit_frame(frame, ModelSpec(family="llama"), settings, cards)
    values = drafting | {
        "k": 5,
        "prompt_tokens": 500,
        "output_tokens": 256,
        "load_kind": "concurrency",
        "load_value": 1,
    }
    loads = np.array([1.0, 4.0, 16.0, 64.0, 128.0])
    found = tune(posterior, check_condition(values, "the test"), loads, draft_lengths=range(8), cards=cards)
    k = np.arange(8)[:, None]
    work = Work(500.0, 256.0, k, expected_committed_iid(alpha, k))
    truth = service_latency_s(costs, work, loads, step_s(costs, work, loads, 0.0))
    best = truth.argmin(axis=0)
    at = np.arange(len(loads))
    lost = 1.0 - truth.min(axis=0) / truth[found["safe"].to_numpy(), at]
    assert np.all(lost < 0.03)
    second = np.sort(truth, axis=0)[1]
    clear = second / truth.min(axis=0) > 1.02
    probability = found["p_best"].to_numpy()[best, at]
    assert np.all(probability[clear] > 0.05)
    assert probability.mean() > 1 / 8
    assert np.all(found["safe_relative_regret"] < 0.05)


def read_back(frame):
    """Pass a table through the reader, as a fit does."""
    import tempfile
    from pathlib import Path

    from bayes_sd.measurements import read_table

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "simulated.csv"
        frame.to_csv(path, index=False)
        return read_table(path)
