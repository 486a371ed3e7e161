"""Verifiers: the model that is served, and the bytes that its weights and its cache take."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from bayes_sd.cards.base import EMBEDDING_BYTES, GIGA, Card, Count, NonNegative, Positive, StringMap
from bayes_sd.cards.precision import Precision

DENSE_KERNELS, ROUTING_KERNELS, SHARED_KERNELS, LATENT_KERNELS = 11, 7, 3, 5
"""Kernels that a step launches per layer: those of a dense layer with grouped-query attention (two norms, four matrices, rotation,
cache, attention and its reduction, activation), and how many more routed experts (router, choice, sorting, quantising, sum), a
shared expert, and latent attention (two more matrices, norms, products with what is absorbed) bring. Counted from what
such layers do, to one or two; engines fuse some."""


class Verifier(Card):
    """The model that is served, and that verifies drafts.

    Attributes
    ----------
    params_b, active_params_b : float
        Parameters, and those used for a token (10^9); the same for a dense model.
    layers, hidden_size, attention_heads, vocab_size : int
        Shape.
    full_attention_layers : int
        Layers whose cache grows with the context (fewer than `layers` where some attend to a window);
        default all.
    kv_heads, head_dim : int or None
        Grouped-query attention: cached heads and their size.
    latent_dim : int or None
        Multi-head latent attention: elements cached per token and layer. It excludes kv_heads and head_dim.
    attention_width : int or None
        Elements that a token's attention reads of each earlier token while a prompt is read, keys and values of all
        heads, per layer; default twice the heads' size, ``2 * attention_heads * head_dim``.
    n_experts, top_k_experts, n_shared_experts : int or None
        Routed experts per sparse layer, those a token is routed to, and those every token uses (in the
        dense part).
    expert_params_b : float
        Parameters in routed experts (10^9); 0 for a dense model.
    tied_embeddings : bool
        Whether the output layer is the input embedding.
    kept_16bit_params_b, kept_16bit_params_b_fp4 : float
        Parameters outside routed experts that a quantised checkpoint leaves at 16 bits (10^9); the second,
        where given, for 4-bit formats.
    format_means : dict of str to str
        Weight formats whose name means another one when this model is served, as "fp4" for MXFP4.
    native_format : str or None
        Weight format of the published checkpoint, where that is not 16 bits: what a blank precision means.
    family : str
        Family of the card.
    estimated : bool
        Whether shape and cache were estimated from parameter counts instead of read from a card.
    """

    family: str = ""
    params_b: Positive
    active_params_b: Positive
    layers: Count
    full_attention_layers: Count
    hidden_size: Count
    attention_heads: Count
    kv_heads: Count | None = None
    head_dim: Count | None = None
    latent_dim: Count | None = None
    attention_width: Count | None = None
    vocab_size: Count
    n_experts: Count | None = None
    top_k_experts: Count | None = None
    n_shared_experts: Annotated[int, Field(ge=0)] = 0
    expert_params_b: NonNegative = 0.0
    tied_embeddings: bool = False
    kept_16bit_params_b: NonNegative = 0.0
    kept_16bit_params_b_fp4: NonNegative | None = None
    format_means: StringMap = Field(default_factory=dict)
    native_format: str | None = None
    estimated: bool = False

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, values: dict[str, Any]) -> dict[str, Any]:
        filled = dict(values)
        if "params_b" in filled:
            filled.setdefault("active_params_b", filled["params_b"])
        if "layers" in filled:
            filled.setdefault("full_attention_layers", filled["layers"])
        return filled

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for wrong, words in self._contradictions():
            if wrong:
                raise ValueError(words)
        return self

    def _contradictions(self) -> list[tuple[bool, str]]:
        m, experts = self.top_k_experts, self.n_experts
        grouped = self.kv_heads is not None and self.head_dim is not None
        sparse = experts is not None and m is not None
        routed = self.expert_params_b * (m or 0) / (experts or 1)  # routed parameters that a token uses, 10^9
        return [
            (
                (m is None) != (experts is None),
                "n_experts and top_k_experts go together: give both or neither",
            ),
            (sparse and (m or 0) > (experts or 0), f"top_k_experts {m} is more than n_experts {experts}"),
            (
                sparse != (self.expert_params_b > 0),
                "expert_params_b goes with n_experts: give both or neither",
            ),
            (self.active_params_b > self.params_b, "active_params_b is more than params_b"),
            (
                not sparse and self.active_params_b != self.params_b,
                "active_params_b differs, but n_experts is missing",
            ),
            (self.expert_params_b >= self.params_b, "expert_params_b is not less than params_b"),
            (
                not 0.999 * routed <= self.active_params_b <= 1.02 * (self.dense_params_b + routed),
                "active_params_b is not the dense part and top_k_experts / n_experts of expert_params_b",
            ),
            (self.full_attention_layers > self.layers, "full_attention_layers is more than layers"),
            (grouped == (self.latent_dim is not None), "give either kv_heads and head_dim, or latent_dim"),
            (
                max(self.kept_16bit_params_b, self.kept_16bit_params_b_fp4 or 0.0)
                > self.dense_params_b * 1.001,
                "kept_16bit_params_b is more than the parameters outside the experts",
            ),
            (
                self.embedding_params_b > self.dense_params_b,
                "vocab_size x hidden_size is more than the parameters",
            ),
        ]

    @property
    def is_moe(self) -> bool:
        """Whether it has routed experts."""
        return self.n_experts is not None

    @property
    def dense_params_b(self) -> float:
        """Parameters outside routed experts, 10^9."""
        return self.params_b - self.expert_params_b

    @property
    def embedding_params_b(self) -> float:
        """Parameters of one embedding (vocabulary x hidden size), 10^9."""
        return self.vocab_size * self.hidden_size / GIGA

    @property
    def idle_embedding_params_b(self) -> float:
        """Input embedding, of which a step reads single rows, 10^9; 0 where it is the output layer too."""
        return 0.0 if self.tied_embeddings else self.embedding_params_b

    def _kept_b(self, precision: Precision) -> float:
        narrow = precision.weights.bits_per_param < 6
        if narrow and self.kept_16bit_params_b_fp4 is not None:
            return self.kept_16bit_params_b_fp4
        return min(self.kept_16bit_params_b, self.dense_params_b)

    def dense_step_bytes(self, precision: Precision) -> float:
        """Give the weight bytes that every verify step reads: all but routed experts and the input embedding.

        Parameters
        ----------
        precision : Precision
            Number formats of the deployment.

        Returns
        -------
        float
            Bytes over all GPUs of a tensor-parallel group.
        """
        kept = max(self._kept_b(precision) - self.idle_embedding_params_b, 0.0)
        quantised = max(self.dense_params_b - self.idle_embedding_params_b - kept, 0.0)
        per_param = precision.weights.bytes_per_param
        return GIGA * (quantised * per_param + kept * max(EMBEDDING_BYTES, per_param))

    def expert_bytes(self, precision: Precision) -> float:
        """Give the weight bytes of all routed experts, read in a step at full coverage; 0 for a dense model.

        Parameters
        ----------
        precision : Precision
            Number formats of the deployment.

        Returns
        -------
        float
            Bytes over all GPUs of a tensor-parallel group.
        """
        return GIGA * self.expert_params_b * precision.weights.bytes_per_param

    def weight_bytes(self, precision: Precision) -> float:
        """Give the bytes that all weights take in memory, over all GPUs of a tensor-parallel group.

        Parameters
        ----------
        precision : Precision
            Number formats of the deployment.

        Returns
        -------
        float
            Bytes.
        """
        idle = GIGA * self.idle_embedding_params_b * max(EMBEDDING_BYTES, precision.weights.bytes_per_param)
        return self.dense_step_bytes(precision) + self.expert_bytes(precision) + idle

    @property
    def kv_elements_per_token(self) -> int:
        """Elements that one more token of context adds to the cache, over all layers and all GPUs."""
        per_layer = self.latent_dim or 2 * (self.kv_heads or 0) * (self.head_dim or 0)
        return self.full_attention_layers * per_layer

    def kv_bytes_per_token(self, precision: Precision) -> float:
        """Give the bytes that one more token of context adds to the cache (one copy of it).

        Parameters
        ----------
        precision : Precision
            Number formats of the deployment.

        Returns
        -------
        float
            Bytes.
        """
        return self.kv_elements_per_token * precision.kv.bytes_per_element

    @property
    def launches(self) -> float:
        """Kernel launches of a step, in those of a dense layer with grouped-query attention."""
        kernels = DENSE_KERNELS + (self.latent_dim is not None) * LATENT_KERNELS
        kernels += self.is_moe * ROUTING_KERNELS + (self.n_shared_experts > 0) * SHARED_KERNELS
        return self.layers * kernels / DENSE_KERNELS

    @property
    def attention_flop_per_pair(self) -> float:
        """Matrix work of attention on a prompt of p tokens, over p²: per token of it and token of its length.

        A token meets p/2 earlier ones on average, at two operations an element [FLOP/token²].
        """
        head_dim = self.head_dim or self.hidden_size / self.attention_heads
        return float(
            self.full_attention_layers * (self.attention_width or 2 * self.attention_heads * head_dim)
        )

    def kv_shards(self, tp: int) -> int:
        """Give by how much tensor parallelism divides the cache that one GPU holds and reads.

        Parameters
        ----------
        tp : int
            Tensor-parallel size, GPUs.

        Returns
        -------
        int
            ``min(tp, kv_heads)``: heads are split, and repeated once there are more GPUs than heads. 1 for
            latent attention, whose vector every GPU needs whole.
        """
        return 1 if self.kv_heads is None else min(tp, self.kv_heads)
