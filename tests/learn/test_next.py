"""What to measure next: which runs settle a decision, within a budget, and the plan that comes of it."""

import json

import numpy as np
import pytest

from bayes_sd.cli import command
from bayes_sd.cli.next_page import print_next
from bayes_sd.errors import ConditionError, DataError
from bayes_sd.learn.next_runs import next_runs
from bayes_sd.learn.runs import OtherRuns, candidate_runs
from bayes_sd.learn.search import Sought
from bayes_sd.learn.written import plan_of, runs_table
from bayes_sd.measure.plan import Done, next_point, points_expected
from bayes_sd.measure.planned import read_plan, write_plan
from bayes_sd.model.unseen import StandardNormals

DRAWS = 200


@pytest.fixture(scope="module")
def found(small_fit, unknown_text):
    return next_runs(
        small_fit,
        unknown_text,
        "k",
        draft_lengths=(0, 2, 5),
        loads=[16.0, 192.0],
        sought=Sought(900.0),
        draws=DRAWS,
    )


def rows_like(base, **columns):
    """Conditions like a base one, a row for each value of the columns."""
    import pandas as pd

    n = max(len(v) for v in columns.values())
    return pd.concat([base] * n, ignore_index=True).assign(**columns)


def test_a_run_of_the_unknown_text_is_worth_something_and_one_without_speculation_is_not(found):
    """What is not known is the acceptance of the prompts: a speculating run shows it, a plain one does not."""
    falls, plain = found["regret_fall"].to_numpy(), found["k"].to_numpy() == 0
    assert found.attrs["regret"] > 0.01
    assert falls[~plain].max() > 0.25 * found.attrs["regret"]
    assert falls[plain].max() < 0.5 * falls[~plain].max()
    assert np.all(falls < found.attrs["regret"] + 3.0 * found["regret_fall_error"].to_numpy())
    assert np.all((found["width_fall"] >= 0) & (found["width_fall"] <= 1))


def test_the_chosen_runs_fit_the_budget_and_lower_the_regret(found):
    elapsed, regret = found["elapsed_s"].to_numpy(), found["regret"].to_numpy()
    assert found.sizes["step"] >= 1
    assert elapsed[-1] <= found.attrs["budget_s"] and np.all(np.diff(elapsed) > 0)
    assert regret[0] < found.attrs["regret"] and np.all(np.diff(regret) <= 0)


def test_a_plan_is_measured_run_by_run(found, tmp_path):
    path = write_plan(tmp_path / "plan.json", *plan_of(found))
    servers = read_plan(path)
    assert sum(len(s.plan.listed) for s in servers) == found.sizes["step"]
    first = servers[0]
    assert first.workload == "never seen" and first.columns["hardware"] == "A100-SXM4-80GB"
    done, taken = Done(), []
    while (point := next_point(first.plan, done)) is not None:
        done.add(point, 1.0)
        taken.append((point.shape, point.load))
    assert tuple(taken) == first.plan.listed and len(taken) == points_expected(first.plan)
    chosen = int(found["chosen"].to_numpy()[0])
    assert taken[0][1].value == found["load_value"].to_numpy()[chosen]


def test_a_terminal_of_80_columns_holds_it(found, unknown_text, capsys):
    print_next(found, runs_table(found), unknown_text, [], explain=True)
    text = capsys.readouterr().out
    assert max(map(len, text.split("\n"))) <= 80
    assert "Safest if nothing is measured" in text and "Monte Carlo error" in text


def test_speculating_at_all_and_lengths_as_candidates(small_fit, unknown_text):
    candidates = rows_like(unknown_text, load_value=[1.0, 8.0], output_tokens=[340.0, 900.0])
    found = next_runs(
        small_fit,
        unknown_text,
        "speculate",
        candidates=candidates,
        loads=[64.0],
        sought=Sought(seed=1),
        draws=DRAWS,
    )
    assert found.sizes["run"] == 2 and "207+900 tokens" in str(found["run"].to_numpy()[1])


def test_replicas(small_fit, unknown_text):
    """Too few cost nine times what too many do: the safe number is about the 90 % quantile of those needed."""
    base = unknown_text.assign(load_kind="rate", arrivals="poisson")
    found = next_runs(
        small_fit, base, "replicas", slo="mean<6s", rate_rps=60.0, probability=0.9,
        candidates=rows_like(base, load_kind=["concurrency"] * 2, load_value=[1.0, 32.0]), sought=Sought(), draws=100,
    )  # fmt: skip
    assert found.attrs["choice"][0].startswith("60 requests/s: ")
    assert float(found["regret_fall"].max()) > 0


def test_luck_of_another_run_is_its_own_and_levels_are_the_same():
    mine, others = StandardNormals(50, 3), OtherRuns(50, 3)
    assert np.array_equal(mine.normal("misfit", "a"), others.normal("misfit", "a"))
    assert not np.array_equal(mine.normal("acceptance run", "c"), others.normal("acceptance run", "c"))


def test_more_clients_and_worse_prompts_take_longer(small_fit, unknown_text, cards):
    runs = candidate_runs(
        small_fit, rows_like(unknown_text, load_value=[1.0, 64.0], output_tokens=[64.0, 640.0]), cards
    )
    assert 0 < runs.seconds[0] < runs.seconds[1] < 200.0
    assert np.all(runs.elasticity > 0) and np.all(runs.elasticity < 1.05)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sought": Sought(budget_s=20.0)}, "shorter than any run"),
        ({"decide": "drafter"}, "name two or more"),
        ({"decide": "replicas"}, "--slo"),
        ({"sought": Sought(aim="luck")}, "regret, width"),
    ],
)
def test_bad_input_is_one_line(small_fit, unknown_text, changes, message):
    given = {"decide": "k", "draft_lengths": (0, 2), "loads": [4.0], "draws": 60} | changes
    with pytest.raises(ConditionError, match=message) as caught:
        next_runs(small_fit, unknown_text, **given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "no plan of runs"),
        ('{"format": 9, "servers": [{}]}', "format 9"),
        ('{"format": 1, "servers": [{"columns": {}, "runs": []}]}', "no runs"),
        ('{"format": 1, "servers": [{"columns": {}, "runs": [{"load_kind": "rate"}]}]}', "run 1: needs"),
    ],
)
def test_no_plan(tmp_path, content, message):
    path = tmp_path / "plan.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_plan(path)


def test_the_command_writes_a_plan(small_trace, tmp_path, capsys):
    plan = tmp_path / "plan.json"
    arguments = [
        "next",
        str(small_trace),
        "--workload",
        "unheard of",
        "--loads",
        "32",
        "--longest",
        "2",
        "--budget",
        "20m",
    ]
    command.main([*arguments, "--plan", str(plan), "--json"], standalone_mode=False)
    told = json.loads(capsys.readouterr().out)
    assert told["decide"] == "k" and len(told["runs"]) > 5
    if any(run["order"] for run in told["runs"]):
        assert read_plan(plan)
    with pytest.raises(ConditionError, match="write a time as"):
        command.main([*arguments, "--restart", "soon"], standalone_mode=False)
