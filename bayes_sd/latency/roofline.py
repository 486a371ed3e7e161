"""Rooflines of a deployment: the seconds that each stage cost would take on ideal hardware.

Coefficients are learned as efficiencies against these, on the log scale, which is what makes them comparable (and
poolable) across verifiers, GPUs, tensor-parallel sizes and number formats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bayes_sd.cards import Drafter, Hardware, Precision, Verifier

MEMORY_FOR_ENGINE = 0.9
"""Share of a GPU's memory that engines plan with (vLLM's documented default of gpu_memory_utilization)."""
RESERVED_BYTES = 2e9
"""Activations and graphs per GPU, a round figure; what it gets wrong is learned as the engine's cache efficiency."""
ALLREDUCES_PER_LAYER = 2
ACTIVATION_BYTES = 2


@dataclass(frozen=True)
class Roofline:
    """Ideal seconds of one deployment.

    Attributes
    ----------
    compute_token_s : float
        Matrix work of one token, 2·N_active/(tp·FLOP rate) [s/token].
    attention_share : float
        Attention's matrix work on a prompt, which the matrix units do at 16 bits, over the prompt's other work, per token of
        the prompt's length [1/token].
    link_token_s : float
        All-reduces of one token over the scale-up link [s/token]; 0 for tp = 1.
    weights_s : float
        Reading the dense weights once, bytes/(tp·bandwidth) [s].
    experts_s : float
        Reading all routed experts once [s]; 0 for a dense verifier.
    kv_token_s : float
        Reading one cached token, over the GPUs that share it [s/token].
    launches : float
        Kernel launches of a step, in those of one dense layer.
    layers : int
        Layers, which all-reduce latencies scale with.
    cache_tokens : float
        Tokens that the key-value cache holds at most [tokens].
    """

    compute_token_s: float
    attention_share: float
    link_token_s: float
    weights_s: float
    experts_s: float
    kv_token_s: float
    launches: float
    layers: int
    cache_tokens: float


def roofline(verifier: Verifier, hardware: Hardware, precision: Precision, tp: int) -> Roofline:
    """Compute the ideal stage costs of a deployment from its cards.

    Parameters
    ----------
    verifier, hardware, precision : cards
    tp : int
        Tensor-parallel size, GPUs.

    Returns
    -------
    Roofline
        Seconds per unit; see its attributes.
    """
    bandwidth = tp * hardware.bandwidth_bytes_per_s
    flop = 2.0 * verifier.active_params_b * 1e9
    kv_bytes = verifier.kv_bytes_per_token(precision) / verifier.kv_shards(tp)
    volume = ALLREDUCES_PER_LAYER * verifier.layers * verifier.hidden_size * ACTIVATION_BYTES
    room = MEMORY_FOR_ENGINE * hardware.memory_bytes - verifier.weight_bytes(precision) / tp - RESERVED_BYTES
    compute_s = flop / (tp * hardware.flop_rate(precision.compute))
    link_s = volume * 2.0 * (tp - 1) / tp / hardware.link_bytes_per_s(tp)
    attention_s = verifier.attention_flop_per_pair / (tp * hardware.flop_rate("fp16"))
    return Roofline(
        compute_token_s=compute_s,
        attention_share=attention_s / (compute_s + link_s),
        link_token_s=link_s,
        weights_s=verifier.dense_step_bytes(precision) / bandwidth,
        experts_s=verifier.expert_bytes(precision) / bandwidth,
        kv_token_s=kv_bytes / hardware.bandwidth_bytes_per_s,
        launches=verifier.launches,
        layers=verifier.layers,
        # Cards that say the weights do not fit leave a sliver, so that such a row predicts queueing, not an error.
        cache_tokens=max(room, 0.01 * hardware.memory_bytes) / kv_bytes,
    )


def draft_step_s(drafter: Drafter, hardware: Hardware, tp: int) -> float:
    """Compute the ideal seconds of one draft step: reading the drafter's weights once.

    Parameters
    ----------
    drafter, hardware : cards
    tp : int
        Tensor-parallel size, GPUs.

    Returns
    -------
    float
        Seconds per draft step; 0 for a drafter without weights.
    """
    return drafter.step_bytes() / (tp * hardware.bandwidth_bytes_per_s)
