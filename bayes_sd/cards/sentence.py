"""A condition said in one line, as ``Qwen3-30B-A3B fp8 on 2xH100 sglang eagle3 k=3 at 8 req/s, 1k in 256 out``.

Every word is either understood or refused: nothing is guessed. What stays open is left out of the columns.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, get_args

from bayes_sd.cards.base import Method
from bayes_sd.cards.canonical import split_count, split_format
from bayes_sd.cards.engine_names import AROUND, ENGINES, read_engine
from bayes_sd.cards.load import Cards
from bayes_sd.errors import CardError

NUMBER = r"(\d+(?:\.\d+)?)"
COUNT = rf"{NUMBER}\s*(k)?"
KILO = 1024
"""What ``1k`` tokens are: benchmarks that say so mean it."""
Columns = dict[str, Any]
PATTERNS: tuple[tuple[str, Callable[[re.Match[str]], Columns]], ...] = (
    (
        rf"{COUNT}\s*/\s*{COUNT}(?!\w|/)",
        lambda m: {"prompt_tokens": _count(m, 1), "output_tokens": _count(m, 3)},
    ),
    (rf"{COUNT}\s*(?:tokens?\s*)?(?:in|input|prompt)\b", lambda m: {"prompt_tokens": _count(m, 1)}),
    (rf"{COUNT}\s*(?:tokens?\s*)?(?:out|output)\b", lambda m: {"output_tokens": _count(m, 1)}),
    (
        rf"{NUMBER}\s*(?:req(?:uests?)?\s*(?:/|per)\s*s(?:ec(?:ond)?)?|rps|qps)\b",
        lambda m: {"load_kind": "rate", "load_value": float(m[1])},
    ),
    (
        rf"(?:concurrency|{NUMBER}\s*(?:clients?|users?|concurrent|in\s+flight))\s*=?\s*{NUMBER}?",
        lambda m: {"load_kind": "concurrency", "load_value": float(m[1] or m[2] or "nan")},
    ),
    (r"\bk\s*=\s*(\d+)", lambda m: {"k": float(m[1])}),
    (r"\btp\s*=?\s*(\d+)", lambda m: {"tp": float(m[1])}),
    (
        rf"\b(?:acceptance|alpha)\s*=?\s*{NUMBER}\s*(%)?",
        lambda m: {"acceptance": float(m[1]) / (100 if m[2] else 1)},
    ),
    (rf"\bE\s*=\s*{NUMBER}", lambda m: {"mean_accepted_len": float(m[1])}),
    (r"\bworkload\s*=?\s*([\w.-]+)", lambda m: {"workload": m[1]}),
    (r"\bpoisson\b", lambda _: {"arrivals": "poisson"}),
    (r"\b(?:evenly spaced|even arrivals)\b", lambda _: {"arrivals": "even"}),
)
"""What a part of the line means, in the order in which they are looked for."""
FILLERS = {
    "on",
    "at",
    "with",
    "using",
    "and",
    "a",
    "an",
    "the",
    "for",
    "in",
    "served",
    "by",
    "of",
    "gpus",
    "gpu",
    "tokens",
}
LONGEST = 7
"""Words that one name may have: "NVIDIA RTX PRO 6000 Blackwell Server Edition"."""
ROUND = "|".join(AROUND)


def read_sentence(text: str, cards: Cards) -> Columns:
    """Read a condition from one line.

    Parameters
    ----------
    text : str
        In any order: verifier, format, hardware with a number of GPUs before it, engine, method, drafter, ``k=3``,
        ``tp=2``, a load (``8 req/s``, ``16 clients``), lengths (``1k in 256 out``, ``1k/256``), ``acceptance 0.7`` or ``E=2.4``,
        ``workload chat``, ``poisson``. The second model named is the drafter.
    cards : Cards

    Returns
    -------
    dict
        Columns of the condition that were said.

    Raises
    ------
    CardError
        Naming a word that means nothing, or a column that is said twice.
    """
    found: Columns = {}
    # The longest patterns stand first; what each takes is cut out, so that no number is read twice.
    left = text
    for pattern, meaning in PATTERNS:
        while (match := re.search(pattern, left, re.I)) is not None:
            _put(found, meaning(match), text)
            left = f"{left[: match.start()]} , {left[match.end() :]}"
    for run in re.split(r"[,;]", left):
        _names(run.split(), found, text, cards)
    if found.get("load_value") != found.get("load_value"):
        raise CardError(f"{text!r}: concurrency has no number: write '16 clients'")
    return found


def restate(columns: Columns) -> str:
    """Write what was understood, so that a person can check it: ``verifier=..., hardware=..., ...``."""
    return ", ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in columns.items()
    )


def _count(match: re.Match[str], group: int) -> float:
    return float(match[group]) * (KILO if match[group + 1] else 1)


def _put(found: Columns, said: Columns, text: str) -> None:
    for name, value in said.items():
        if name in found and found[name] != value:
            raise CardError(f"{text!r} says {name} twice: {found[name]} and {value}")
        found[name] = value


def _names(words: list[str], found: Columns, text: str, cards: Cards) -> None:
    """Read the names in a run of words: at each place the longest that means something."""
    at = 0
    while at < len(words):
        for length in range(min(LONGEST, len(words) - at), 0, -1):
            said = _meaning(" ".join(words[at : at + length]), found, cards)
            if said is not None:
                _put(found, said, text)
                at += length
                break
        else:
            if words[at].casefold() not in FILLERS:
                raise CardError(
                    f"{text!r}: {words[at]!r} is not understood: it names no verifier, drafter, GPU, engine, method or format "
                    "that is known (`cards` lists them)"
                )
            at += 1


def _meaning(name: str, found: Columns, cards: Cards) -> Columns | None:
    method = name.casefold().replace("-", "_")
    if method in get_args(Method):
        return {"method": method}
    if cards.has("verifier", name) and "verifier" not in found:
        base, weights = split_format(name)
        return {"verifier": base} | ({"precision": weights} if weights else {})
    if cards.has("drafter", name):
        return {"drafter": name} | ({} if "method" in found else {"method": cards.drafter(name).method})
    gpu, count = split_count(name)
    if _is(cards.hardware, gpu):
        return {"hardware": gpu} | ({"tp": float(count)} if count else {})
    image = " " not in name and ":" in name and any(re.search(pattern, name, re.I) for pattern in ENGINES)
    if image or any(
        re.fullmatch(rf"(?:(?:{ROUND})-)?(?:{pattern})(?:[-:= ]*v?\d[\w.+-]*)?", name, re.I)
        for pattern in ENGINES
    ):
        return {"engine": read_engine(name).label}
    if " " not in name and _is(cards.precision, name):
        return {"precision": name}
    return None


def _is(lookup: Callable[[str], object], name: str) -> bool:
    try:
        lookup(name)
    except CardError:
        return False
    return True
