"""``ask``: a condition in one line, answered."""

import json

import pytest

QUESTION = "Llama-3.1-8B fp16 on A100 vllm-0.24.0 eagle3 k=3 at 2 req/s, 200 in 150 out"


def test_a_question_is_understood_and_answered(call, small_trace):
    code, out, err = call("ask", small_trace, QUESTION)
    assert code == 0, err
    flat = " ".join(out.split())
    for words in (
        "Understood:",
        "verifier=Llama-3.1-8B",
        "load_value=2",
        "faster with probability",
        "Capacity of one such server:",
        "Rests on",
        "Draft length:",
        "is best with probability",
    ):
        assert words in flat


def test_words_need_no_quotes_and_clients_are_a_closed_loop(call, small_trace):
    words = ["Llama-3.1-8B", "on", "A100", "8", "clients", "200", "in", "150", "out"]
    code, out, err = call("ask", small_trace, *words, "--json")
    assert code == 0, err
    said = json.loads(out)
    assert said["load_axis"] == "in-flight"
    assert said["assumed"]
    assert {row["k"] for row in said["draft_lengths"]} == set(range(9))


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("Llama-3.1-8B on A100", "names no load"),
        ("Llama-3.1-8B on A100 at 0 req/s", "must be above 0"),
        ("Llama-3.1-8B on a toaster at 2 req/s", "'toaster' is not understood"),
        ("Llama-3.1-8B k=3 k=4 at 2 req/s", "says k twice"),
    ],
)
def test_bad_questions_are_one_line_and_exit_2(call, small_trace, question, says):
    code, _, err = call("ask", small_trace, question)
    assert code == 2
    assert says in err
    assert err.count("\n") == 1


def test_a_draft_length_that_is_not_said_is_the_best_at_the_load(call, small_trace):
    code, out, err = call("ask", small_trace, "Llama-3.1-8B fp16 on A100 vllm eagle3 at 4 clients", "--json")
    assert code == 0, err
    said = json.loads(out)
    drafting = [row for row in said["draft_lengths"] if row["k"] > 0]
    assert said["k"] == min(drafting, key=lambda row: row["relative_regret"])["k"]


def test_a_gpu_that_cannot_hold_the_model_is_said_with_the_bytes(call, small_trace):
    code, _, err = call(
        "ask", small_trace, "Llama-3.3-70B fp16 on A100 eagle3 k=3 at 2 req/s, 200 in 150 out"
    )
    assert code == 2 and err.count("\n") == 1
    assert "141" in err and "GB of weights" in err and "use at least 2" in err


@pytest.mark.parametrize("words", ["no spec", "k=0", "spec off"])
def test_a_question_without_speculation_is_compared_with_drafting(call, small_trace, words):
    question = f"Llama-3.1-8B fp16 on A100 vllm-0.24.0 {words} at 2 req/s, isl 200 osl 150"
    code, out, err = call("ask", small_trace, question, "--json")
    assert code == 0, err
    said = json.loads(out)
    assert any("without speculation" in one for one in said["assumed"])
    assert {row["k"] for row in said["draft_lengths"]} == set(range(9))
