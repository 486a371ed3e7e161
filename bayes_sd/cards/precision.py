"""Number formats, and a precision as tables write it: ``fp8`` or ``w:w4a16 kv:fp8 eager``."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from bayes_sd.cards.base import Card, Compute, Positive, Text
from bayes_sd.cards.names import key, suggest
from bayes_sd.errors import CardError

HOW = "write a weight format ('fp8') or 'w:FORMAT kv:FORMAT', flags after it"


class WeightFormat(Card):
    """How weights are stored and multiplied.

    Attributes
    ----------
    bits_per_param : float
        Stored bits of a quantised weight, scales included.
    compute : {"fp16", "fp8", "fp4", "int8"}
        The matrix rate that it runs at where the chip has it.
    kv : str
        Format of the key-value cache where a precision names none.
    """

    bits_per_param: Positive
    compute: Compute
    kv: Text

    @property
    def bytes_per_param(self) -> float:
        """Stored bytes of a quantised weight."""
        return self.bits_per_param / 8


class KvFormat(Card):
    """How keys and values are cached: bytes of one element, scales included."""

    bytes_per_element: Positive


class Flag(Card):
    """A word after the formats that changes how the engine runs, such as ``eager``."""

    source: str = ""
    meaning: Text


class Precision(BaseModel):
    """A deployment's number formats, put together from the precision table.

    Attributes
    ----------
    name : str
        Canonical form, ``"w:FORMAT kv:FORMAT[ flag...]"``; two spellings of the same formats share it.
    weights : WeightFormat
        Format of the weights.
    kv : KvFormat
        Format of the key-value cache.
    flags : frozenset of str
        Flags such as ``"eager"``.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    weights: WeightFormat
    kv: KvFormat
    flags: frozenset[str] = frozenset()

    @property
    def compute(self) -> Compute:
        """Matrix rate that the weights are multiplied at."""
        return self.weights.compute

    @property
    def eager(self) -> bool:
        """Whether kernels are launched one by one by the host (no captured graphs)."""
        return "eager" in self.flags


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
        One weight format, bare or as ``w:FORMAT``; at most one ``kv:FORMAT`` (default: the one that the
        weight format names); any flags.
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
