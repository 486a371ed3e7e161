"""Scores of held-out rows: what is held out, that a deployment counts once, and that finished fits are kept."""

import numpy as np
import pandas as pd
import pytest
from scoring import predictions, scores
from scoring.runner import Job, Store, run_jobs
from scoring.splits import MAKERS, make_splits, with_names


@pytest.fixture(scope="module")
def named(llama, cards):
    return with_names(llama.reset_index(drop=True), cards)


def held(frame, letter, **options):
    return [(s, frame[s.label != ""], frame[s.label == ""]) for s in make_splits(frame, letter, **options)]


def test_one_tensor_parallel_size_of_each_stack_stays_and_each_is_left_out(named):
    left_out = set()
    for _, out, kept in held(named, "t"):
        assert kept.groupby("stack")["tp"].agg(lambda tp: len(set(tp))).eq(1).all()
        left_out |= set(out["deployment"])
    several = named.groupby("stack")["tp"].agg(lambda tp: len(set(tp))) > 1
    assert left_out == set(named.loc[named["stack"].map(several), "deployment"])


def test_prompts_that_are_left_out_are_longer_than_all_that_stay(named):
    ((_, out, kept),) = held(named, "p")
    longest = kept.groupby("deployment")["prompt_tokens"].max()
    assert (out["prompt_tokens"] > 1.4 * out["deployment"].map(longest)).all()


@pytest.mark.parametrize(("letter", "column"), [("v", "verifier"), ("s", "source"), ("h", "hardware_name")])
def test_whole_levels_are_left_out_one_at_a_time(named, letter, column):
    for split, out, kept in held(named, letter):
        (name,) = set(out[column])
        assert name in split.fit
        assert name not in set(kept[column])


def test_a_drafting_source_left_out_leaves_its_plain_rows_and_other_speculation(named):
    for _, out, kept in held(named, "e"):
        assert (out["k"] > 0).all()
        assert (kept["k"] > 0).any()
        assert set(out["source"]) <= set(kept["source"])


def test_sources_go_out_together_or_are_refused(named):
    names = sorted(set(named["source"]))
    ((_, out, _),) = held(named, "s", wanted_sources="+".join(names[:2]))
    assert set(out["source"]) == set(names[:2])
    with pytest.raises(SystemExit, match="no row is of nowhere"):
        make_splits(named, "s", "nowhere")


def test_every_split_holds_out_rows_that_it_labels(named):
    for letter in MAKERS:
        for split, out, kept in held(named, letter):
            assert len(out)
            assert len(kept) > 1
            assert split.fit.startswith(letter)


def rows_of(deployment, inside, n):
    """Rows all inside their intervals, or all far above."""
    row = {
        "split": "b",
        "model": "hierarchical",
        "deployment": deployment,
        "median_s": 1.0,
        "pit": 0.5,
        "crps": 0.1,
    }
    row["latency_s"] = 1.1 if inside else 3.0
    for level in predictions.LEVELS:
        row |= {f"lower_{level:g}": 0.5, f"upper_{level:g}": 2.0}
    return [row] * n


def test_a_deployment_counts_once_whatever_its_rows():
    records = rows_of("A", True, 1) + rows_of("B", False, 99)
    (line,) = scores.summarise(pd.DataFrame(records)).to_dict("records")
    assert line["in_0.9"] == 0.5
    assert line["in_0.9_se"] == pytest.approx(0.5)
    assert line["width"] == pytest.approx(np.log(4.0))
    assert line["row_ape"] == pytest.approx(100.0 * 2.0 / 3.0)


def test_an_interval_without_an_upper_end_holds_what_is_above_it():
    records = rows_of("A", False, 2)
    for level in predictions.LEVELS:
        records[0][f"upper_{level:g}"] = np.inf
    scored = scores.with_scores(pd.DataFrame(records[:1]))
    assert scored["in_0.9"].item() == 1.0


def test_crps_of_a_point_is_the_absolute_error_and_of_normal_draws_the_known_formula():
    point = predictions.crps_log(np.full((50, 1), np.e), np.array([1.0]))
    assert point == pytest.approx([1.0])
    z = np.random.default_rng(1).normal(size=(200_000, 1))
    at_centre = (np.sqrt(2.0) - 1.0) / np.sqrt(np.pi)
    assert predictions.crps_log(np.exp(z), np.array([1.0])) == pytest.approx([at_centre], rel=0.01)


def pair(deployment, p, faster, k=5.0):
    latency = [1.0, 0.5 if faster else 2.0]
    return {
        "deployment": deployment, "load": 1.0, "k": [0.0, k], "latency_s": latency, "p_best": [1.0 - p, p],
        "p_faster": [p], "lower": [0.1], "median": [1.0], "upper": [10.0],
    }  # fmt: skip


def test_the_base_rate_gains_nothing_over_itself_and_knowing_gains_all():
    outcomes = [True] * 8 + [False] * 2
    constant = scores.faster_records([pair(str(i), 0.8, f) for i, f in enumerate(outcomes)])
    scored = scores.score_faster(constant)
    assert scored["gain"] == pytest.approx(0.0)
    assert scored["brier"] == pytest.approx(scored["base_brier"])
    knowing = scores.score_faster(
        scores.faster_records([pair(str(i), float(f), f) for i, f in enumerate(outcomes)])
    )
    assert knowing["brier"] == 0.0
    assert knowing["gain"] == pytest.approx(scored["base_log_loss"], abs=2e-3)


def test_pairs_of_one_deployment_are_one_error():
    """Ten pairs of each of two deployments, all right in one and all wrong in the other, are as good as two pairs."""
    pairs = [pair(d, 0.7, d == "right") for d in ("right", "wrong") for _ in range(10)]
    many = scores.score_faster(scores.faster_records(pairs))
    two = scores.score_faster(scores.faster_records(pairs[::10]))
    assert many["gain_se"] == pytest.approx(two["gain_se"])


def test_reliability_counts_every_pair_once():
    claims = [0.0, 0.05, 0.2, 0.5, 0.95, 1.0]
    table = scores.reliability(scores.faster_records([pair("A", p, True) for p in claims]))
    assert table["pairs"].sum() == len(claims)


def test_the_best_of_three_ways():
    three = {
        "deployment": "A", "load": 1.0, "k": [0.0, 1.0, 7.0], "latency_s": [3.0, 1.0, 2.0], "p_best": [0.1, 0.7, 0.2],
    }  # fmt: skip
    found = scores.score_best([three, pair("A", 0.5, True)])
    assert found["choices"] == 1
    assert found["log_loss"] == pytest.approx(-np.log(0.7))
    assert found["hit"] == 1.0
    assert scores.score_best([pair("A", 0.5, True)]) == {}


def test_choices_of_a_posterior(small_fit, a100, cards):
    frame = with_names(a100, cards)
    found = predictions.choices(frame, np.where(frame["k"] > 0, "e", ""))
    records = predictions.choice_records(small_fit, found, cards, 1)
    speculating = frame[frame["k"] > 0]
    # Every speculating row has its own load measured without speculation, bar those whose load was not.
    assert 0 < len(records) <= len(speculating)
    assert {r["deployment"] for r in records} <= set(frame["deployment"])
    for record in records:
        assert record["split"] == "e"
        assert sum(record["p_best"]) == pytest.approx(1.0)
        assert record["p_best"][1] == pytest.approx(record["p_faster"][0], abs=1e-6)
        assert record["lower"][0] <= record["median"][0] <= record["upper"][0]


CALLS = []


def double(x):
    CALLS.append(x)
    return {"doubled": 2 * x}


def test_finished_jobs_are_kept_and_a_line_that_was_cut_off_is_done_again(tmp_path):
    path = tmp_path / "done.jsonl"
    jobs = [Job({"x": x}, (x,)) for x in range(3)]
    CALLS.clear()
    first = run_jobs(jobs, double, Store(path))
    assert [r["doubled"] for _, r in first] == [0, 2, 4]
    assert run_jobs(jobs, double, Store(path)) == first
    assert CALLS == [0, 1, 2]
    path.write_text(path.read_text()[:-9])
    assert [r for _, r in run_jobs(jobs, double, Store(path))] == [r for _, r in first]
    assert CALLS == [0, 1, 2, 2]
    assert [r for _, r in run_jobs(jobs, double, Store(path))] == [r for _, r in first]
    assert len(CALLS) == 4


def refuse(x):
    from bayes_sd.errors import ModelError

    if x == 1:
        raise ModelError("no rows")
    return x


def test_a_job_that_fails_does_not_end_the_others(tmp_path, capsys):
    jobs = [Job({"x": x}, (x,)) for x in range(3)]
    assert [r for _, r in run_jobs(jobs, refuse, Store(None))] == [0, 2]
    assert "no rows" in capsys.readouterr().err
