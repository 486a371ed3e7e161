"""``bands`` of a configuration that options state."""

import json

import pytest

OWN = ("--verifier", "Llama-3.1-8B-Instruct", "--hardware", "A100", "--method", "none")


def test_options_give_a_configuration_and_its_loads(call, small_trace):
    code, out, err = call("bands", small_trace, *OWN, "--loads", "1,4", "--load-axis", "in-flight", "--json")
    assert code == 0, err
    rows = json.loads(out)
    assert all(row["configuration"].startswith("no speculation") for row in rows)
    assert {row["load_unit"] for row in rows} == {"requests in flight"}
    assert {1.0, 4.0} <= {row["load"] for row in rows}


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (OWN, "say at which loads"),
        (("--loads", "1,2"), "--loads is for"),
        ((*OWN, "--loads", "1,2", "--deployment", "x"), "keep one"),
        ((*OWN, "--loads", "1,2", "--conditions", "x.csv"), "keep one"),
        ((*OWN, "--loads", "1,2", "--load-axis", "utilisation"), "rate or in-flight"),
    ],
)
def test_what_cannot_be_meant_is_refused(call, small_trace, options, word):
    code, _, err = call("bands", small_trace, *options)
    assert code == 2 and err.count("\n") == 1 and word in err
