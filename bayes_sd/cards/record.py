"""One row or condition in canonical words, with what was understood."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bayes_sd.cards.canonical import split_count, split_format
from bayes_sd.cards.choices import BLANKS, split_length
from bayes_sd.cards.engine_names import read_engine
from bayes_sd.cards.formats import MIXED, OPEN, PLAIN, read_formats
from bayes_sd.cards.options import read_options
from bayes_sd.cards.stated import NUMBERS, spelled_hardware
from bayes_sd.errors import CardError


def canonical(record: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Put a row's names into canonical words.

    Parameters
    ----------
    record : mapping
        Column name to value; None, NaN, "" and a missing column mean not known. Needs no card.

    Returns
    -------
    values : dict
        The row with these things settled: what engine options say of a layout has its columns, and a repeat that is a day
        is the day of the run; formats in other words than a precision's are put into those; a format at the end of the
        verifier's name goes to a blank ``precision``; an engine's image is its family and version; a number of GPUs before or
        behind the hardware goes to a blank ``n_gpu`` and ``tp``; hardware's own numbers (``memory_gb`` ...) stand in its name.
    words : list of str
        What was understood in other words than it was written, a sentence each.

    Raises
    ------
    CardError
        If hardware is stated by numbers that are out of range, or a method says another draft length than ``k``.
    """
    values, words = dict(record), []
    drafter = _text(values.get("drafter"))
    if drafter.casefold() in BLANKS:
        values["drafter"] = ""
        words.append(f"drafter {drafter!r} is none")
    formats = _text(values.get("precision"))
    mixed = MIXED.search(formats) and not PLAIN.fullmatch(formats)
    read = read_formats(formats) if mixed or formats.casefold() in OPEN else formats
    if read != formats:
        values["precision"] = read
        words.append(f"precision {formats!r} is {read or 'that of the published checkpoint'}")
    name = _text(values.get("verifier"))
    base, weights = split_format(name)
    if weights is None and " " in name:  # a cell holds one name, blanks and all: "Llama 3.1 8B FP8"
        dashed, weights = split_format("-".join(name.split()))
        base = base if weights is None else dashed
    if weights is not None:
        stated = _text(values.get("precision"))
        values["verifier"] = base
        values["precision"] = stated or weights
        beside = f"; its precision is stated as {stated}" if stated and stated != weights else ""
        words.append(f"verifier {name!r} is {base} with weights in {weights}{beside}")
    changed = read_options(values)
    image = changed.pop("image", None)
    if changed:
        values |= changed
        moved = ", ".join(f"{n} {v:g}" if isinstance(v, float) else f"{n} {v!r}" for n, v in changed.items())
        words.append(f"engine options and repeat say {moved}")
    engine = _text(values.get("engine"))
    label = read_engine(engine).label if engine else ""
    if image is not None and read_engine(label).version is None:
        version = read_engine(f"{engine} {image}").version
        label = f"{label}-{version}" if version and " " not in label else label
    if label != engine:
        values["engine"] = label
        words.append(f"engine {engine!r} is {label}")
    method, k = split_length(_text(values.get("method")))
    if k is not None:
        said = _text(values.get("method"))
        blank = values.get("k") in (None, "") or values["k"] != values["k"]
        if not blank and float(values["k"]) != k:
            raise CardError(
                f"method {said!r} says a draft length of {k} and k is {float(values['k']):g}: correct one"
            )
        values |= {"method": method, "k": float(k)}
        words.append(f"method {said!r} is {method} with k of {k}")
    gpu, count = split_count(_text(values.get("hardware")))
    if count is not None:
        said = _text(values.get("hardware"))
        values["hardware"] = gpu
        unstated = [name for name in ("n_gpu", "tp") if values.get(name) in (None, "")]
        values |= dict.fromkeys(unstated, float(count))
        words.append(
            f"hardware {said!r} is {gpu}" + (f" with {' and '.join(unstated)} of {count}" if unstated else "")
        )
    if any(n in values for n in NUMBERS):
        numbers = {n: values.pop(n) for n in NUMBERS if n in values}
        hardware = _text(values.get("hardware"))
        spelled = spelled_hardware(hardware, numbers)
        if spelled != hardware:
            values["hardware"] = spelled
            words.append(f"hardware {hardware!r} with its stated numbers is {spelled}")
    return values, words


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""
