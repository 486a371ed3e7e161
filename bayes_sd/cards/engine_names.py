"""Engines as people and container images name them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any


@dataclass(frozen=True)
class EngineName:
    """An engine as it was understood.

    Attributes
    ----------
    family : str
        Such as ``vllm``, ``sglang``, ``trtllm``, ``dynamo-trtllm``; "unknown" where nothing is said.
    version : str or None
        Such as ``0.5.12.post1``.
    rest : str
        What else was said and matters ("V0", "(disaggregated)").
    """

    family: str
    version: str | None = None
    rest: str = ""

    @property
    def label(self) -> str:
        """The canonical text, ``family-version rest``; it means itself."""
        name = self.family + (f"-{self.version}" if self.version else "")
        return f"{name} {self.rest}".strip()


ENGINES: dict[str, str] = {
    r"tensor-?rt[-_ ]?llm|trt[-_ ]?llm|\btrt\b": "trtllm",
    r"sg[-_]?lang|\bsgl\b": "sglang",
    r"vllm": "vllm",
    r"(?:ik[-_])?llama[-_. ]?cpp|llama-server": "llamacpp",
    r"ollama": "ollama",
    r"text-generation-inference|\btgi\b": "tgi",
    r"lmdeploy": "lmdeploy",
    r"\batom\d*|rocm/atom": "atom",
    r"exllama\w*|tabbyapi": "exllama",
    r"mlc[-_ ]?llm": "mlc-llm",
}
AROUND = ("dynamo", "mori")
"""Layers round an engine (disaggregated serving, its transport), part of its family's name."""
DP_WITHIN_TP = ("sglang", "trtllm")
"""Engines whose tensor-parallel size counts the data-parallel ranks of attention (SGLang: ``--tp 8 --dp 8`` are 8 GPUs)."""
VERSION = r"\d+\.\d+(?:\.\d+)*(?:[.-]?(?:rc|post|dev|alpha|beta|a|b)\.?\d+)*"
_IMAGE = re.compile(r"(?:rocm|cuda|cu|ubuntu|py(?:thon|torch)?|torch|release_)[-_]?\d+(?:\.\d+)*", re.I)
"""Versions of other things in a container image's tag."""


def read_engine(text: object) -> EngineName:
    """Read an engine as tables and images name it.

    Parameters
    ----------
    text : object
        Such as ``vllm-0.24.0``, ``trt nvcr.io/nvidia/tensorrt-llm/release:1.2.0``, ``sglang
        lmsysorg/sglang:v0.5.12-rocm700-mi30x``, ``dynamo-trtllm (disaggregated)``.

    Returns
    -------
    EngineName
        A name that is not known stands as its family, in lower case up to a blank or version.
    """
    said = text.strip() if isinstance(text, str) else ""
    if not said or said.casefold() in ("unknown", "nan", "none"):
        return EngineName("unknown")
    lower = said.casefold()
    family = next((name for pattern, name in ENGINES.items() if re.search(pattern, lower)), None)
    around = next((word for word in AROUND if word in lower), "dynamo" if "-runtime:" in lower else None)
    version = _version(lower, family)
    if family is None:
        family = re.split(r"[\s(:]|[-_]v?\d+\.\d", lower, maxsplit=1)[0] or "unknown"
    elif around is not None:
        family = f"{around}-{family}"
    rest = " ".join(re.findall(r"\(disaggregated\)|\bv0\b(?!\.)", lower)).replace("v0", "V0")
    return EngineName(family, version, rest)


def layer_round(engine: str) -> str:
    """Give the layer round an engine with its hyphen, ``dynamo-`` of ``dynamo-vllm``; "" where there is none."""
    return next((f"{word}-" for word in AROUND if engine.strip().lower().startswith(f"{word}-")), "")


def gpus_of(record: Mapping[Any, Any]) -> float:
    """Give the GPUs of a deployment that does not say how many it has.

    Parameters
    ----------
    record : mapping
        Its ``prefill_gpus`` and ``decode_gpus`` where it has two pools, ``tp``, ``pp`` and ``dp``, where None and NaN mean 1, and
        the ``engine`` whose words they are: some count the data-parallel ranks in the tensor-parallel size.

    Returns
    -------
    float
    """
    pools = [_size(record.get(name), 0.0) for name in ("prefill_gpus", "decode_gpus")]
    if all(pools):
        return sum(pools)
    sizes = [_size(record.get(name), 1.0) for name in ("tp", "pp", "dp")]
    family = read_engine(record.get("engine")).family
    within = family.removeprefix(layer_round(family)) in DP_WITHIN_TP and sizes[0] % sizes[2] == 0
    return sizes[0] * sizes[1] * (1.0 if within else sizes[2])


def _size(size: object, default: float) -> float:
    return float(size) if isinstance(size, Real) and size == size else default


def _version(lower: str, family: str | None) -> str | None:
    if "-runtime:" in lower:  # an image of Dynamo's, whose version is not the engine's inside
        return None
    plain = _IMAGE.sub(" ", lower)
    words = "atom" if family == "atom" else r":|@|[-_ =/]|[a-z]"
    found = re.search(rf"(?:{words})v?({VERSION})", plain) or re.search(rf"(?:^|\D)v?({VERSION})", plain)
    return found[1].replace("-rc", "rc").replace("-post", ".post") if found else None
