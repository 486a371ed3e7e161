"""What is round an engine computes nothing: its levels are those of the engine inside."""

import pytest

from bayes_sd.model.ages import Age
from bayes_sd.model.deployments import Deployment, engine_base, engine_family


@pytest.mark.parametrize(
    ("label", "family", "base"),
    [
        ("dynamo-trtllm-1.2.0 +disaggregated", "dynamo-trtllm", "trtllm"),
        ("dynamo-sglang-0.5.8.post1 +disaggregated", "dynamo-sglang", "sglang"),
        ("mori-sglang (2026-Q1)", "mori-sglang", "sglang"),
        ("dynamo-vllm", "dynamo-vllm", "vllm"),
        ("vllm-0.11.0 +batch_size", "vllm", "vllm"),
        ("vllm-0.8.5 V0", "vllm-v0", "vllm-v0"),
        ("dynamo", "dynamo", "dynamo"),
        ("", "unknown", "unknown"),
    ],
)
def test_layers_are_told_from_engines(label, family, base):
    assert (engine_family(label), engine_base(label)) == (family, base)


def test_pools_share_the_effects_of_the_engine_inside():
    age = Age("1.2.0", 0.4, True)
    plain, pools = (
        Deployment("DeepSeek-R1-0528", "GB300", 8, precision="w:fp4 kv:fp8", engine=engine, age=age)
        for engine in ("trtllm-1.2.0", "dynamo-trtllm-1.2.0 +disaggregated")
    )
    for kind in ("engine", "version", "hardware", "verifier"):
        assert plain.level(kind) == pools.level(kind)
    assert plain.stack != pools.stack and pools.level("parallel") == "parallel: pools"
