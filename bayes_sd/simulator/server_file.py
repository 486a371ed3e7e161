"""Reads a server to simulate from a TOML file, from the command line, or from both."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from bayes_sd.errors import ConditionError
from bayes_sd.latency.service import StageCosts
from bayes_sd.loading import load_toml
from bayes_sd.measurements.schema import BY_NAME, LONGEST_DRAFT, METHODS
from bayes_sd.simulator.requests import TokenLaw
from bayes_sd.simulator.spec import Experts, ServerSpec

MOST_WHOLE = 10_000_000
Tables = dict[str, dict[str, Any]]

KEYS: dict[str, tuple[str, ...]] = {
    "costs": tuple(cost.name for cost in fields(StageCosts)),
    "requests": ("prompt_tokens", "prompt_tokens_std", "output_tokens", "output_tokens_std", "length_law"),
    "speculation": ("k", "acceptance"),
    "engine": ("max_num_seqs", "prefill_budget"),
    "experts": ("total", "active", "independence", "skew", "draws"),
}
"""Sections and keys of a server file.

Costs are those of :class:`bayes_sd.latency.service.StageCosts`, lengths those of
:class:`bayes_sd.simulator.TokenLaw`, experts those of :class:`bayes_sd.simulator.Experts`; ``acceptance`` is
one number for all ``k`` positions or one a position. A section [labels] holds text columns of the table.
"""


def read_server(
    path: str | Path | None, overrides: Mapping[str, Mapping[str, Any]] | None = None
) -> ServerSpec:
    """Read a server to simulate.

    Parameters
    ----------
    path : path-like, optional
        A TOML file with the sections and keys of :data:`KEYS`; costs that it does not say are 0.
    overrides : mapping of str to mapping, optional
        Values by section and key that go before the file's; None values are left out.

    Returns
    -------
    ServerSpec

    Raises
    ------
    ConditionError
        If the file is missing or malformed, or what it says is not a server.
    """
    where = str(path) if path is not None else "options"
    tables = _read_toml(Path(path)) if path is not None else {}
    for section, values in (overrides or {}).items():
        given = {key: value for key, value in values.items() if value is not None}
        if given:
            tables[section] = tables.get(section, {}) | given
    _check_keys(tables, where)
    requests = tables.get("requests", {})
    for key in ("prompt_tokens", "output_tokens"):
        if key not in requests:
            raise ConditionError(f"{where}: {key} is not said: give it in [requests] or as an option")
    costs = {cost.name: 0.0 for cost in fields(StageCosts)}
    costs |= {key: _number(where, key, value) for key, value in tables.get("costs", {}).items()}
    engine = tables.get("engine", {})
    return ServerSpec(
        costs=StageCosts(**costs),
        prompt=_length(where, requests, "prompt_tokens"),
        output=_length(where, requests, "output_tokens"),
        acceptance=_acceptance(where, tables.get("speculation", {})),
        n_max=_whole(where, engine, "max_num_seqs"),
        prefill_budget=_whole(where, engine, "prefill_budget"),
        experts=_experts(where, tables.get("experts")),
        labels=_labels(where, tables.get("labels", {})),
    )


def _read_toml(path: Path) -> Tables:
    tables = load_toml(path, ConditionError)
    for name, value in tables.items():
        if not isinstance(value, dict):
            raise ConditionError(
                f"{path}: {name} stands outside a section: put it under one of [{'], ['.join(KEYS)}]"
            )
    return tables


def _check_keys(tables: Tables, where: str) -> None:
    texts = {name for name, column in BY_NAME.items() if column.kind == "text"} | {"method"}
    known = {section: set(keys) for section, keys in KEYS.items()} | {"labels": texts}
    for section, values in tables.items():
        if section not in known:
            raise ConditionError(f"{where}: unknown section [{section}]{_hint(section, known)}")
        for key in values:
            if key not in known[section]:
                raise ConditionError(
                    f"{where}: unknown key {key!r} in [{section}]{_hint(key, known[section])}"
                )


def _labels(where: str, values: Mapping[str, Any]) -> dict[str, str]:
    method = values.get("method")
    if method is not None and method not in METHODS:
        raise ConditionError(f"{where}: unknown method {method!r}: it may be one of {', '.join(METHODS)}")
    return {key: str(value) for key, value in values.items()}


def _hint(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f": did you mean {near[0]!r}?" if near else f": it may be one of {', '.join(sorted(known))}"


def _number(where: str, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConditionError(f"{where}: {key} is {value!r}: it must be a number")
    return float(value)


def _whole(where: str, values: Mapping[str, Any], key: str) -> int | None:
    if key not in values:
        return None
    number = _number(where, key, values[key])
    if not -MOST_WHOLE <= number <= MOST_WHOLE or number != int(number):
        raise ConditionError(
            f"{where}: {key} is {number:g}: it must be a whole number, at most {MOST_WHOLE:,}"
        )
    return int(number)


def _length(where: str, requests: Mapping[str, Any], key: str) -> TokenLaw:
    mean = _number(where, key, requests[key])
    spread = _number(where, f"{key}_std", requests.get(f"{key}_std", 0.0))
    return TokenLaw(mean, spread, requests.get("length_law", "lognormal"))


def _acceptance(where: str, speculation: Mapping[str, Any]) -> tuple[float, ...]:
    k = _whole(where, speculation, "k")
    if k is not None and not 0 <= k <= LONGEST_DRAFT:
        raise ConditionError(f"{where}: k is {k}: it must be from 0 to {LONGEST_DRAFT}")
    given = speculation.get("acceptance")
    if given is None:
        if k:
            raise ConditionError(f"{where}: k is {k}, but the acceptance is not said")
        return ()
    curve = given if isinstance(given, list | tuple) else [given]
    if len(curve) > LONGEST_DRAFT:
        raise ConditionError(f"{where}: acceptance of {len(curve)} positions: {LONGEST_DRAFT} are the most")
    alphas = tuple(_number(where, "acceptance", alpha) for alpha in curve)
    if len(alphas) == 1 and k is not None:
        return alphas * k
    if k is not None and len(alphas) != k:
        raise ConditionError(f"{where}: k is {k}, but {len(alphas)} positions have an acceptance")
    return alphas


def _experts(where: str, values: Mapping[str, Any] | None) -> Experts | None:
    if values is None:
        return None
    total, active = _whole(where, values, "total"), _whole(where, values, "active")
    if total is None or active is None:
        raise ConditionError(f"{where}: experts need both their total and how many are active for a token")
    more = {key: _number(where, key, values[key]) for key in ("independence", "skew") if key in values}
    return Experts(total, active, draws=bool(values.get("draws", False)), **more)
