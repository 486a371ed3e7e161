"""Whether a posterior can be trusted, as ``check`` says it."""

import json

import numpy as np
from click.testing import CliRunner

from bayes_sd.check.trusted import rows_left_out
from bayes_sd.cli import command


def test_rows_left_out_are_predicted_about_as_surely_as_claimed(small_fit, cards):
    found = rows_left_out(small_fit, cards)
    pit = found["pit"].to_numpy()
    assert len(pit) == len(small_fit.observed)
    assert ((pit >= 0) & (pit <= 1)).all()
    assert 0.3 < pit.mean() < 0.7
    assert np.mean((pit < 0.05) | (pit > 0.95)) < 0.3


def test_a_latency_that_none_expects_lies_in_the_tail(small_fit, cards):
    from dataclasses import replace

    tree = small_fit.tree.copy()
    observed = tree["observed"].to_dataset()
    values = observed["latency_s"].to_numpy().copy()
    values[7] *= 2.0
    tree["observed"] = type(tree)(observed.assign(latency_s=(("observation",), values)))
    assert rows_left_out(replace(small_fit, tree=tree), cards)["pit"].to_numpy()[7] > 0.95


def test_the_command_leads_with_a_verdict(small_trace):
    done = CliRunner().invoke(
        command, ["check", str(small_trace), "--loads", "1,32", "--longest", "3", "--draws", "200", "--json"]
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert "Left out" in found["verdict"]
    assert sum(d["rows"] for d in found["deployments"]) > 50
    assert {"stages", "acceptance", "drafting"} <= {g["group"] for g in found["priors"]}
    assert all(0 <= d["p_faster"] <= 1 for d in found["decisions"])
