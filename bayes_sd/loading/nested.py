"""Decodes JSON, TOML and YAML: nested at most so deep, with whole numbers and references that no machine stumbles over."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bayes_sd.errors import DataError, shown
from bayes_sd.loading.whole import MIB, Raises, read_text

MOST_BYTES_TOML = MIB
"""Of a TOML file, which a person writes."""
MOST_DOTS = 10_000_000
"""Of a TOML file, squared for each line and added up."""
MOST_BYTES_YAML = 4 * MIB
"""Of a YAML text: a report of means and percentiles, without its requests."""
MOST_NODES = 1_000_000
"""Values of a YAML text, each counted wherever it is referred to: a few lines of references can stand for more than memory holds."""
MOST_DEPTH = 64
"""Lists and tables inside each other."""
MOST_INTEGER = 2**63 - 1


def parse_json(text: str | bytes, where: str, error: Callable[[str], Exception] = DataError) -> Any:
    """Decode a JSON value; ``NaN`` and ``Infinity``, which some tools write, are taken as Python writes them.

    Parameters
    ----------
    text : str or bytes
    where : str
        Place, for the message.
    error : callable
        From a message to what is raised.

    Returns
    -------
    object
        dict, list, str, float, int, bool or None, nested at most :data:`MOST_DEPTH` deep.

    Raises
    ------
    Exception
        What `error` gives, if it is not JSON, or nested or long beyond reason.
    """
    import orjson

    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            value = json.loads(text, parse_int=_integer)
        except RecursionError as reason:
            raise error(
                f"{where}: JSON nested more than {MOST_DEPTH} deep; is it the right text?"
            ) from reason
        except UnicodeDecodeError as reason:
            raise error(f"{where}: not valid JSON: not UTF-8 text; write it again") from reason
        except ValueError as reason:
            raise error(f"{where}: not valid JSON: {shown(str(reason))}; write it again") from reason
    _check_depth(value, where, "JSON", error)
    return value


def _integer(text: str) -> int:
    if len(text) > 20:
        raise ValueError(f"a whole number of {len(text)} digits")
    return int(text)


def load_toml(path: Path, error: Raises = DataError) -> dict[str, Any]:
    """Read a TOML file.

    Parameters
    ----------
    path : Path
    error : type of BayesSdError

    Returns
    -------
    dict
        Nested at most :data:`MOST_DEPTH` deep; whole numbers are at most 2^63 - 1.

    Raises
    ------
    BayesSdError
        As :func:`read_text`, and if it is no TOML, or has such numbers.
    """
    text = read_text(path, error, MOST_BYTES_TOML)
    # The parser takes the square of the parts of a dotted key, which is on one line.
    if sum(line.count(".") ** 2 for line in text.split("\n")) > MOST_DOTS:
        raise error(f"{path}: TOML with thousands of dots in a line; is it the right file?")
    try:
        content = tomllib.loads(text)
    except RecursionError as reason:
        raise error(f"{path}: TOML nested more than {MOST_DEPTH} deep; is it the right file?") from reason
    except ValueError as reason:
        raise error(f"{path}: not valid TOML: {shown(str(reason))}") from reason
    _check_depth(content, str(path), "TOML", error)
    return content


def parse_yaml(text: bytes, where: str, error: Callable[[str], Exception] = DataError) -> Any:
    """Decode a YAML text of plain values.

    Parameters
    ----------
    text : bytes
        At most :data:`MOST_BYTES_YAML`.
    where : str
        Place, for the message.
    error : callable
        From a message to what is raised.

    Returns
    -------
    object
        Nested at most :data:`MOST_DEPTH` deep, of at most :data:`MOST_NODES` values with references followed.

    Raises
    ------
    Exception
        What `error` gives, if it is no YAML, or nested or long beyond reason.
    """
    import yaml

    if len(text) > MOST_BYTES_YAML:
        raise error(
            f"{where}: too large: more than {MOST_BYTES_YAML // MIB} MiB of YAML; is it the right file?"
        )
    try:
        value = yaml.safe_load(text)
    except RecursionError as reason:
        raise error(f"{where}: YAML nested more than {MOST_DEPTH} deep; is it the right file?") from reason
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as reason:
        raise error(f"{where}: not valid YAML: {shown(str(reason))}") from reason
    _check_depth(value, where, "YAML", error)
    return value


def _check_depth(value: Any, where: str, form: str, error: Callable[[str], Exception]) -> None:
    """Refuse deep nesting, in TOML the long integers that its standard forbids, in YAML too many values; without recursion."""
    level, depth, nodes = [value], 0, 0
    while level:
        depth += 1
        nodes += len(level)
        if form == "YAML" and nodes > MOST_NODES:
            raise error(
                f"{where}: YAML of more than {MOST_NODES:,} values, references followed; is it the right file?"
            )
        if depth > MOST_DEPTH + 1:
            raise error(f"{where}: {form} nested more than {MOST_DEPTH} deep; is it the right file?")
        # A list of a number for every token has nothing below, which its types say at once.
        if form == "JSON" and not {dict, list} & set(map(type, level)):
            return
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += item.values()
            elif isinstance(item, list):
                below += item
            elif isinstance(item, int) and form == "TOML" and abs(item) > MOST_INTEGER:
                raise error(f"{where}: a whole number of {item.bit_length()} bits: 63 are the most")
        level = below
