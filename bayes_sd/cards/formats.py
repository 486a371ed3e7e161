"""Number formats as tables write them, put into the words of a precision: ``FP8 (E4M3)``, ``bf16 / fp8 kv``, ``AWQ 4-bit``."""

from __future__ import annotations

import re

from bayes_sd.cards.canonical import FORMATS

LONGEST = 3
"""Words that one format may have: "int8 weight only"."""
SILENT = {
    "dynamic", "static", "block", "blockwise", "block-wise", "scaling", "scaled", "moe", "experts", "activation", "activations",
    "quantized", "quantised", "quantization", "quant", "precision", "format", "model", "with", "and", "128x128", "torchao", "quark",
    "dense", "mixed", "-", "cache",
}  # fmt: skip
"""Words that leave the format what it is."""
OPEN = ("auto", "native", "as published", "default", "unknown", "unstated", "not stated", "n/a", "na", "-")
"""Words for "as the checkpoint is published", or for nothing at all, which is taken to mean that."""
NAMES = {"medium": "m", "small": "s", "large": "l"}
MIXED = re.compile(r"[\s/+()\[\]&,;]")
"""What a format's own name never has."""
PLAIN = re.compile(r"(w:)?[\w.-]+( kv:[\w.-]+)?( [a-z]+)*", re.A)
"""A precision in its own words."""
_FORMATS = [(re.compile(pattern, re.I), name) for pattern, name in FORMATS.items()]
_BITS = re.compile(r"(?:exl[23]|hqq|aqlm|eetq|mlx|gguf)[-_]?(\d+(?:\.\d+)?)[-_]?(?:bits?|bpw)", re.I)


def read_formats(text: str) -> str:
    """Put formats into the words of a precision.

    Parameters
    ----------
    text : str
        As tables have it. Of two formats without more words, as in ``fp8/bf16``, the first is the weights' and the second the
        cache's; two names of one format are one.

    Returns
    -------
    str
        ``w:FORMAT kv:FORMAT`` or a bare format, flags behind; "" where it says "as published"; the text itself where it has
        more than it may, or nothing, for whoever reads it to refuse.
    """
    plain = re.sub(r"[()\[\],;]", " ", text.casefold()).replace("torch.", "").strip()
    if plain in OPEN:
        return ""
    weights, cache, rest = [], [], []
    for kind, name in _named(re.sub(r"(?<!\d)[/+&]|[/+&](?!\d)|/", " / ", plain).split()):
        if kind == "?":
            rest.append(name)
        elif kind == "kv":
            cache.append(name)
        else:
            weights.append(name)
    two = len(weights) == 2 and not cache and "/" in rest
    if re.search(r"[/+&,;(\[]", text):  # said again in other words
        weights, cache = list(dict.fromkeys(weights)), list(dict.fromkeys(cache))
    if two and len(weights) == 2:
        weights, cache = weights[:1], weights[1:]
    flags = [word for word in rest if word != "/"]
    if len(weights) != 1 or len(cache) > 1:
        return text
    return " ".join([f"w:{weights[0]}" if cache else weights[0], *(f"kv:{one}" for one in cache), *flags])


def _named(words: list[str]) -> list[tuple[str, str]]:
    """Give what each run of words names: ``("w", format)``, ``("kv", format)`` or ``("?", word)``."""
    found: list[tuple[str, str]] = []
    at, kind = 0, "w"
    while at < len(words):
        word = words[at]
        stated, _, told = word.rpartition(":")
        if re.fullmatch(r"kv(-?cache)?[:=]?", word):
            # "kv fp8" or "fp8 kv": the cache's is what follows, else what went before.
            behind = at + 1 < len(words) and _format(words[at + 1]) is not None
            if not behind and found and found[-1][0] == "w":
                found[-1] = ("kv", found[-1][1])
            kind, at = "kv" if behind else "w", at + 1
            continue
        if re.fullmatch(r"weights?:?|w:?", word) or word in SILENT:
            at += 1
            continue
        if stated in ("w", "kv"):
            found.append((stated, _format(told) or told))
            at += 1
            continue
        for length in range(min(LONGEST, len(words) - at), 0, -1):
            name = None if "kv" in words[at + 1 : at + length] else _format("-".join(words[at : at + length]))
            if name is not None:
                found.append((kind, name))
                at += length
                break
        else:
            ending = re.fullmatch(r"(.+?)-?kv", word)
            name = _format(ending[1]) if ending else None
            found.append(("?", word) if name is None else ("kv", name))
            at += 1
        kind = "w"
    return found


def _format(text: str) -> str | None:
    """Name the format that a text is, None where it is none that has a name here."""
    plain = text.strip("-").replace("_", "-")
    for long, short in NAMES.items():
        plain = re.sub(rf"-+{long}$", f"-{short}", plain)
    bits = _BITS.fullmatch(plain)
    if bits is not None:
        return f"{bits[1]}bit"
    if re.fullmatch(r"\d+(\.\d+)?-?(bits?|bpw)", plain):  # bits as they are, not a library's four
        return plain
    meant = next((name for pattern, name in _FORMATS if pattern.fullmatch(plain)), None)
    if meant == "":  # llama.cpp's have their own names
        return plain.removesuffix("-gguf").replace("-", "_") if re.match(r"i?q\d", plain) else None
    return meant
