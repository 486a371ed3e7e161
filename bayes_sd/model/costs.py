"""Stage costs from roofline efficiencies: one formula, for PyTensor when sampling and for numpy when predicting.

What deployments share is an efficiency against the roofline (bayes_sd.latency.roofline) on the log scale::

    log cost[coefficient, deployment] ~ Normal(expected[coefficient, deployment], spread[coefficient])
    expected = log(sum of roofline terms x part) + tp_slope·log2(tp) + effects of hardware, engine, precision, verifier, stack

A sum of physical terms under the logarithm (weights + launches; compute + links + host) is what makes an unseen
tensor-parallel size or GPU predictable: each term scales in its own way.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

TINY_S = 1e-12


def expected_log_costs(
    part: dict[str, Any], ideal: dict[str, np.ndarray], xp: ModuleType = np
) -> dict[str, Any]:
    """Compute the logarithm of each stage cost before effects.

    Parameters
    ----------
    part : dict of str to array or tensor
        The parts of the priors file, as factors (or seconds where they say so); broadcastable against a trailing
        deployment dim.
    ideal : dict of str to array, shape (deployment,)
        Rooflines [s], ``launches``, ``layers`` and ``log2_tp``.
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    dict of str to array or tensor, shape (..., deployment)
        Log seconds per coefficient of :data:`bayes_sd.model.spec.COEFFICIENTS`.
    """
    parallel = (ideal["log2_tp"] > 0).astype(float)
    link = part["link"] * ideal["link_token_s"]
    launches = part["launch"] * (ideal["launches"] + part["allreduce_latency"] * parallel * ideal["layers"])
    return {
        "prefill_token": xp.log(part["prefill_compute"] * ideal["compute_token_s"] + link),
        "verify": xp.log(part["weights"] * ideal["weights_s"] + launches),
        "request": xp.log(part["token_compute"] * ideal["compute_token_s"] + link + part["sequence"]),
        "kv": xp.log(part["kv"] * ideal["kv_token_s"]),
        "prefill_fixed": xp.log(part["prefill_fixed"] * np.ones_like(ideal["layers"])),
        "expert": xp.log(part["experts"] * np.maximum(ideal["experts_s"], TINY_S)),
    }


def prompt_growth(part: dict[str, Any], attention_share: Any, prompt: Any) -> Any:
    """Compute how much dearer a token of a prompt is for the attention that it pays to the others.

    Parameters
    ----------
    part : dict of str to array or tensor
        As in :func:`expected_log_costs`.
    attention_share : array
        Of the roofline [1/token].
    prompt : array
        Prompt length [tokens].

    Returns
    -------
    array or tensor
        Factor on the seconds per prompt token, at least 1.
    """
    return 1.0 + part["prefill_attention"] * attention_share * prompt


def token_share(part: dict[str, Any], ideal: dict[str, np.ndarray]) -> Any:
    """Compute the share of a request's step cost that scales with its tokens, the rest being per request.

    Rows without speculation inform only the sum t_seq + t_tok; the split follows from the rooflines' parts.

    Parameters
    ----------
    part, ideal
        As in :func:`expected_log_costs`.

    Returns
    -------
    array or tensor, shape (..., deployment)
        t_tok/(t_seq + t_tok), in (0, 1).
    """
    tokens = part["token_compute"] * ideal["compute_token_s"] + part["link"] * ideal["link_token_s"]
    return tokens / (tokens + part["sequence"])


def cached_requests(log_efficiency: Any, reserve: Any, cache_tokens: Any, prompt: Any, output: Any) -> Any:
    """Compute how many requests the key-value cache holds at once.

    Parameters
    ----------
    log_efficiency : array or tensor
        Log of the share of the nominal cache that running requests fill.
    reserve : array or tensor
        Share of the output that an engine sets aside when it admits a request, in [0, 1].
    cache_tokens, prompt, output : array
        Nominal cache and lengths [tokens].

    Returns
    -------
    array or tensor
        Requests.
    """
    return np.exp(log_efficiency) * cache_tokens / (prompt + (0.5 + 0.5 * reserve) * output)
