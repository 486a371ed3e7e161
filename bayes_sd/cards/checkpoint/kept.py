"""What a quantised checkpoint leaves at 16 bits, and which number format it is in, from its ``quantization_config``."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from typing import Any

from bayes_sd.cards.checkpoint.config import Config
from bayes_sd.cards.checkpoint.parts import EMBEDDING, EXPERTS, HEAD, LOOKUP, SMALL, Tensor
from bayes_sd.errors import CardError

LISTS = ("ignore", "ignored_layers", "modules_to_not_convert", "exclude_modules", "llm_int8_skip_modules")
"""Fields that list the modules left alone, one name a tool."""
NAMED: dict[str, str] = {"fp8": "fp8", "fbgemm_fp8": "fp8", "mxfp4": "mxfp4", "nvfp4": "fp4", "awq": "w4a16"}

ALGORITHMS: dict[str, str] = {
    "nvfp4": "fp4", "mxfp4": "mxfp4", "mxfp8": "mxfp8", "w4a8": "w4a8", "w8a16": "w8a16", "fp8": "fp8", "int4": "w4a16",
    "w4a16": "w4a16", "awq": "w4a16", "int8": "int8", "w8a8": "int8", "fp4": "fp4",
}  # fmt: skip
"""Weight formats by a word in the name of an algorithm, the surest first."""


def quantisation(config: Config) -> Mapping[str, Any]:
    """Give the ``quantization_config``, empty where there is none."""
    found = (
        config.raw("quantization_config") or config.raw("quantization") or config.raw("compression_config")
    )
    if found is None or isinstance(found, dict):
        return found or {}
    raise CardError(f"{config.where}: quantization_config is {found!r}: it must be an object")


def native_format(config: Config) -> str | None:
    """Give the weight format that a checkpoint is in, by its card's name; None at 16 bits or where it is not known."""
    if experts_narrower(config):
        return "mxfp4"
    found = quantisation(config)
    method = str(found.get("quant_method") or "").casefold()
    algorithm = str(found.get("quant_algo") or found.get("format") or "").casefold()
    if any(word in text for word in ("nvfp4", "mxfp4") for text in (algorithm, method)):
        return named_format(f"{algorithm} {method}")
    if method in NAMED:
        return NAMED[method]
    groups = found.get("config_groups")
    first: Any = next(iter(groups.values()), {}) if isinstance(groups, dict) else {}
    return group_format(as_object(first), found)


def named_format(algorithm: str) -> str | None:
    """Give the weight format of ModelOpt's word for one, as ``W4A16_NVFP4``; None for one that is not known."""
    text = algorithm.casefold()
    return next((fmt for word, fmt in ALGORITHMS.items() if word in text), None)


def group_format(group: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    """Give the weight format of one group of a compressed-tensors config, or of fields that stand for the whole.

    Parameters
    ----------
    group : mapping
        With ``weights`` and ``input_activations``; empty where there are no groups.
    found : mapping
        The whole config, whose fields hold for all weights.

    Returns
    -------
    str or None
        None where no field says it.
    """
    weights, inputs = as_object(group.get("weights")), as_object(group.get("input_activations"))
    algorithm = str(found.get("quant_algo") or found.get("format") or "").casefold()
    bits = weights.get("num_bits") or found.get("bits") or found.get("w_bit")
    if bits is None:
        bits = (
            4 if found.get("load_in_4bit") else 8 if "fp8" in algorithm or found.get("load_in_8bit") else None
        )
    floats = "float" in str(weights.get("type", "")) or "fp8" in algorithm
    if bits == 8:
        return "fp8" if floats else "int8" if inputs else "w8a16"
    if bits == 4:
        return "fp4" if floats else "w4a8" if inputs else "w4a16"
    return f"{bits:g}bit" if isinstance(bits, int | float) and 1 <= bits <= 16 else None


def experts_narrower(config: Config) -> bool:
    """Say whether a checkpoint holds its experts in 4 bits and the rest in 8 (DeepSeek-V4)."""
    return str(config.raw("expert_dtype") or "").casefold() == "fp4"


def as_object(value: Any) -> Mapping[str, Any]:
    """Give an object of a config; an empty one where something else stands."""
    return value if isinstance(value, dict) else {}


def kept(config: Config, tensors: Iterable[Tensor]) -> int:
    """Count the parameters outside routed experts that stay at 16 bits.

    Parameters
    ----------
    config : Config
    tensors : iterable of Tensor
        The checkpoint's weights.

    Returns
    -------
    int
        Embeddings, norms and biases always; of the matrices those that ``quantization_config`` lists. Without such a config
        the two embeddings, which nearly every quantised copy keeps.
    """
    found = quantisation(config)
    patterns = [p for name in LISTS for p in _texts(found.get(name))]
    # GPTQ says what it skips as "-:regex" keys, and of the output layer by a flag.
    patterns += ["re:" + key[2:] for key in as_object(found.get("dynamic")) if str(key).startswith("-:")]
    if not found:
        return sum(t.parameters for t in tensors if t.part in (EMBEDDING, HEAD))
    untouched = {EMBEDDING, SMALL} | (set() if found.get("lm_head") is True else {HEAD})
    return sum(
        t.parameters
        for t in tensors
        if t.part not in (EXPERTS, LOOKUP)
        and (t.part in untouched or any(matches(pattern, t.module) for pattern in patterns))
    )


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def matches(pattern: str, module: str) -> bool:
    """Say whether an entry of such a list means a module.

    Parameters
    ----------
    pattern : str
        ``re:REGEX``, a name with ``*``, a whole name, its beginning or any run of its words ("mlp.gate").
    module : str
        A module's name.

    Returns
    -------
    bool
    """
    if pattern.startswith("re:"):
        try:
            return re.match(pattern[3:], module) is not None
        except re.error:
            return False
    # A checkpoint that also sees calls its language model's layers by a longer name.
    pattern = re.sub(r"^(model\.)?language_model\.(model\.)?", "model.", pattern)
    if "*" in pattern:
        return fnmatch.fnmatchcase(module, pattern) or fnmatch.fnmatchcase(module, pattern + ".*")
    return f".{pattern}." in f".{module}."
