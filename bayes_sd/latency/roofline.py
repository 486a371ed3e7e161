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
class Layout:
    """How a model is spread over GPUs.

    Attributes
    ----------
    tp : int
        GPUs that share the attention and the dense weights of one request.
    dp : int
        Ranks that each attend to requests of their own; the routed experts of a mixture are shared by all of them.
    pp : int
        Pipeline stages, one after the other.
    ep : int
        GPUs over which whole experts are laid out; 1 where every expert is cut into parts.
    nodes : int
        Machines.
    """

    tp: int = 1
    dp: int = 1
    pp: int = 1
    ep: int = 1
    nodes: int = 1

    @property
    def ranks(self) -> int:
        """Groups of GPUs among which the requests in flight are divided, R."""
        return self.dp * self.pp

    @property
    def gpus(self) -> int:
        """All GPUs."""
        return self.tp * self.ranks


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
        All-reduces of one token over the link, and its way to experts on other ranks and back [s/token]; 0 on one GPU.
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
        Tokens that the key-value caches of all ranks hold at most [tokens].
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


def roofline(verifier: Verifier, hardware: Hardware, precision: Precision, layout: Layout | int) -> Roofline:
    """Compute the ideal stage costs of a deployment from its cards.

    A request meets its share of the others (:meth:`~bayes_sd.latency.service.Work.met`), so costs per request are those of one
    rank. Pipeline stages follow one another: a step reads all weights, each stage its own, at the speed of one stage.

    Parameters
    ----------
    verifier, hardware, precision : cards
    layout : Layout or int
        How the model is spread; a number is a tensor-parallel size.

    Returns
    -------
    Roofline
        Seconds per unit; see its attributes.
    """
    if isinstance(layout, int):
        layout = Layout(tp=layout)
    tp = layout.tp
    bandwidth = tp * hardware.bandwidth_bytes_per_s
    flop = 2.0 * verifier.active_params_b * 1e9
    kv_bytes = verifier.kv_bytes_per_token(precision) / verifier.kv_shards(tp)
    compute_s = flop / (tp * hardware.flop_rate(precision.compute))
    link_s = link_token_s(verifier, hardware, layout)
    attention_s = verifier.attention_flop_per_pair / (tp * hardware.flop_rate("fp16"))
    return Roofline(
        compute_token_s=compute_s,
        attention_share=attention_s / (compute_s + link_s),
        link_token_s=link_s,
        weights_s=verifier.dense_step_bytes(precision) / bandwidth,
        experts_s=verifier.expert_bytes(precision) / (bandwidth * expert_ranks(verifier, layout)),
        kv_token_s=kv_bytes / hardware.bandwidth_bytes_per_s,
        launches=verifier.launches,
        layers=verifier.layers,
        cache_tokens=layout.ranks * cache_bytes(verifier, hardware, precision, layout) / kv_bytes,
    )


def expert_ranks(verifier: Verifier, layout: Layout) -> int:
    """Give the data-parallel ranks that share one copy of the routed experts: all, as engines lay them out."""
    return layout.dp if verifier.is_moe else 1


def cache_bytes(verifier: Verifier, hardware: Hardware, precision: Precision, layout: Layout) -> float:
    """Give the bytes that one GPU has left for its cache, for all layers of the model.

    Returns
    -------
    float
        Bytes. Cards that say the weights do not fit leave a sliver, so that such a row predicts queueing, not an error.
    """
    experts = verifier.expert_bytes(precision)
    rest = verifier.weight_bytes(precision) - experts
    weights = (rest + experts / expert_ranks(verifier, layout)) / (layout.tp * layout.pp)
    room = MEMORY_FOR_ENGINE * hardware.memory_bytes - weights - RESERVED_BYTES
    return max(room, 0.01 * hardware.memory_bytes)


def link_token_s(verifier: Verifier, hardware: Hardware, layout: Layout) -> float:
    """Compute the ideal seconds that a token's messages take: all-reduces of its tensor-parallel group, and to experts and back.

    With data-parallel ranks a token goes to the ranks of its experts and returns, instead of the second all-reduce of each layer.
    """
    exchanged = verifier.is_moe and layout.dp > 1
    volume = verifier.layers * verifier.hidden_size * ACTIVATION_BYTES
    seconds = 0.0
    if layout.tp > 1:
        reduces = 1 if exchanged else ALLREDUCES_PER_LAYER
        rate = hardware.link_bytes_per_s(layout.tp, layout.nodes if layout.dp == 1 else 1)
        seconds += reduces * volume * 2.0 * (layout.tp - 1) / layout.tp / rate
    if exchanged:
        group = layout.tp * layout.dp
        copies = min(verifier.top_k_experts or 1, group)
        rate = hardware.link_bytes_per_s(group, layout.nodes)
        seconds += 2.0 * copies * volume * (group - 1) / group / layout.tp / rate
    return seconds


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
