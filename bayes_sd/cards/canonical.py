"""Names as people write them: models with a format at their end, GPUs with a number before them, flags as numbers.

Everything that reads a name that a person or a tool wrote goes through here, so that one spelling means one thing in tables,
benchmark files, conditions and options. Nothing here needs a card; :meth:`bayes_sd.cards.Cards.verifier` uses it to find
one, :mod:`bayes_sd.cards.record` to settle a row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bayes_sd.cards.names import key
from bayes_sd.errors import CardError

_FOUR, _EIGHT = "(int-?4|4-?bit)", "(int-?8|8-?bit)"
_LLAMACPP = r"(?:ud-)?i?q[1-8]-(?:k-(?:xl|[sml])|k|0|1|xs|xxs|s|m|nl)"
FORMATS: dict[str, str] = {
    r"(quark-|modelopt-|ptpc-|fbgemm-)?(fp8|f8|float8)"
    r"(-(dynamic|block|block-?wise|static|kv|e4m3(fn)?|e5m2|per-?tensor|per-?channel|tensor|w8a8))*|w8a8-fp8|e4m3(fn)?|e5m2": "fp8",
    r"(modelopt-)?(nvfp4(a16)?(-v\d)?|fp4(-v\d)?|nvfp4-qat)": "fp4",
    r"(quark-)?mxfp4(-moe)?": "mxfp4",
    rf"gptq-({_EIGHT}|w8a16)|w8a16|8-?bit|(bnb|bitsandbytes)-{_EIGHT}|llm-int8"
    r"|(int8|fp8)-(w8a16|weights?-only)|experts-int8|wint8": "w8a16",
    r"gptq-(int3|3-?bit)": "gptq-3bit",
    r"(bnb|bitsandbytes|unsloth-bnb)(-(nf4|4-?bit))?|nf4": "bnb-4bit",
    rf"(awq|gptq)(-marlin)?(-({_FOUR}|w4a16|g128|128g))?|int4(-(awq|gptq|autoround|w4a16|g128|weights?-only))?|int4wo"
    r"|w4a16(-(awq|gptq|g128))?|autoround(-int4)?|4bit|qat-w4a16|wint4|q4f16(-\d)?": "w4a16",
    r"w4a8|w4afp8": "w4a8",
    r"((channel|block)(-wise)?-)?int8|w8a8|int8-w8a8|w8a8(-(channel|block))?-int8|int8-(channel|block)(-wise)?|smoothquant": "int8",
    r"bf16|fp16|f16|bfloat16|float16|q0f16": "fp16",
    rf"{_LLAMACPP}(-gguf)?": "",
    r"gguf|mlx|exl[23]|quantized|quant|qat|qat-q4-0": "",
}
"""Formats as people write them, blanks as dashes, and the weight format that they mean (empty: their own name, or none)."""
_PARTED = r"(?:[-.:]|\s*[(\[])"
_SEPARATED = [
    # A model's name says its format last, but for a bracket round it or how finished the checkpoint is.
    (re.compile(rf"(.+?){_PARTED}(?:{pattern})[)\]]?(?:-preview)?", re.I), name)
    for pattern, name in FORMATS.items()
]
_GGUF = re.compile(rf".+?{_PARTED}({_LLAMACPP})(?:-gguf)?[)\]]?", re.I)
_BITS = re.compile(
    rf"(.+?){_PARTED}(?:exl[23][-_ ]?)?(\d(?:[._]\d+)?) ?bpw(?:[-_ ]?h\d)?(?:[-_ ]?exl[23])?[)\]]?", re.I
)
"""ExLlama's formats, by their bits a number: ``-exl2-4.5bpw``, ``-4_25bpw_h6``."""
TUNINGS = re.compile(
    r"-(instruct|chat|it|base|non-thinking|thinking|no-?think|reasoning|hf|terminus|exp|speciale|preview|pt|orig|distill|assistant"
    r"|dpo|sft|v0\.\d|\d{4}|1m|\d{1,3}k|99(\.9)?|(?<=\db-)(high|medium|low)"
    r"|\((non-?thinking|thinking|no-?think|reasoning|high|medium|low|xhigh|instruct|chat|\d+(\.\d+)?b(-a\d+(\.\d+)?b)?)\))$"
)
"""Endings of a model's name that say how it was trained, asked to think, or scored (MLPerf's 99.9), not what shape it has."""

RESHAPED = re.compile(
    r"^\d+x$|prun|shear|mini|reap|slim|skip|draft|eagle|medusa|hass|mtp|nextn|flash|spec|merg|frank|upscal|moe|vision|distill|proxy|nano|half"
)
"""Parts of words before the name of another model that make it no mere tuning of that one."""
SIZE = re.compile(r"(\d+x)?\d+(\.\d+)?[bm]")
HARDWARE_FILLERS = {
    "nvidia", "amd", "intel", "google", "cloud", "geforce", "tesla", "instinct", "radeon", "accelerator", "gpu", "gpus", "tensor",
    "core", "oam", "hbm", "hbm2", "hbm2e", "hbm3", "hbm3e", "gddr6", "gddr7", "generation", "graphics", "hgx", "apple", "huawei",
    "aws", "ampere", "hopper", "blackwell", "graceblackwell", "gracehopper", "edition", "workstation",
}  # fmt: skip
"""Words in a GPU's name that tell it from no other."""
WATTS = re.compile(r"\d{2,4}w")
"""A limit of power in a GPU's name, as MLPerf writes it."""
COUNT_BEFORE = re.compile(r"(?P<n>\d{1,4})\s*[x×*]\s*(?P<name>\D.*|\d{4}(\D.*)?)", re.I)
COUNT_AFTER = re.compile(r"(?P<name>.*[^×*\s])(?:\s*[×*]|\s+x)\s*(?P<n>\d{1,4})", re.I)
COUNT_TIGHT = re.compile(r"(?P<name>.*[^×*\s])x(?P<n>[1-9]\d?)", re.I)
"""``b200x8``; of at most two digits, since names of GPUs end in ``X 1550`` and ``TX3060``."""
COUNT_PLAIN = re.compile(r"(?P<n>[1-9]\d?)\s+(?P<name>(?!gi?b\b)[a-z].*|\d{4}(\D.*)?)", re.I)
"""``8 A100``; a size of memory is none."""
COUNT_WORDS = re.compile(
    r"(?P<name>.+?)[\s,]*(?:[(\[]\s*)?(?:(?P<n>\d{1,4})[\s-]*gpus?|\btp\s*[=-]?\s*(?P<tp>\d{1,4}))\s*[)\]]?",
    re.I,
)
"""``A100 (1 GPU)``, ``H100 TP8``."""
COUNT_COLON = re.compile(r"(?P<name>[a-z][^:]*):(?P<n>\d{1,2})", re.I)
COUNT_SLICE = re.compile(r"(?P<name>(?:(?:google |cloud )*tpu[\s-]*)?v[56]e)-(?P<n>\d{1,3})", re.I)
"""A slice of TPUs whose name counts chips (those of v4 and v5p count cores)."""
ONE_NODE = re.compile(r"1\s*[x×*]\s*(?=\d+\s*[x×*\s]\s*[a-z])", re.I)
"""One machine of so many GPUs: ``1x8 H200``."""
COUNTS = (COUNT_BEFORE, COUNT_WORDS, COUNT_AFTER, COUNT_TIGHT, COUNT_PLAIN, COUNT_COLON, COUNT_SLICE)
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
        bits = _BITS.fullmatch(base)
        if bits is not None:
            base, found = bits[1], f"{bits[2].replace('_', '.')}bit"
            continue
        spelled = base.replace("_", "-")
        hit = next(((m, fmt) for rule, fmt in _SEPARATED if (m := rule.fullmatch(spelled))), None)
        if hit is None:
            return base, found
        match, meant = hit
        gguf = _GGUF.fullmatch(spelled)
        found = meant or (gguf[1].lower().removeprefix("ud-").replace("-", "_") if gguf else None) or found
        base = base[: match.end(1)]


def read_format(words: str) -> str | None:
    """Read a weight format that stands by itself: ``AWQ 4bit``, ``UD-Q4_K_XL``.

    Parameters
    ----------
    words : str

    Returns
    -------
    str or None
        Its name; None where these words are no format, or more than one.
    """
    spelled = words.strip().replace("_", "-").replace(" ", "-")
    meant = next((name for pattern, name in FORMATS.items() if re.fullmatch(pattern, spelled, re.I)), None)
    return split_format(f"x-{spelled}")[1] if meant == "" else meant


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


def tight(name: str) -> str:
    """Give a model's :func:`squeezed` name without dashes before letters: ``minimaxm2-5`` of ``MiniMax-M2.5``."""
    return re.sub(r"-(?=[a-z])", "", squeezed(name))


def untuned(name: str) -> Iterator[str]:
    """Give what a fine-tuned model's name may end in, the longest first: ``llama-3.1-405b`` of ``Hermes-3-Llama-3.1-405B``.

    Parameters
    ----------
    name : str

    Yields
    ------
    str
        Stems that say a size. None where a word says that the shape is another one, or that it drafts.
    """
    words = stem(name).split("-")
    for i in range(1, len(words)):
        if RESHAPED.search(words[i - 1]) or SIZE.fullmatch(words[i - 1]):
            return
        if any(SIZE.fullmatch(word) for word in words[i:]):
            yield "-".join(words[i:])


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
    whole = key(re.sub(r"\b(\d+)g\b", r"\1gb", re.sub(r"[(\[]([\w -]+)[)\]]", r" \1 ", name), flags=re.I))
    bare = "-".join(
        word for word in whole.split("-") if word not in HARDWARE_FILLERS and not WATTS.fullmatch(word)
    )
    bare = re.sub(r"^mac(book|-studio|-mini)?(-pro|-air)?-(?=m\d)", "", bare)
    bare = re.sub(r"^(?:rtx-?)?(?=a?\d{4}(-|d$|$))", "rtx-", bare)
    words = bare.split("-")
    last = sorted(words, key=lambda word: re.fullmatch(r"\d+gb?", word) is not None)
    return tuple(dict.fromkeys((whole, bare, "-".join(last))))


def split_count(name: str) -> tuple[str, int | None]:
    """Take the number of GPUs off hardware: ``8xH100``, ``H200 x4``, ``b200x8``, ``8 A100``, ``H100:4``, ``A100 (2 GPUs)``.

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
    said = ONE_NODE.sub("", name.strip())
    found = next((m for rule in COUNTS if (m := rule.fullmatch(said))), None)
    count = int(found.groupdict().get("tp") or found["n"]) if found is not None else 0
    if found is None or not 1 <= count <= MOST_GPUS:
        return name, None
    rest, again = split_count(found["name"])  # "4xB200 (TP4)" says it twice
    return (rest, count) if again in (None, count) else (name, None)


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
