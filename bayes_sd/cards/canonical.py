"""Names as people write them: models with a format at their end, engines as container images, flags as numbers.

Everything that reads a name that a person or a tool wrote goes through here, so that one spelling means one thing in tables,
benchmark files, conditions and options. Nothing here needs a card; :meth:`bayes_sd.cards.Cards.verifier` uses it to find
one, :mod:`bayes_sd.cards.record` to settle a row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from numbers import Real

from bayes_sd.cards.names import key
from bayes_sd.errors import CardError

FORMATS: dict[str, str] = {
    r"fp8(-(dynamic|block|static|kv|e4m3|per-tensor|per-channel|tensor))?|w8a8-fp8|f8": "fp8",
    r"nvfp4(a16)?(-v\d)?|fp4(-v\d)?|nvfp4-qat": "fp4",
    r"mxfp4(-moe)?": "mxfp4",
    r"gptq-(int8|8bit|w8a16)|w8a16|8bit|bnb-8bit|int8-w8a16": "w8a16",
    r"gptq-(int3|3bit)": "gptq-3bit",
    r"(bnb|bitsandbytes|unsloth-bnb)(-4bit)?|nf4": "bnb-4bit",
    r"(awq|gptq)(-marlin)?(-(int4|4bit|w4a16|g128|128g))?|int4(-(awq|gptq|autoround|w4a16))?|w4a16(-(awq|gptq|g128))?"
    r"|autoround(-int4)?|4bit|qat-w4a16": "w4a16",
    r"w4a8|w4afp8": "w4a8",
    r"int8|w8a8|int8-w8a8|smoothquant": "int8",
    r"bf16|fp16|f16|bfloat16": "fp16",
    r"(i?q[2-8]-(k-[sml]|k|0|1|xs|xxs|s|m|nl))(-gguf)?": "",
    r"gguf|mlx|quantized|quant|qat|qat-q4-0": "",
}
"""Endings of a model's name, and the weight format that they mean (empty: the ending's own name, or none)."""
_SEPARATED = [(re.compile(rf"(.+?)[-.](?:{pattern})", re.I), name) for pattern, name in FORMATS.items()]
_GGUF = re.compile(r".+?[-.](i?q[2-8]-(?:k-[sml]|k|0|1|xs|xxs|s|m|nl))(?:-gguf)?", re.I)
TUNINGS = re.compile(
    r"-(instruct|chat|it|base|thinking|reasoning|hf|terminus|exp|speciale|preview|pt|orig|distill|assistant|v0\.\d|\d{4})$"
)
"""Endings of a model's name that say how it was trained, not what shape it has."""

HARDWARE_FILLERS = {
    "nvidia", "amd", "intel", "google", "cloud", "geforce", "tesla", "instinct", "radeon", "accelerator", "gpu", "gpus", "tensor",
    "core", "oam", "hbm", "hbm2", "hbm2e", "hbm3", "hbm3e", "gddr6", "gddr7", "generation", "graphics",
}  # fmt: skip
"""Words in a GPU's name that tell it from no other."""
COUNT_BEFORE = re.compile(r"(?P<n>\d{1,4})\s*[x×*]\s*(?P<name>\D.*)", re.I)
COUNT_AFTER = re.compile(r"(?P<name>.*[^x×*\s])(?:\s*[×*]|\s+x)\s*(?P<n>\d{1,4})", re.I)
MOST_GPUS = 1024
TRUE, FALSE = {"1", "1.0", "true", "yes", "y", "t"}, {"0", "0.0", "false", "no", "n", "f"}


def split_format(name: str) -> tuple[str, str | None]:
    """Take the weight format off a model's name.

    Parameters
    ----------
    name : str
        Such as ``Llama-3.1-8B-Instruct-FP8-dynamic`` or ``RedHatAI/Qwen3-8B-quantized.w4a16``.

    Returns
    -------
    base : str
        The name without it, as written.
    weights : str or None
        Name of the weight format; None where the name says none.
    """
    base, found = name.strip(), None
    while True:
        spelled = base.replace("_", "-")
        hit = next(((m, fmt) for rule, fmt in _SEPARATED if (m := rule.fullmatch(spelled))), None)
        if hit is None:
            return base, found
        match, meant = hit
        gguf = _GGUF.fullmatch(spelled)
        found = meant or (gguf[1].lower().replace("-", "_") if gguf else None) or found
        base = base[: match.end(1)]


def without_owner(name: str) -> str:
    """Take the organisation off a model's name: ``Qwen/Qwen3-8B`` is ``Qwen3-8B``."""
    return name.rstrip("/").rsplit("/", 1)[-1]


def stem(name: str) -> str:
    """Give what is left of a model's name without owner, format, training and date: what tells its shape.

    Parameters
    ----------
    name : str

    Returns
    -------
    str
        ``qwen3-30b-a3b`` of ``Qwen/Qwen3-30B-A3B-Instruct-2507-FP8``.
    """
    left = key(without_owner(split_format(name)[0]))
    while (shorter := TUNINGS.sub("", left)) != left and shorter:
        left = shorter
    return left.removeprefix("meta-") if left.startswith("meta-llama") else left


def spellings(name: str) -> tuple[str, ...]:
    """Give the keys under which a model's card may stand, the surest first."""
    base = split_format(name)[0]
    return tuple(dict.fromkeys(key(n) for n in (name, without_owner(name), base, without_owner(base))))


def hardware_spellings(name: str) -> tuple[str, ...]:
    """Give the keys under which a GPU's card may stand, the surest first.

    Parameters
    ----------
    name : str
        As people and drivers write it: ``NVIDIA H100 80GB HBM3``, ``AMD Instinct MI300X OAM``, ``Tesla V100-SXM2-32GB``.

    Returns
    -------
    tuple of str
        The name itself, and without makers, brands and kinds of memory.
    """
    whole = key(name)
    bare = "-".join(word for word in whole.split("-") if word not in HARDWARE_FILLERS)
    return tuple(dict.fromkeys((whole, bare)))


def split_count(name: str) -> tuple[str, int | None]:
    """Take the number of GPUs off hardware: ``8xH100``, ``2 x RTX 4090`` and ``H200 x4``.

    Parameters
    ----------
    name : str

    Returns
    -------
    hardware : str
        The name without it, as written.
    gpus : int or None
        None where the name says none.
    """
    found = COUNT_BEFORE.fullmatch(name.strip()) or COUNT_AFTER.fullmatch(name.strip())
    if found is None or not 1 <= int(found["n"]) <= MOST_GPUS:
        return name, None
    return found["name"].strip(), int(found["n"])


def read_flag(value: object) -> bool | None:
    """Read a flag as tables have it.

    Parameters
    ----------
    value : object
        A bool, a number or a text such as ``1``, ``1.0``, ``True``, ``yes``; None, NaN and "" mean not known.

    Returns
    -------
    bool or None

    Raises
    ------
    CardError
        If it is neither 0 nor 1.
    """
    if value is None or value == "" or value != value:
        return None
    text = str(value).strip().casefold()
    if text in TRUE or text in FALSE:
        return text in TRUE
    raise CardError(f"{value!r} is neither 0 nor 1")


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
    r"llama[-_. ]?cpp|llama-server": "llamacpp",
    r"text-generation-inference|\btgi\b": "tgi",
    r"lmdeploy": "lmdeploy",
    r"\batom\d*|rocm/atom": "atom",
    r"exllama\w*|tabbyapi": "exllama",
    r"mlc[-_ ]?llm": "mlc-llm",
}
AROUND = ("dynamo", "mori")
"""Layers round an engine (disaggregated serving, its transport) that make another engine of it."""
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


def gpus_of(tp: object, pp: object, dp: object, engine: object) -> float:
    """Give the GPUs of a deployment that does not say how many it has.

    Parameters
    ----------
    tp, pp, dp : number
        Its sizes; None and NaN mean 1.
    engine : str
        Whose words they are: some count the data-parallel ranks in the tensor-parallel size.

    Returns
    -------
    float
    """
    sizes = [float(size) if isinstance(size, Real) and size == size else 1.0 for size in (tp, pp, dp)]
    family = read_engine(engine).family.removeprefix("dynamo-").removeprefix("mori-")
    within = family in DP_WITHIN_TP and sizes[0] % sizes[2] == 0
    return sizes[0] * sizes[1] * (1.0 if within else sizes[2])


def _version(lower: str, family: str | None) -> str | None:
    if "-runtime:" in lower:  # an image of Dynamo's, whose version is not the engine's inside
        return None
    plain = _IMAGE.sub(" ", lower)
    words = "atom" if family == "atom" else r":|@|[-_ =/]|[a-z]"
    found = re.search(rf"(?:{words})v?({VERSION})", plain) or re.search(rf"(?:^|\D)v?({VERSION})", plain)
    return found[1].replace("-rc", "rc").replace("-post", ".post") if found else None
