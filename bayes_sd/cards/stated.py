"""Hardware that has no card and is said by its numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from bayes_sd.cards.hardware import Hardware
from bayes_sd.cards.names import suggest
from bayes_sd.errors import CardError

NUMBERS = (
    "memory_gb", "bandwidth_gb_per_s", "fp16_tflops", "fp8_tflops", "fp4_tflops", "int8_tops", "link_gb_per_s",
)  # fmt: skip
"""Fields of a hardware card that a table or an option may give."""
NEEDED = NUMBERS[:3]
PCIE_GB_PER_S = 32.0
"""Link where none is stated: PCIe 4.0 x16, one direction [10^9 bytes/s]."""
SPELLED = re.compile(r"\s*(?P<name>[^()]*?)\s*\((?P<fields>[^()]*=[^()]*)\)\s*")

FAR = 50.0
"""How many times a stated number of a known chip may be its card's: a computer's memory is bought in sizes up to 32 times apart."""


def stated_hardware(text: str, known: Hardware | None = None) -> Hardware | None:
    """Read hardware that is said by its numbers.

    Parameters
    ----------
    text : str
        ``NAME(memory_gb=24 bandwidth_gb_per_s=1008 fp16_tflops=165)``; commas or blanks between the fields.
    known : Hardware, optional
        The card of NAME, whose other numbers stay.

    Returns
    -------
    Hardware or None
        None where the text is not of that form. Its name is the text in canonical form, which means itself.

    Raises
    ------
    CardError
        If a field is not known, not a number, out of range or missing.
    """
    found = SPELLED.fullmatch(text)
    if found is None:
        return None
    given: dict[str, float] = {}
    for pair in filter(None, re.split(r"[,;\s]+", found["fields"])):
        name, _, value = pair.partition("=")
        if name not in NUMBERS:
            raise CardError(
                f"hardware {text!r}: {name!r} is not one of its numbers: {suggest(name, NUMBERS)}"
            )
        try:
            given[name] = float(value)
        except ValueError as error:
            raise CardError(f"hardware {text!r}: {name} is {value!r}, not a number") from error
    return _hardware(found["name"] or "unnamed", given, text, known)


def spelled_hardware(name: str, numbers: Mapping[str, Any]) -> str:
    """Write hardware and its stated numbers as one text that :func:`stated_hardware` reads.

    Parameters
    ----------
    name : str
        Its name, with or without a card.
    numbers : mapping
        Any of :data:`NUMBERS`; None, NaN and "" mean not stated.

    Returns
    -------
    str
        The name alone where no number is stated.

    Raises
    ------
    CardError
        If one is not a number.
    """
    fields = []
    for field in NUMBERS:
        value = numbers.get(field)
        if value is None or value == "" or value != value:
            continue
        try:
            fields.append(f"{field}={float(value):.10g}")
        except ValueError as error:
            raise CardError(f"hardware {name!r}: {field} is {value!r}, not a number") from error
    spelled = " ".join(fields)
    return f"{name}({spelled})" if spelled else name


def _refuse_far(text: str, given: Mapping[str, float], known: Hardware) -> None:
    """Refuse a number of a known chip that its card contradicts: a variant of it differs by less."""
    for field, value in given.items():
        own = getattr(known, field)
        if own and value > 0 and not own / FAR <= value <= own * FAR:
            raise CardError(
                f"hardware {text!r}: {field} is {value:g} and its card says {own:g}: is it in another unit (off by 1000)?"
            )


def _hardware(name: str, given: Mapping[str, float], text: str, known: Hardware | None) -> Hardware:
    missing = [field for field in NEEDED if field not in given] if known is None else []
    if missing:
        raise CardError(f"hardware {text!r} has no card and {', '.join(missing)} is not stated: add it")
    values = (
        {n: getattr(known, n) for n in NUMBERS} if known is not None else {"link_gb_per_s": PCIE_GB_PER_S}
    )
    if known is not None:
        _refuse_far(text, given, known)
    name = spelled_hardware(known.name if known is not None else name, given)
    try:
        return Hardware.model_validate(
            {**values, **given, "name": name, "source": "numbers as stated by the user"}
        )
    except ValidationError as error:
        first = error.errors()[0]
        words = first["msg"].removeprefix("Value error, ")
        place = ".".join(str(part) for part in first["loc"])
        raise CardError(f"hardware {text!r}: {place + ': ' if place else ''}{words}") from error
