"""What the numbers in a line mean, by the words beside them: loads, lengths, draft lengths, layouts, acceptance, dates.

Engineers write one thing in many ways (``20 rps``, ``QPS=20``, ``request rate 20``). Each pattern here takes what it understands
out of the line, so that no number is read twice; what none takes is left for names, and refused if it is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bayes_sd.errors import CardError

KILO = 1024
"""What ``1k`` tokens are: benchmarks that say so mean it."""
Columns = dict[str, Any]
LEFT, RIGHT = r"(?<![\w.=/-])(?<!\d,)", r"(?![\w/]|[.,]\d)"
"""Borders of a number: it is no part of a name, a version or a longer number."""
NUMBER = r"(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
COUNT = rf"{NUMBER}\s?(k)?(?!\w)"
IS = r"\s*(?:[=:]|\bof\b|\bis\b)?\s*"
FLAG = r"(?<![\w-])(?:--?)?"
TIME = {"s": 1.0, "m": 60.0, "h": 3600.0}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
REQUESTS = r"(?:req(?:uest)?s?|queries|query|prompts?|r|q)"
SECOND = r"(?:seconds?|secs?|s|minutes?|mins?|m|hours?|h)"
TOGETHER = (
    r"(?:clients?|users?|streams?|sessions?|vus?|conversations?|requests?\s+(?:in[\s-]flight|at\s+once))"
)
STEPS = (
    re.compile(r"(?<![\w.])(\d+)[\s-]+steps?(?![\w-])", re.I),
    re.compile(
        r"(?<![\w-])(?:--?)?(?:speculative[\s_-])?(?:num[\s_-])?(?:draft[\s_-])?steps\s*[=:]?\s*(\d+)(?![\w.])",
        re.I,
    ),
)
CHAIN = re.compile(
    r"(?<![\w-])(?:--?)?(?:speculative[\s_-])?(?:eagle[_-])?top[\s_-]?k\s*[=:]?\s*1(?![\w.])", re.I
)
VERIFIED = re.compile(
    r"(?<![\w-])(?:--?)?(?:speculative[\s_-])?(?:num[\s_-])?draft(?:[\s_-]tokens)?\s*[=:]?\s*(\d+)(?![\w.])",
    re.I,
)
"""How SGLang states a draft: its steps, how many guesses each makes, and the tokens verified in a cycle, with the verifier's own."""
SPECULATION = r"(?:spec(?:ulat\w+)?[\s-]?(?:dec(?:ode|oding)?)?|sd|draft(?:ing|er|s)?|eagle\d?|mtp)"


def value(text: str) -> float:
    """Read a number, commas at its thousands."""
    return float(text.replace(",", ""))


def count(number: str, kilo: str | None) -> float:
    """Read a number of tokens: ``1k`` is 1,024."""
    return float(round(value(number) * KILO)) if kilo else value(number)


def _rate(number: str, per: str = "s") -> Columns:
    return {"load_kind": "rate", "load_value": value(number) / TIME[per[0].casefold()]}


def _clients(number: str) -> Columns:
    return {"load_kind": "concurrency", "load_value": value(number)}


def _share(number: str, percent: str | None) -> Columns:
    share = value(number) / (100 if percent else 1)
    if not 0 <= share <= 1:
        raise CardError(f"acceptance {number} is no share: write it as 0.7 or 70% (tokens a cycle: 'E=2.4')")
    return {"acceptance": share}


def _size(column: str, *words: str) -> tuple[str, Callable[[re.Match[str]], Columns]]:
    """Read a size stated as ``tp=4``, ``TP 4``, ``tp4`` or ``--tensor-parallel-size 4``."""
    return rf"{FLAG}(?:{'|'.join(words)}){IS}(\d+)(?=[tdpe]p\d|(?![\w.]))", lambda m: {column: float(m[1])}


PATTERNS: tuple[tuple[str, Callable[[re.Match[str]], Columns]], ...] = (
    (r"(?<![\w.-])(20\d\d)[-/.]([01]\d)(?:[-/.]([0-3]\d))?(?![\w-])", lambda m: {"run_date": "-".join(filter(None, m.groups()))}),
    (rf"\b({'|'.join(MONTHS)})[a-z]*\.?\s+(20\d\d)\b", lambda m: {"run_date": f"{m[2]}-{MONTHS.index(m[1][:3].casefold()) + 1:02d}"}),
    # Acceptance.
    (rf"\b(?:mean\s+)?accept(?:ance|ed)?[\s_-]len(?:gth)?{IS}{NUMBER}{RIGHT}|\b(?:E|tau|AL){IS}{NUMBER}{RIGHT}",
     lambda m: {"mean_accepted_len": value(m[1] or m[2])}),
    (rf"\b(?:acceptance(?:[\s_-]rate)?|alpha){IS}{NUMBER}\s*(%)?(?![\w])", lambda m: _share(m[1], m[2])),
    (rf"{LEFT}{NUMBER}\s*(%)\s*accept(?:ance(?:[\s_-]rate)?|ed)?(?!\w)", lambda m: _share(m[1], m[2])),
    # Whether and how far is drafted.
    (rf"\b(?:no|without|w/o|non)[\s-]{SPECULATION}(?!\w)|\b{SPECULATION}{IS}(?:off|none|disabled)\b", lambda _: {"method": "none"}),
    (r"\b(?:baseline|vanilla|autoregressive)\b", lambda _: {"method": "none"}),
    (rf"{LEFT}(\d+)[\s-]*(?:draft(?:ed)?|spec(?:ulat\w+)?)[\s_-]?tokens?(?!\w)", lambda m: {"k": float(m[1])}),
    (rf"{LEFT}(\d+)\s+drafts?(?=\s*(?:$|[,;)]|\d))", lambda m: {"k": float(m[1])}),
    (r"\bspec(?:ulat\w+)?\s+(\d+)\s+tokens?(?!\w)", lambda m: {"k": float(m[1])}),
    _size("k", r"num[\s_-]spec", r"draft[\s_-](?:max|n)", r"num[\s_-](?:speculative|draft|spec)[\s_-]tokens",
          r"(?:speculative|spec|draft)[\s_-](?:len(?:gth)?|tokens|depth)", r"gamma", r"(?<!kimi[\s-])k"),
    (r"\b(?:mtp|nextn)\s*\(?\s*n\s*=\s*(\d{1,2})\b", lambda m: {"method": "mtp", "k": float(m[1])}),
    # Layouts; DEP8 is attention by data and experts by expert parallelism over 8 GPUs, TEP8 both by tensor and expert.
    (r"\bDEP(\d+)\b", lambda m: {"dp": float(m[1]), "ep": float(m[1]), "n_gpu": float(m[1])}),
    (r"\bTEP(\d+)\b", lambda m: {"tp": float(m[1]), "ep": float(m[1])}),
    (r"\b(?:single|one)[\s-]node\b", lambda _: {}),
    (rf"{LEFT}(\d+)\s*[x×]?\s*nodes?(?!\w)|\bnodes?\s*[=:]\s*(\d+)", lambda m: {"nodes": float(m[1] or m[2])}),
    (r"\btensor[\s-]parallel(?:ism)?(?=\s*[,;)]|\s*$)", lambda _: {}),
    _size("tp", r"tp(?:[\s_-]size)?", r"tensor[\s_-]parallel(?:[\s_-]size|ism)?"),
    _size("dp", r"dp(?:[\s_-]size)?", r"data[\s_-]parallel(?:[\s_-]size|ism)?"),
    _size("pp", r"pp(?:[\s_-]size)?", r"pipeline[\s_-]parallel(?:[\s_-]size|ism)?"),
    _size("ep", r"ep(?:[\s_-]size)?", r"expert[\s_-]parallel(?:[\s_-]size|ism)?"),
    # Loads.
    (rf"{LEFT}{NUMBER}\s*{REQUESTS}?\s*(?:/|per\b|\ba\b)\s*({SECOND})(?!\w)", lambda m: _rate(m[1], m[2])),
    (rf"{LEFT}{NUMBER}\s*(?:rps|qps)(?!\w)", lambda m: _rate(m[1])),
    (rf"{LEFT}{NUMBER}\s*rpm(?!\w)", lambda m: _rate(m[1], "m")),
    (rf"{FLAG}(?:request[\s_-]?rate|rate|qps|rps){IS}{NUMBER}{RIGHT}", lambda m: _rate(m[1])),
    (rf"{LEFT}{NUMBER}\s*(?:(?:req(?:uest)?s?\s+)?(?:concurrent|parallel)(?:\s+(?:requests?|{TOGETHER}))?|(?:req(?:uest)?s?\s+)?conc(?:urrency)?(?!\w|{IS}\d+(?!\d|\s*k?\s*/))|in[\s-]flight|{TOGETHER}(?!\s*(?:/|per)))"
     r"(?!\w|\s*[=:])", lambda m: _clients(m[1])),
    (rf"{FLAG}(?:max[\s_-]?)?(?:concurrency|conc|con|clients|users|in[\s-]flight|batch(?:[\s_-]?size)?|bs){IS}{NUMBER}{RIGHT}",
     lambda m: _clients(m[1])),
    (rf"{LEFT}{NUMBER}\s*cc(?!\w)|(?<![\w-])c\s*=\s*{NUMBER}{RIGHT}", lambda m: _clients(m[1] or m[2])),
    (r"\b(?:single|one)[\s-](?:user|stream|request|client|sequence)\b", lambda _: _clients("1")),
    (r"\b(?:concurrency|conc)\b", lambda _: {"load_kind": "concurrency", "load_value": float("nan")}),
    _size("max_num_seqs", r"max[\s_-]num[\s_-]seqs"),
    # Prompts and arrivals.
    (r"\bworkload\s*[=:]?\s*([\w.-]+)", lambda m: {"workload": m[1]}),
    (r"\bpoisson\b", lambda _: {"arrivals": "poisson"}),
    (r"\b(?:evenly spaced|even arrivals)\b", lambda _: {"arrivals": "even"}),
    (rf"{FLAG}enforce[\s_-]eager(?!\w)", lambda _: {"eager": True}),
    # A cache's format; that of the weights stands by itself.
    (r"\bkv(?:[\s_-]?cache)?(?:[\s_-]?dtype)?\s*[=:]?\s*(fp8\w*|int8|fp16|bf16|fp4|nvfp4|auto|e4m3|e5m2)\b", lambda m: {"kv": m[1]}),
    (r"(?<![\w:])(fp8\w*|int8|fp16|bf16|fp4|nvfp4)[\s-]kv(?:[\s_-]?cache)?\b", lambda m: {"kv": m[1]}),
)  # fmt: skip
"""What a part of the line means, in the order in which they are looked for."""
IN, OUT = r"(?:isl|in(?:put)?|prompt)", r"(?:osl|out(?:put)?|gen(?:erated)?|completion|response|reply)"
LENGTH = r"(?:[\s_-]?(?:len(?:gth)?|tokens?|size)\b)?"
LENGTHS: tuple[tuple[str, str], ...] = (("prompt_tokens", IN), ("output_tokens", OUT))


def take(text: str, put: Callable[[Columns], None]) -> str:
    """Take every number that a word explains out of a line.

    Parameters
    ----------
    text : str
        The line.
    put : callable
        Takes columns, and refuses one that is said twice.

    Returns
    -------
    str
        The rest of the line, commas where something was taken.

    Raises
    ------
    CardError
        If something is said twice, or an acceptance is no share.
    """
    text = _chain(text, put)
    for pattern, meaning in PATTERNS:
        text = _each(pattern, text, meaning, put)
    # "ISL/OSL 1024/1024": the words say no more than the order does.
    text = _each(rf"{FLAG}{IN}{LENGTH}\s*/\s*{OUT}{LENGTH}{IS}(?={COUNT}\s*/)", text, lambda _: {}, put)
    text = _each(rf"{LEFT}{COUNT}\s*(?:/|->|=>|\u2192|:|\+)\s*{COUNT}(?![\w/:]|[.,]\d)", text, _pair, put)
    text = _each(rf"{LEFT}(\d+)(k)(\d+)(k)(?!\w)", text, _pair, put)
    for column, word in LENGTHS:  # stated with a sign, or by a word that always stands before its number
        first = "isl" if column == "prompt_tokens" else "osl"
        text = _each(rf"{FLAG}(?:{word}{LENGTH}\s*[=:]|{first}\b)\s*{COUNT}", text, _length(column), put)
    # The first word says whether numbers stand before their words or behind them.
    said = re.search(rf"\b(?:{IN}|{OUT})\b", text, re.I)
    led = said is not None and re.search(rf"{LEFT}{COUNT}\s*(?:tokens?\s*)?$", text[: said.start()], re.I)
    for column, word in LENGTHS:
        before = rf"{LEFT}{COUNT}\s*(?:tokens?\s*)?\b{word}\b{LENGTH}"
        behind = rf"(?<![\w-]){word}{LENGTH}{IS}{COUNT}(?:\s*tokens?\b)?"
        text = _each(before if led else behind, text, _length(column), put)
    return text


def _chain(text: str, put: Callable[[Columns], None]) -> str:
    """Take a draft stated as SGLang states it: so many steps of one guess each, and one token more that is verified."""
    one = CHAIN.sub(" , ", text)
    steps = next((found for pattern in STEPS if (found := pattern.search(one))), None)
    if steps is None:
        return text
    drafted = float(steps[1])
    left = f"{one[: steps.start()]} , {one[steps.end() :]}"
    verified = VERIFIED.search(left) if one != text else None
    if verified is not None:
        if float(verified[1]) != drafted + 1:
            raise CardError(
                f"{drafted:g} draft steps with topk 1 are {drafted + 1:g} draft tokens in SGLang's count, not {verified[1]}"
            )
        left = VERIFIED.sub(" , ", left, count=1)
    put({"k": drafted})
    return left


def _each(
    pattern: str, text: str, meaning: Callable[[re.Match[str]], Columns], put: Callable[[Columns], None]
) -> str:
    while (match := re.search(pattern, text, re.I)) is not None:
        put(meaning(match))
        text = f"{text[: match.start()]} , {text[match.end() :]}"
    return text


def _pair(m: re.Match[str]) -> Columns:
    return {"prompt_tokens": count(m[1], m[2]), "output_tokens": count(m[3], m[4])}


def _length(column: str) -> Callable[[re.Match[str]], Columns]:
    return lambda m: {column: count(m[1], m[2])}
