"""Every option with every bad value: one line that says what is wrong with it."""

import os

import pytest
from bad_cases import VALUES, contents, faults, run

CONDITION = (
    "verifier", "hardware", "tp", "precision", "engine", "method", "k", "prompt-tokens", "output-tokens", "workload", "arrivals",
    "max-num-seqs", "drafter", "deployment", "set", "conditions", "row", "seed", "models",
)  # fmt: skip
MEASURE = [
    "measure", "--target", "http://127.0.0.1:9", "--output", "out.csv", "--hardware", "H100", "--engine", "e", "--verifier", "V",
    "--verifier-params-b", "8", "--precision", "bf16", "--method", "none",
]  # fmt: skip
SIMULATE = [
    "simulate", "--output", "out.csv", "--prompt-tokens", "50", "--output-tokens", "20", "--verify-fixed-s", "0.01",
    "--concurrency", "2", "--n-requests", "10",
]  # fmt: skip
CONFIG = """{"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32,
"num_hidden_layers": 32, "num_key_value_heads": 8, "vocab_size": 128256, "torch_dtype": "bfloat16"}"""
COMMANDS = {
    "speedup": (["speedup", "TRACE", "--loads", "1,2"], (*CONDITION, "loads", "load-axis", "ci", "figure", "output")),
    "tune": (["tune", "TRACE", "--loads", "1,2", "--longest", "2"], ("longest", "vllm", "loads", "ci")),
    "policy": (["tune", "TRACE", "--policy", "--loads", "1", "--longest", "2"], ("loads", "load-axis", "longest", "ci", "figure")),
    "tree": (["tree", "TRACE", "--loads", "1,2", "--deepest", "1", "--most-tokens", "3"],
             ("deepest", "most-tokens", "ranks", "rank-positions", "loads", "ci", "figure", "output")),
    "plan": (["plan", "TRACE", "--slo", "p95<9s"], ("rate", "probability", "price", "slo")),
    "next": (["next", "TRACE", "--loads", "4", "--longest", "1"], ("budget", "restart", "candidates", "slo", "rate")),
    "monitor": (["monitor", "TRACE"], ("interval", "false-alarm-rate", "windows", "request-cv", "metrics", "figure")),
    "advise": (["advise", "TRACE", "--longest", "1"], ("interval", "longest", "current", "forget", "margin", "sure", "metrics",
                                                      "prometheus", "vllm", "sglang", "run", "stop-after")),
    "predict": (["predict", "TRACE", "--conditions", "c.csv", "--output", "out.csv"], ("ci", "seed", "models", "conditions")),
    "compare": (["compare", "TRACE", "TRACE"], ("draws", "models", "output")),
    "ask": (["ask", "TRACE", "--longest", "1"], ("", "longest", "ci", "seed", "models", "output")),
    "about": (["about"], ("", "models", "output")),
    "explore": (["explore", "TRACE", "--output", "out.html"], (*CONDITION, "n-gpu", "dp", "acceptance", "fp16-tflops", "output")),
    "card": (["card", "config.json"], ("", "safetensors-index", "name", "family", "method", "verifier", "set", "hardware", "tp",
                                       "precision", "models")),
    "checkpoint": (["card"], ("",)),
    "cards": (["cards"], ("", "section", "models", "output")),
    "report": (["report", "--output", "out.html"], ("", "kind")),
    "simulate": (SIMULATE, ("concurrency", "rate", "n-requests", "k", "acceptance", "prompt-tokens", "output-tokens",
                            "output-tokens-std", "max-num-seqs", "experts", "skew", "verify-fixed-s", "label", "seed")),
    "fit": (["fit", "--family", "nosuch", "--output", "out.nc"], ("family", "draws", "tune", "chains", "cores", "seed",
                                                                  "target-accept", "moe", "models", "data")),
    "update": (["update", "TRACE", "--data", "c.csv", "--output", "out.nc"], ("data", "output", "seed", "models")),
    "check": (["check", "TRACE", "--loads", "1,8", "--longest", "2", "--draws", "100"], ("loads", "longest", "draws", "k", "seed")),
    "acceptance": (["acceptance", "--data", "c.csv", "--output", "out.nc"], ("data", "k", "ci", "draws", "tune", "chains", "seed")),
    "measure": (MEASURE, ("target", "shape", "clients", "max-clients", "rates", "repeats", "standard-error", "warm-up",
                          "point-requests", "point-seconds", "max-requests", "max-seconds", "timeout", "vocabulary", "extra-body",
                          "set", "seed", "prompts", "k", "tp")),
    "ingest": (["ingest", "c.csv", "--output", "out.csv"], ("meta", "set", "metrics", "hardware", "tp", "load-value")),
}  # fmt: skip
QUICK = ("fit", "measure", "ingest", "acceptance", "about", "card", "checkpoint", "cards", "report")
"""Commands that refuse before they compute anything."""


@pytest.mark.parametrize("step", [1, pytest.param(0, marks=pytest.mark.slow)])
@pytest.mark.parametrize("command", COMMANDS)
def test_bad_values(tmp_path, monkeypatch, small_trace, command, step):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.csv").write_text("hardware,verifier,prompt_tokens,output_tokens,load_kind,load_value\n")
    (tmp_path / "config.json").write_text(CONFIG)
    arguments, options = COMMANDS[command]
    base = [str(small_trace) if a == "TRACE" else a for a in arguments]
    values = [value for value in VALUES if "\0" not in value]  # an argument cannot hold it
    cases = [(option, value) for option in options for value in values]
    cases = cases[:: (7 if command in QUICK else 41) if step else 1]

    def ran():
        for option, value in cases:
            yield (option, value), run([*base, f"--{option}" if option else "--", value])

    assert faults(ran(), tmp_path / "out.csv") == []


@pytest.mark.parametrize("name", ["\x07\x08", "\x1b]0;title", "\u202eabc"])
def test_words_beside_a_result_show_control_characters(tmp_path, name):
    (tmp_path / "config.json").write_text(CONFIG)
    done = run(["card", tmp_path / "config.json", "--name", f"{name} api_key=opensesame"])
    assert (done.code, done.fault()) == (0, "")
    assert name.encode("unicode_escape").decode() in done.errors  # the card itself is on standard output
    assert "opensesame" not in done.errors


def test_bad_input_changes_no_file(tmp_path, monkeypatch, small_trace):
    monkeypatch.chdir(tmp_path)
    for name in ("out.csv", "c.csv", "notes.txt"):
        (tmp_path / name).write_text("old")
    kept = contents(tmp_path)
    for arguments in (["predict", small_trace, "--conditions", "c.csv"], ["ingest", "c.csv"]):
        done = run([*arguments, "--output", "out.csv"])
        assert done.code == 2
        assert contents(tmp_path) == kept
    assert sorted(os.listdir(tmp_path)) == sorted(kept)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--set", "tp=1", "--tp", "2"], "--set tp=... and --tp are both given: keep one"),
        (["--set", "output-tokens=1", "--output-tokens", "2"], "--output-tokens are both given"),
        (["--row", "2"], "--row is given without --conditions"),
    ],
)
def test_options_that_contradict_each_other(more, words):
    done = run(["speedup", "none.nc", *more])
    assert done.code == 2
    assert words in done.errors
