"""The command and the files it reads and writes."""

import pytest
from click.testing import CliRunner

from bayes_sd.cli.simulate import simulate
from bayes_sd.errors import BayesSdError, ConditionError
from bayes_sd.measurements.table import read_table
from bayes_sd.simulator.server_file import read_server
from bayes_sd.simulator.spec import Experts

SERVER = """
[costs]
verify_fixed_s = 0.01
token_s = 1e-5
prefill_token_s = 2e-5
draft_fixed_s = 1e-3
[requests]
prompt_tokens = 100
output_tokens = 40
output_tokens_std = 10
[speculation]
acceptance = [0.7, 0.6]
[engine]
max_num_seqs = 16
[experts]
total = 32
active = 4
[labels]
hardware = "H100"
verifier = "demo"
"""


@pytest.fixture
def server_file(tmp_path):
    path = tmp_path / "server.toml"
    path.write_text(SERVER)
    return path


def run(*arguments):
    result = CliRunner().invoke(simulate, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_ladder_becomes_a_measurement_table(server_file, tmp_path):
    out, single = tmp_path / "table.csv", tmp_path / "requests.csv"
    loads = ["--rate", "1,5", "--concurrency", "4", "--n-requests", "60"]
    result = run(server_file, *loads, "-o", out, "--requests", single)
    assert result.exit_code == 0, result.output
    table = read_table(out)
    assert table["load_value"].tolist() == [4, 1, 5]
    assert table["load_kind"].tolist() == ["concurrency", "rate", "rate"]
    assert table["arrivals"].tolist()[1:] == ["poisson", "poisson"]
    assert set(table["hardware"]) == {"H100"}
    assert (table["k"] == 2).all()
    assert (table["max_num_seqs"] == 16).all()
    assert (table["n_experts"] == 32).all()
    assert (table["n_accepted_tokens"] < table["n_draft_tokens"]).all()
    assert (table["p99_e2e_s"] >= table["p50_e2e_s"]).all()
    lines = single.read_text().splitlines()
    assert len(lines) == 1 + 3 * 60


def test_same_seed_same_bytes(server_file, tmp_path):
    texts = []
    for seed in (7, 7, 8):
        out = tmp_path / "out.csv"
        run(server_file, "--rate", "3", "--n-requests", 50, "--seed", seed, "-o", out)
        texts.append(out.read_bytes())
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


def test_options_go_before_the_file(server_file):
    server = read_server(
        server_file, {"speculation": {"k": 3, "acceptance": [0.5]}, "costs": {"token_s": 2e-5}}
    )
    assert server.acceptance == (0.5, 0.5, 0.5)
    assert server.costs.token_s == 2e-5
    assert server.costs.verify_fixed_s == 0.01
    assert server.n_max == 16


def test_a_server_from_options_alone(tmp_path):
    out = tmp_path / "out.csv"
    costs = ["--verify-fixed-s", 0.01, "--prompt-tokens", 10, "--output-tokens", 5]
    run("--concurrency", 1, "--n-requests", 10, *costs, "-o", out)
    assert read_table(out)["mean_e2e_s"][0] == pytest.approx(0.05)


def test_a_saturated_load_is_named(server_file, tmp_path):
    result = run(server_file, "--rate", "500", "-o", tmp_path / "out.csv")
    assert "SATURATED" in result.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[costs]\nverify = 1.0\n", "did you mean 'verify_fixed_s'"),
        ("[cost]\nverify_fixed_s = 1.0\n", "did you mean 'costs'"),
        (SERVER.replace("verify_fixed_s = 0.01", "verify_fixed_s = '1'"), "must be a number"),
        ("[costs\n", "not valid TOML"),
        ("verify_fixed_s = 1.0\n", "outside a section"),
        ("[costs]\nverify_fixed_s = 1.0\n", "prompt_tokens is not said"),
        (SERVER.replace("[0.7, 0.6]", "[0.7, 1.6]"), "must lie in"),
        (SERVER.replace("acceptance = [0.7, 0.6]", "k = 4"), "acceptance is not said"),
        (SERVER.replace("[0.7, 0.6]", "[0.7, 0.6]\nk = 3"), "2 positions"),
        (SERVER.replace("active = 4", "active = 64"), "routed per token"),
        (SERVER.replace("active = 4\n", ""), "how many are active"),
        (SERVER.replace("max_num_seqs = 16", "max_num_seqs = 0"), "at least 1"),
        (SERVER.replace("max_num_seqs = 16", "max_num_seqs = 1.5"), "whole number"),
        (SERVER.replace('verifier = "demo"', 'method = "guess"'), "unknown method"),
    ],
)
def test_a_bad_server_file_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(BayesSdError, match=message) as caught:
        read_server(path)
    assert "\n" not in str(caught.value)


def test_bad_runs_leave_no_file(server_file, tmp_path):
    out = tmp_path / "out.csv"
    for more in (
        ["--rate", "-1"],
        ["--rate", "1", "--label", "colour=red"],
        ["--rate", "1", "--label", "x"],
    ):
        with pytest.raises(BayesSdError):
            run(server_file, *more, "-o", out)
    with pytest.raises(BayesSdError, match="it is the server's file"):
        run(server_file, "--rate", "1", "-o", server_file)
    with pytest.raises(BayesSdError, match="no such file"):
        run(tmp_path / "none.toml", "--rate", "1", "-o", out)
    assert not out.exists()
    assert run(server_file, "--rate", "one", "-o", out).exit_code == 2


def test_a_skew_past_any_popularity_is_refused():
    with pytest.raises(ConditionError, match="expert skew of 1e"):
        Experts(total=64, active=4, skew=1e308)
