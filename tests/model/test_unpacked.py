"""Weights in a number format that a GPU has no matrix units for: a level of its own, that earlier posteriors do not know."""

import numpy as np
import pandas as pd
import pytest

from bayes_sd.cards import load_cards
from bayes_sd.model.deployments import deployment_of
from bayes_sd.model.spec import KINDS, ModelSpec
from bayes_sd.model.terms.stages import effect_scales

ROW = {"verifier": "gpt-oss-120b", "engine": "vllm-0.11.0", "tp": 1, "precision": "mxfp4"}


@pytest.mark.parametrize(
    ("hardware", "precision", "unpacked"),
    [
        ("H100", "mxfp4", True),
        ("MI300X", "mxfp4", True),
        ("B200", "mxfp4", False),
        ("MI355X", "mxfp4", False),
        ("H100", "fp8", False),
        ("A100-SXM4-80GB", "fp8", True),
        ("A100-SXM4-80GB", "w4a16", False),  # 16-bit arithmetic on any GPU
    ],
)
def test_which_weights_a_gpu_unpacks(hardware, precision, unpacked):
    deployment = deployment_of(pd.Series(ROW | {"hardware": hardware, "precision": precision}), load_cards())
    assert deployment.unpacked == unpacked
    assert bool(deployment.level("unpacked")) == unpacked


def test_a_posterior_that_does_not_know_it_has_no_such_effect():
    spec = ModelSpec()
    earlier = {
        name: {k: v for k, v in value.items() if k != "unpacked"} if isinstance(value, dict) else value
        for name, value in spec.priors["spread"].items()
    }
    old = ModelSpec(priors=spec.priors | {"spread": earlier})
    place = KINDS.index("unpacked")
    for known, wanted in ((spec, 0.25), (old, 0.0)):
        assert effect_scales(("expert",), known)[0, place] == pytest.approx(wanted)
    others = [i for i in range(len(KINDS)) if i != place]
    both = [effect_scales(("verify", "kv"), s)[:, others] for s in (spec, old)]
    assert np.array_equal(*both)
