"""Names as people write them: models with a format at their end, GPUs with a number before them, flags as numbers.

Everything that reads a name that a person or a tool wrote goes through here, so that one spelling means one thing in tables,
benchmark files, conditions and options. Nothing here needs a card; :meth:`bayes_sd.cards.Cards.verifier` uses it to find
one, :mod:`bayes_sd.cards.record` to settle a row.
"""

from __future__ import annotations

import re

from bayes_sd.cards.names import key
from bayes_sd.errors import CardError

_FOUR, _EIGHT = "(int-?4|4-?bit)", "(int-?8|8-?bit)"
_LLAMACPP = r"i?q[1-8]-(?:k-[sml]|k|0|1|xs|xxs|s|m|nl)"
FORMATS: dict[str, str] = {
    r"(quark-|modelopt-|ptpc-|fbgemm-)?(fp8|f8|float8)"
    r"(-(dynamic|block|block-?wise|static|kv|e4m3(fn)?|e5m2|per-?tensor|per-?channel|tensor|w8a8))*|w8a8-fp8|e4m3(fn)?|e5m2": "fp8",
    r"(modelopt-)?(nvfp4(a16)?(-v\d)?|fp4(-v\d)?|nvfp4-qat)": "fp4",
    r"(quark-)?mxfp4(-moe)?": "mxfp4",
    rf"gptq-({_EIGHT}|w8a16)|w8a16|8-?bit|(bnb|bitsandbytes)-{_EIGHT}|llm-int8|(int8|fp8)-(w8a16|weight-only)|experts-int8": "w8a16",
    r"gptq-(int3|3-?bit)": "gptq-3bit",
    r"(bnb|bitsandbytes|unsloth-bnb)(-(nf4|4-?bit))?|nf4": "bnb-4bit",
    rf"(awq|gptq)(-marlin)?(-({_FOUR}|w4a16|g128|128g))?|int4(-(awq|gptq|autoround|w4a16|g128|weight-only))?|int4wo"
    r"|w4a16(-(awq|gptq|g128))?|autoround(-int4)?|4bit|qat-w4a16": "w4a16",
    r"w4a8|w4afp8": "w4a8",
    r"int8|w8a8|int8-w8a8|w8a8-int8|smoothquant": "int8",
    r"bf16|fp16|f16|bfloat16|float16": "fp16",
    rf"{_LLAMACPP}(-gguf)?": "",
    r"gguf|mlx|quantized|quant|qat|qat-q4-0": "",
}
"""Formats as people write them, blanks as dashes, and the weight format that they mean (empty: their own name, or none)."""
_SEPARATED = [
    # A model's name says its format last, but for a bracket round it or how finished the checkpoint is.
    (re.compile(rf"(.+?)(?:[-.:]|\s*[(\[])(?:{pattern})[)\]]?(?:-preview)?", re.I), name)
    for pattern, name in FORMATS.items()
]
_GGUF = re.compile(rf".+?(?:[-.:]|\s*[(\[])({_LLAMACPP})(?:-gguf)?[)\]]?", re.I)
TUNINGS = re.compile(
    r"-(instruct|chat|it|base|thinking|reasoning|hf|terminus|exp|speciale|preview|pt|orig|distill|assistant|v0\.\d|\d{4})$"
)
"""Endings of a model's name that say how it was trained, not what shape it has."""

HARDWARE_FILLERS = {
    "nvidia", "amd", "intel", "google", "cloud", "geforce", "tesla", "instinct", "radeon", "accelerator", "gpu", "gpus", "tensor",
    "core", "oam", "hbm", "hbm2", "hbm2e", "hbm3", "hbm3e", "gddr6", "gddr7", "generation", "graphics", "hgx", "apple", "huawei",
    "aws",
}  # fmt: skip
"""Words in a GPU's name that tell it from no other."""
COUNT_BEFORE = re.compile(r"(?P<n>\d{1,4})\s*[x×*]\s*(?P<name>\D.*)", re.I)
COUNT_AFTER = re.compile(r"(?P<name>.*[^×*\s])(?:\s*[×*]|\s+x)\s*(?P<n>\d{1,4})", re.I)
COUNT_TIGHT = re.compile(r"(?P<name>.*[^×*\s])x(?P<n>[1-9]\d?)", re.I)
"""``b200x8``; of at most two digits, since names of GPUs end in ``X 1550`` and ``TX3060``."""
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


CACHED = re.compile(r"(?:.*/)?models--.+?--([^/]+?)(?:/snapshots/.*)?/?")
"""A model's folder in Hugging Face's cache."""


def without_owner(name: str) -> str:
    """Take the organisation, or folders, off a model's name: ``Qwen/Qwen3-8B`` is ``Qwen3-8B``."""
    cached = CACHED.fullmatch(name)
    return cached[1] if cached else name.rstrip("/").rsplit("/", 1)[-1]


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


def squeezed(name: str) -> str:
    """Give a model's :func:`stem` without what people leave out between letters and digits.

    Parameters
    ----------
    name : str

    Returns
    -------
    str
        ``llama3-1-8b`` of ``Llama-3.1-8B``, ``llama3.1:8b`` and ``llama-v3p1-8b-instruct``.
    """
    plain = re.sub(r"v(\d)p(\d)", r"\1-\2", stem(name))
    return re.sub(r"(?<=[a-z])-(?=\d)", "", re.sub(r"[.:]", "-", plain))


def without_active(name: str) -> str:
    """Take the active size off a mixture's name: ``qwen3-235b`` of ``qwen3-235b-a22b``."""
    return re.sub(r"(?<=\db)-a\d+(-\d+)?b(?=-|$)", "", name)


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
        The name itself; without makers, brands, computers and kinds of memory; with a memory size at its end.
    """
    whole = key(re.sub(r"[(\[]([\w -]+)[)\]]", r" \1 ", name))
    bare = "-".join(word for word in whole.split("-") if word not in HARDWARE_FILLERS)
    bare = re.sub(r"^mac(book|-studio|-mini)?(-pro|-air)?-(?=m\d)", "", bare)
    bare = re.sub(r"^(?:rtx-?)?(?=a?\d{4}(-|d$|$))", "rtx-", bare)
    words = bare.split("-")
    last = sorted(words, key=lambda word: re.fullmatch(r"\d+gb?", word) is not None)
    return tuple(dict.fromkeys((whole, bare, "-".join(last))))


def split_count(name: str) -> tuple[str, int | None]:
    """Take the number of GPUs off hardware: ``8xH100``, ``2 x RTX 4090``, ``H200 x4`` and ``b200x8``.

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
    found = next(
        (m for rule in (COUNT_BEFORE, COUNT_AFTER, COUNT_TIGHT) if (m := rule.fullmatch(name.strip()))), None
    )
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
