"""Methods, kinds of load and blanks as people and engines write them, for every place that reads one."""

from __future__ import annotations

import re

METHODS: dict[str, str] = {
    # What engines call the layers for further tokens of a checkpoint, whichever it is: deepseek_mtp, qwen3_next_mtp.
    r"(native)?(nextn|mtp)|\w+mtp|eagle\(mtp\)|(mtp|nextn)\(eagle\)": "mtp",
    r"no|non|off|false|disabled?|without|baselines?|vanilla|autoregressive|ar|nospec\w*|nosd|nonspec\w*|[-–—]": "none",
    r"standalone|draft|drafter|draftmodels?|smallmodel|drafttarget(model)?|assist(ed|ant(model)?)": "draft_model",
    r"promptlookup(decoding)?|lookup|pld": "ngram",
    r"suffixdecoding|suffixtree": "suffix",
    r"mlp": "mlp_speculator",
}
"""How tokens are drafted, letters and digits alone."""
TIED = re.compile(
    r"(mtp|nextn|ngram|medusa|dflash|dspark|suffix|eagle[\s_-]?3|draft[\s_-]?model)[\s_=:x-]*(?:k\s*=?\s*)?(\d{1,2})",
    re.I,
)
"""A method with its draft length behind it: ``MTP-3``, ``eagle3 k=5``."""
LOADS: dict[str, str] = {
    r"closed(loop)?|concurren\w+|max(imum)?concurren\w+|clients?|users?|inflight|numclients|streams?": "concurrency",
    r"open(loop)?|(request|arrival)?rates?|qps|rps|req(uest)?s?(/|per)?s(ec(ond)?)?": "rate",
}
"""Kinds of load, letters and digits alone."""
BLANKS = frozenset(("none", "no", "n/a", "na", "null", "nan", "-", "–", "—", "off"))
"""Words for "there is none" in a column that names a drafter."""


def read_method(text: str) -> str:
    """Give the method that a word means.

    Parameters
    ----------
    text : str
        As written: ``NEXTN``, ``deepseek_mtp``, ``Draft Model``, ``off``.

    Returns
    -------
    str
        A method's name, or the text itself where it is none of these words.
    """
    meant = _meant(text, METHODS)
    bare = re.sub(r"\s*[(\[].*?[)\]]\s*", " ", text).strip()
    return _meant(bare, METHODS) if meant == text and bare else meant


def split_length(method: str) -> tuple[str, int | None]:
    """Take the draft length off a method: ``mtp`` and 3 of ``MTP-3``, ``mtp_3`` and ``MTP (k=3)``.

    Parameters
    ----------
    method : str

    Returns
    -------
    method : str
        The name without it; the text itself where it has none.
    k : int or None
    """
    found = TIED.fullmatch(re.sub(r"[()\[\],]", " ", method).strip())
    return (method, None) if found is None else (found[1], int(found[2]))


def read_load_kind(text: str) -> str:
    """Give the kind of load that a word means, ``concurrency`` or ``rate``; the text itself where it is none of these.

    Parameters
    ----------
    text : str
        As written: ``closed loop``, ``max_concurrency``, ``QPS``.

    Returns
    -------
    str
    """
    return _meant(text, LOADS)


def _meant(text: str, words: dict[str, str]) -> str:
    plain = re.sub(r"[\s_]+|(?<=\w)-(?=\w)", "", text.casefold())
    return next((name for pattern, name in words.items() if re.fullmatch(pattern, plain)), text)
