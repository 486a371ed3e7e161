"""A member of another type than the tool writes is refused or passed over, never a traceback."""

import copy
import json
import random

import pytest
from benchmark_files import DETAILS, SPECULATION, guidellm_benchmark, guidellm_report, steady, vllm_result

from bayes_sd.errors import DataError
from bayes_sd.measurements.readers import ingest

WRONG = (None, "x", -1, 0, [None], {})
TOOLS = ("guidellm", "vllm", "sglang", "aiperf", "inference-perf")
GIVEN = {
    "hardware": "h",
    "tp": 1,
    "engine": "e",
    "verifier": "v",
    "precision": "bf16",
    "method": "eagle3",
    "drafter": "d",
    "k": "unknown",
    "arrivals": "poisson",
}


def places(value, depth, path=()):
    """Every member down to a depth, and the first element of each list."""
    items = (
        value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    )
    for key, inner in items:
        yield (*path, key)
        if depth > 1:
            yield from places(inner, depth - 1, (*path, key))


def changed(document, path, value):
    document = copy.deepcopy(document)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return document


def documents(fixtures):
    def load(name):
        return json.loads(
            (fixtures / name).read_text().splitlines()[0]
            if name.endswith("l")
            else (fixtures / name).read_text()
        )

    spec = {
        "acceptance_histogram": [1, 1],
        "num_spec_steps": 2,
        "num_draft_tokens": 2,
        "num_accepted_draft_tokens": 1,
    }
    return {
        "guidellm": (guidellm_report(guidellm_benchmark(steady(2, spec=spec))), 7),
        "vllm": (vllm_result(**SPECULATION, **DETAILS), 2),
        "sglang": (load("sglang_details.jsonl"), 2),
        "aiperf": (load("aiperf_concurrency.json"), 3),
        "inference-perf": (load("inference_perf_rate.json"), 4),
    }


def changes(document, depth):
    return [(path, value) for path in places(document, depth) for value in WRONG]


def check(save, document, given, path, value):
    try:
        ingest([save(changed(document, path, value))], given)
    except DataError as error:
        message = str(error)
    except Exception as error:
        raise AssertionError(f"{'.'.join(map(str, path))} = {value!r}") from error
    else:
        message = ""
    assert "\n" not in message, path


def what_is_given(tool):
    said = {"sglang": {"k", "method", "drafter", "arrivals"}, "guidellm": {"arrivals"}}.get(tool, set())
    return {name: value for name, value in GIVEN.items() if name not in said}


@pytest.mark.parametrize("tool", TOOLS)
def test_members_of_a_wrong_type(fixtures, save, tool):
    document, depth = documents(fixtures)[tool]
    ingest([save(document)], what_is_given(tool))
    for path, value in random.Random(1).sample(changes(document, depth), 80):
        check(save, document, what_is_given(tool), path, value)


@pytest.mark.slow
@pytest.mark.parametrize("tool", TOOLS)
def test_every_member_with_every_wrong_type(fixtures, save, tool):
    document, depth = documents(fixtures)[tool]
    for path, value in changes(document, depth):
        check(save, document, what_is_given(tool), path, value)
