"""Which architectures are counted for sure, from their shapes with a word of doubt, or not at all."""

from __future__ import annotations

from bayes_sd.cards.checkpoint.config import Config
from bayes_sd.errors import CardError

KNOWN = (
    "afmoe", "apertus", "arcee", "bailing_moe", "bamba", "bloom", "chatglm", "cohere", "cohere2", "cohere2_moe",
    "deepseek_v2", "deepseek_v3", "deepseek_v32", "deepseek_v4", "dots1", "ernie4_5", "ernie4_5_moe",
    "exaone", "exaone4", "exaone_moe", "falcon", "flex_olmo", "gemma", "gemma2", "gemma3", "gemma4", "glm",
    "glm4", "glm4_moe", "glm4_moe_lite", "glm_moe_dsa", "gpt2", "gpt_bigcode", "gpt_neox", "gpt_oss", "gptj",
    "granite", "granitemoe", "granitemoehybrid", "granitemoeshared", "helium", "hy_v3", "internlm2", "internlm3",
    "kimi_k2", "kimi_k25", "kimi_k3", "kimi_linear", "laguna", "llama", "llama4", "mimo_v2_flash", "minicpm3", "minimax",
    "minimax_m2", "minimax_m3", "minimax_m3_vl", "ministral", "ministral3", "mistral", "mistral3", "mistral4", "mixtral",
    "mpt", "muse_glimmer", "nanochat", "nemotron", "nemotron-nas", "nemotron_h", "olmo", "olmo2", "olmo3", "olmo_hybrid",
    "olmoe", "opt", "persimmon", "phi", "phi3", "phimoe", "qwen2", "qwen2_moe", "qwen2_vl", "qwen2_5_vl", "qwen3",
    "qwen3_moe", "qwen3_next", "qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe", "seed_oss", "smollm3",
    "solar_open", "stablelm", "starcoder2", "step3", "step3p5", "step3p7",
)  # fmt: skip
"""Architectures whose counts agree to 1 % with a published one, or with the class of that name in transformers 5.24."""
UNCOUNTED = (
    "bart", "bert", "bitnet", "blt", "doge", "gemma3n", "hrm", "inkling", "jetmoe", "lfm2", "lfm2_moe", "lfm3", "longcat_flash",
    "moshi", "recurrent_gemma", "roberta", "t5",
)  # fmt: skip
"""Architectures with layers that no rule here counts."""
UNCOUNTED_FIELDS = (
    "mamba_", "ssm_", "state_size", "conv_L_cache", "lru_width", "rwkv", "zero_expert", "type_vocab_size",
)  # fmt: skip
"""How the fields of such layers begin in any other architecture."""


def refuse_uncounted(config: Config) -> None:
    """Refuse an architecture with layers that no rule here counts; a count without them would look right and be wrong.

    Parameters
    ----------
    config : Config

    Raises
    ------
    CardError
        Naming the architecture, and the fields by which it was told.
    """
    if config.model_type in KNOWN:
        return
    marks = sorted(
        n for n in config.values if n.startswith(UNCOUNTED_FIELDS) and config.values[n] is not None
    )
    if marks or config.model_type in UNCOUNTED:
        words = f" (it has {', '.join(marks[:3])})" if marks else ""
        raise CardError(
            f"{config.where}: architecture {config.model_type!r} has layers that are not counted{words}: "
            "write its card by hand, with the fields of another in models/"
        )
