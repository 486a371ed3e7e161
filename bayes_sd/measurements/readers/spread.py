"""Over how many GPUs a deployment is spread, once everything about it is known."""

from __future__ import annotations

import re

from bayes_sd.cards.engine_names import gpus_of
from bayes_sd.measurements.readers.reading import Reading
from bayes_sd.measurements.readers.sglang_server import DISAGGREGATED

WAYS = ("dp", "pp", "ep")
"""Columns that spread a model over more GPUs than one tensor-parallel group, or set its experts apart."""


def put_spread(cell: Reading) -> None:
    """Fill in the GPUs of a deployment whose sizes are stated, and say in its options how it is spread.

    Four replicas behind one address are four GPUs' work and not one's, whatever tool says so and whether the sizes stand in
    the file or are given.

    Parameters
    ----------
    cell : Reading
        With everything given filled in.
    """
    tp = cell.number("tp")
    if tp is None:
        return
    if cell.experts_spread and "ep" not in cell.columns:
        cell.put("ep", tp * (cell.number("dp") or 1.0), "tp*dp, as enable_expert_parallel spreads experts")
    options = str(cell.columns.get("engine_options") or "")
    if DISAGGREGATED in options:
        return
    sizes = {name: cell.number(name) or 1.0 for name in WAYS}
    gpus = gpus_of(cell.columns)
    if gpus != tp and "n_gpu" not in cell.columns:
        cell.put("n_gpu", gpus, "tp*pp*dp, as the engine counts them")
    words = [f"{name}{size:g}" for name, size in sizes.items() if size > 1 and not _said(name, options)]
    if words:
        cell.put("engine_options", ", ".join([*([options] if options else []), *words]))


def _said(name: str, options: str) -> bool:
    return re.search(rf"(?<![a-z]){name}(?![a-z])", options.casefold()) is not None
