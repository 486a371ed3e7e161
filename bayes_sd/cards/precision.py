"""Reads a precision as it stands in a table: ``fp8``, ``w:w4a16 kv:fp8``, ``w:fp16 kv:fp16 eager``."""

from __future__ import annotations

from collections.abc import Mapping

from bayes_sd.cards.names import key, suggest
from bayes_sd.cards.schema import Flag, KvFormat, Precision, WeightFormat
from bayes_sd.errors import CardError

HOW = "write a weight format ('fp8') or 'w:FORMAT kv:FORMAT', flags after it"


def parse_precision(
    text: str,
    weights: Mapping[str, WeightFormat],
    kv: Mapping[str, KvFormat],
    flags: Mapping[str, Flag],
) -> Precision:
    """Put a precision together from its words.

    Parameters
    ----------
    text : str
        One weight format, bare or as ``w:FORMAT``; at most one ``kv:FORMAT`` (default: the one that the weight format
        names); any flags.
    weights, kv, flags : mapping
        The precision table, keyed by :func:`bayes_sd.cards.names.key`.

    Returns
    -------
    Precision
        Its name is canonical.

    Raises
    ------
    CardError
        If a word is unknown or given twice, or no weight format is given.
    """
    chosen: dict[str, str] = {}
    set_flags: list[str] = []
    for word in text.split():
        kind, _, rest = word.rpartition(":")
        kind = kind.casefold()
        if kind not in ("", "w", "kv"):
            raise CardError(f"precision {text!r}: {kind!r} is not known; {HOW}")
        if not kind and key(rest) in flags:
            set_flags.append(flags[key(rest)].name)
        elif (kind or "w") in chosen:
            raise CardError(f"precision {text!r}: {rest!r} is one format too many; {HOW}")
        else:
            chosen[kind or "w"] = rest
    if "w" not in chosen:
        raise CardError(f"precision {text!r} names no weight format; {HOW}")
    weight = weights.get(key(chosen["w"]))
    if weight is None:
        near = suggest(chosen["w"], [w.name for w in weights.values()])
        raise CardError(f"precision {text!r}: no weight format is named {chosen['w']!r}: {near}")
    cache_name = chosen.get("kv", weight.kv)
    cache = kv.get(key(cache_name))
    if cache is None:
        near = suggest(cache_name, [c.name for c in kv.values()])
        raise CardError(f"precision {text!r}: no cache format is named {cache_name!r}: {near}")
    name = " ".join([f"w:{weight.name}", f"kv:{cache.name}", *sorted(set(set_flags))])
    return Precision(name=name, weights=weight, kv=cache, flags=frozenset(set_flags))
