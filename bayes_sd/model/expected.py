"""What the model expects of every observed value: mean and scale of latency, first token, share of decoding, and acceptance."""

from __future__ import annotations

from collections.abc import Collection
from types import ModuleType
from typing import Any, NamedTuple

from bayes_sd.model.latency import Served, closed_means, even_means, poisson_means, pool_means
from bayes_sd.model.term import Values, in_a_row
from bayes_sd.model.terms.acceptance import cell_level


class RowMeans(NamedTuple):
    """What one set of unknowns says of each row.

    Attributes
    ----------
    log_latency, noise : array, shape (row,)
        Log mean latency [log s], before the misfit of its shape, and noise in units of that of a sound row under light load.
    decode_s : array, shape (row whose share of decoding is used,)
    """

    log_latency: Any
    noise: Any
    decode_s: Any


def row_means(
    structure: Collection[Any], served: Served, in_flight: Any, f: Values, xp: ModuleType
) -> RowMeans:
    """Compute the mean latency of each row under its load protocol: closed loops first, then even, Poisson, and two pools.

    Parameters
    ----------
    structure : collection
        The load protocols that rows have are named in it.
    served : Served
        Each of shape (point,).
    in_flight : array, shape (point,)
        Requests that run.
    f : dict
        Facts of points and rows.
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    RowMeans
    """
    means, decode_s = [], (served.whole_s - served.first_s)[f["share_point"]]
    if "closed" in structure:
        means.append(closed_means(served, in_flight, f, xp, "decoding" in structure))
    if "even" in structure:
        means.append(even_means(served.whole_s, f, xp))
    if "poisson" in structure:
        means.append(poisson_means(served.whole_s, f, xp))
    if "pools" in structure:
        pooled, pooled_s = pool_means(served, in_flight, f, xp)
        means.append(pooled)
        decode_s = in_a_row([decode_s, pooled_s[f["share_pool"]]], xp)
    log_latency, noise = (in_a_row(list(parts), xp) for parts in zip(*means, strict=True))
    return RowMeans(log_latency, noise, decode_s)


def tails_of(name: str, f: Values) -> Any:
    """Degrees of freedom of an observed variable's Student-t, a number or of shape (value,)."""
    if name != "decode_share":
        return f["tails"]
    return f["tails"] + f["share_pooled"] * (f["pool_share_tails"] - f["tails"])


def expected_values(
    rows: RowMeans, first_s: Any, u: Values, f: Values, xp: ModuleType
) -> dict[str, tuple[Any, Any, Any]]:
    """Say what each observed variable is a Student-t around, and how wide.

    Parameters
    ----------
    rows : RowMeans
        Each of shape (..., row).
    first_s : array, shape (..., point)
        Time to first token of a request that runs [s].
    u, f : dict
        Unknowns and facts.
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    dict of str to (mean, scale, measured)
        By the observed variable's name: ``latency`` (log s), ``ttft`` (log s), ``decode_share``, and, where anyone speculates,
        ``acceptance`` (logit). Mean and scale have shape (..., value), what was measured (value,).
    """
    log_latency = rows.log_latency + u["misfit"][..., f["row_shape"]]
    noise = xp.exp(u["log_latency_noise"])[..., f["row_noise"]] * f["noise_factor"] * rows.noise
    log_first, first_sd = xp.log(first_s[..., f["ttft_point"]]), xp.exp(u["log_ttft_noise"])
    share, share_sd = (
        rows.decode_s * xp.exp(-log_latency[..., f["share_row"]]),
        xp.exp(u["log_share_noise"]),
    )
    found = {
        "latency": (log_latency, noise, f["log_latency"]),
        "ttft": (log_first, first_sd[..., f["ttft_source"]], f["log_ttft"]),
        "decode_share": (share, share_sd[..., f["share_source"]] * f["share_noise"], f["measured_share"]),
    }
    if "acceptance_cell" in u:
        level = cell_level(u, f["seen_cell"], f["seen_doublings"])
        found["acceptance"] = (level, xp.exp(u["log_acceptance_run"])[..., None], f["seen_logit"])
    return found
