"""Number formats, and a precision as tables write it: ``fp8`` or ``w:w4a16 kv:fp8 eager``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from bayes_sd.cards.base import Card, Compute, Positive, Text
from bayes_sd.cards.names import key, suggest
from bayes_sd.errors import CardError

HOW = "write a weight format ('fp8', '4.5bit') or 'w:FORMAT kv:FORMAT', flags after it"


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


BITS = re.compile(r"(?:w|q|int|gptq-|bnb-|exl[23]-)?(\d+(?:\.\d+)?)[-_ ]?(?:bits?|bpw|b)", re.I)


def stated_weights(text: str) -> WeightFormat | None:
    """Read a weight format that is said by its bits: ``4.5bit``, ``3-bit``; None where the text is not of that form.

    Weights are taken to be widened to 16 bits before they are multiplied, as those of formats that have no unit are.
    """
    bits = _bits(text)
    if bits is None:
        return None
    source = "bits as stated by the user"
    return WeightFormat(name=f"{bits:g}bit", bits_per_param=bits, compute="fp16", kv="fp16", source=source)


def stated_kv(text: str) -> KvFormat | None:
    """Read a cache format that is said by its bits: ``8bit``; None where the text is not of that form."""
    bits = _bits(text)
    if bits is None:
        return None
    return KvFormat(name=f"{bits:g}bit", bytes_per_element=bits / 8, source="bits as stated by the user")


def _bits(text: str) -> float | None:
    found = BITS.fullmatch(text.strip())
    if found is None:
        return None
    bits = float(found[1])
    if not 0.5 <= bits <= 32:
        raise CardError(f"format {text!r}: {bits:g} bits a number: it must be from 0.5 to 32")
    return bits


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
    weight = weights.get(key(chosen["w"])) or stated_weights(chosen["w"])
    if weight is None:
        near = suggest(chosen["w"], [w.name for w in weights.values()])
        raise CardError(f"precision {text!r}: no weight format is named {chosen['w']!r}: {near}")
    cache_name = chosen.get("kv", weight.kv)
    cache = kv.get(key(cache_name)) or stated_kv(cache_name)
    if cache is None:
        near = suggest(cache_name, [c.name for c in kv.values()])
        raise CardError(f"precision {text!r}: no cache format is named {cache_name!r}: {near}")
    name = " ".join([f"w:{weight.name}", f"kv:{cache.name}", *sorted(set(set_flags))])
    return Precision(name=name, weights=weight, kv=cache, flags=frozenset(set_flags))
