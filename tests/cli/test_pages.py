"""What commands print: the answer first, in 80 columns and 40 lines; JSON under --json; plain text in a pipe."""

import json
import re

import numpy as np
import pytest

CONDITIONS = (
    "hardware,verifier,precision,engine,method,drafter,k,workload,prompt_tokens,output_tokens,load_kind,load_value\n"
    "A100-SXM4-80GB,Llama-3.1-8B-Instruct,w:fp16 kv:fp16,vllm-0.24.0,none,,0,humaneval,207,341,concurrency,8\n"
    "A100-SXM4-80GB,Llama-3.1-8B-Instruct,w:fp16 kv:fp16,vllm-0.24.0,none,,0,humaneval,207,341,rate,1\n"
)
SIMULATE = (
    "simulate", "--prompt-tokens", "50", "--output-tokens", "20", "--verify-fixed-s", "0.01", "--n-requests", "200",
)  # fmt: skip
MORE_COMMANDS = {
    "tune to a file": ("tune", "TRACE", "--vllm", "v.json", "--output", "o.csv", "--figure", "f.svg"),
    "tune of drafters": (
        "tune",
        "TRACE",
        "--drafter",
        "EAGLE3-Llama-3.1-8B",
        "--drafter",
        "EAGLE-Llama-3.1-8B",
    ),
    "tune --policy": ("tune", "TRACE", "--policy", "--loads", "2:14:7"),
    "plan --split": ("plan", "TRACE", "--slo", "p95<5s", "--rate", "20", "--split", "--most-gpus", "6"),
}
COMMANDS = {
    "predict": ("predict", "TRACE", "--conditions", "c.csv"),
    "bands": ("bands", "TRACE"),
    "compare": ("compare", "TRACE", "OTHER", "--draws", "100"),
    "simulate": SIMULATE,
    "about": ("about", "TRACE"),
    "speedup": ("speedup", "TRACE"),
    "tune": ("tune", "TRACE"),
    "tree": ("tree", "TRACE"),
    "plan": ("plan", "TRACE", "--slo", "p95<6s", "--rate", "20"),
    "ask": ("ask", "TRACE", "Llama-3.1-8B fp16 on A100 vllm-0.24.0 eagle3 k=3 at 2 req/s, 200 in 150 out"),
    "cards": ("cards",),
}
FIRST = {
    "predict": "2 conditions answered: mean latency from",
    "bands": "mean latency of",
    "compare": "",
    "simulate": "Mean latency from",
    "about": "a fit of family llama to",
    "speedup": "peculate",
    "tune": "k =",
    "tree": "",
    "plan": "replica",
    "ask": "At 2 req/s mean latency is",
    "cards": "verifiers",
}
"""What the first paragraph says."""
ROWS = {
    "predict": "conditions", "bands": None, "compare": "models", "simulate": None, "about": "measured", "speedup": "loads",
    "tune": "loads", "tree": "loads", "plan": None, "ask": "draft_lengths", "cards": "found",
}  # fmt: skip
"""Under which name JSON has the table; None where it is the whole, or its own."""


@pytest.fixture
def said(call, small_trace, tmp_path, monkeypatch):
    """Run a command in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.csv").write_text(CONDITIONS)
    (tmp_path / "other.nc").write_bytes(small_trace.read_bytes())
    named = {"TRACE": small_trace, "OTHER": "other.nc"}

    def run(name, *more):
        code, out, err = call(*(named.get(word, word) for word in COMMANDS[name]), *more)
        assert code == 0, err
        return out

    return run


def check_page(out, first):
    """Check what every page promises."""
    lines = out.splitlines()
    assert first in " ".join(out.split("\n\n")[0].split())
    assert max(len(line) for line in lines) <= 80
    for table in re.findall(
        r"─{20,}\n(.*?)(?:\n\n|\Z)", out, flags=re.DOTALL
    ):  # a cell that is cut leaves half a bracket
        assert all(line.count("[") == line.count("]") for line in table.splitlines()), table
    assert len(lines) <= 40
    assert "…" not in out and "nan" not in out.split()
    assert not re.search(r"\x1b", out)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_answer_comes_first_and_all_fits(said, name):
    check_page(said(name), FIRST[name])


@pytest.mark.parametrize("name", MORE_COMMANDS)
def test_larger_pages_fit_too(call, small_trace, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    code, out, err = call(*(small_trace if word == "TRACE" else word for word in MORE_COMMANDS[name]))
    assert code == 0, err
    check_page(out, "")
    assert "inf" not in out.split()


def test_what_is_to_be_pasted_is_whole_over_several_lines(call, small_trace):
    _, out, _ = call("tune", small_trace)
    pasted = re.search(r"^vLLM: --speculative-config '(.*)'\Z", out.strip(), flags=re.DOTALL | re.MULTILINE)
    assert json.loads(pasted[1])["num_speculative_tokens_per_batch_size"]


@pytest.mark.parametrize(
    ("lines", "points", "kept"), [(34, 6, 3), (36, 6, 1), (10, 6, 6)], ids=["some", "most", "none"]
)
def test_what_matters_least_gives_way_where_a_page_is_full(capsys, lines, points, kept):
    from bayes_sd.cli.page import MOST_LINES, Page

    for explain in (False, True):
        page = Page(explain)
        page.lines(*["line"] * lines)
        page.notes("Mind:", [f"point {i}" for i in range(points)], points)
        page.print()
        out = capsys.readouterr().out
        assert out.count("- point") == (points if explain else kept)
        assert explain or len(out.splitlines()) <= MOST_LINES
        assert ("more with --explain" in out) == (not explain and kept < points)


@pytest.mark.parametrize("name", COMMANDS)
def test_json_is_json_and_nothing_else(said, name):
    answer = json.loads(said(name, "--json"))
    if ROWS[name]:
        assert answer[ROWS[name]]
    assert answer


@pytest.mark.parametrize("name", ["about", "cards", "ask"])
def test_a_table_goes_to_a_file(said, tmp_path, name):
    said(name, "--output", tmp_path / "o.csv")
    assert len((tmp_path / "o.csv").read_text().splitlines()) > 3
    said(name, "--output", tmp_path / "o.json")
    assert json.loads((tmp_path / "o.json").read_text())[ROWS[name]]


@pytest.mark.parametrize("name", ["about", "cards"])
def test_what_has_no_draws_is_no_netcdf_file(call, small_trace, name):
    trace = [small_trace] if name == "about" else []
    code, _, err = call(name, *trace, "--output", "o.nc")
    assert code == 2 and ".csv, .json" in err


def test_colour_on_a_terminal_but_not_where_it_is_unwanted(said, monkeypatch):
    """Weight of letters is no colour: NO_COLOR leaves it, and the words are the same."""
    plain = said("about")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    styled = said("about")
    assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|4[0-7]|9[0-7])[;m]", styled)
    assert re.sub(r"\x1b\[[0-9;]*m", "", styled).split() == plain.split()


class Fitted:
    """A fit of acceptance, as far as its page looks."""

    passed = True

    def __init__(self, table):
        self.about = {"gate": {"max_rhat": 1.001, "divergences": 0, "failures": []}}
        self.data = type("Data", (), {"counts": table, "lengths": table})


@pytest.fixture
def curves():
    import pandas as pd

    rows = []
    for pair in range(8):
        for workload in range(4):
            alpha = 0.9 - 0.1 * workload
            row = {
                "pair": f"Llama-3.1-8B-Instruct | some organisation/drafter {pair}",
                "workload": f"w{workload}",
            }
            for k in range(1, 9):
                committed = float(np.sum(alpha ** np.arange(k + 1)))
                row |= {f"alpha_{k}": alpha, f"E_{k}": committed}
                row |= {f"E_{k}_low": 0.9 * committed, f"E_{k}_high": 1.1 * committed}
            rows.append(row)
    return pd.DataFrame(rows)


def test_acceptance_leads_with_tokens_a_cycle(curves, capsys, tmp_path):
    from bayes_sd.cli.acceptance_page import print_acceptance

    print_acceptance(Fitted(curves), curves, [tmp_path / "a.nc"], 0.9, False)
    out = capsys.readouterr().out
    check_page(
        "\n".join(line for line in out.splitlines() if not line.startswith("wrote")),
        "A draft of 3 commits from",
    )
    assert "24 more workloads" in out
    print_acceptance(Fitted(curves), curves, [], 0.9, True)
    assert all(f"drafter {pair}" in " ".join(capsys.readouterr().out.split()) for pair in range(1))


def test_acceptance_has_a_picture(curves, tmp_path):
    from bayes_sd.plots.acceptance import plot_acceptance
    from bayes_sd.plots.style import save_figure

    figure = plot_acceptance(curves)
    assert len([a for a in figure.axes if a.get_visible()]) == 8
    assert save_figure(figure, tmp_path / "a.png").stat().st_size > 1000


def test_too_few_requests_for_the_clients_are_told(call):
    code, _, err = call(*SIMULATE[:-1], "50", "--concurrency", "64")
    assert code == 2 and "64 clients" in err and err.count("\n") == 1
