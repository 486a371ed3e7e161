"""Shapes of the small models: Llama-shaped dense decoders and one Mixtral-shaped mixture of experts."""

from __future__ import annotations

from dataclasses import dataclass

from bayes_sd.engine.words import N_TOKENS


@dataclass(frozen=True)
class Shape:
    """Shape of a decoder with grouped-query attention and gated feed-forward layers.

    Attributes
    ----------
    name : str
        Name of the model.
    layers, width, heads, kv_heads, head_dim, feed_forward : int
        As in a Llama ``config.json``; `feed_forward` is that of one expert in a mixture.
    experts, experts_used : int
        Routed experts a layer and those a token takes; 0 for a dense model.
    quantised : bool
        Whether matrices are stored as q8_0 (8-bit blocks); else 16-bit floats.
    """

    name: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    feed_forward: int
    experts: int = 0
    experts_used: int = 0
    quantised: bool = True

    @property
    def embedding_params(self) -> int:
        """Parameters of one embedding."""
        return N_TOKENS * self.width

    @property
    def expert_params(self) -> int:
        """Parameters of all routed experts; 0 for a dense model."""
        return 3 * self.width * self.feed_forward * self.experts * self.layers

    @property
    def params(self) -> int:
        """All parameters, both embeddings included."""
        attention = self.width * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        dense = (
            self.width * self.experts if self.experts else 3 * self.width * self.feed_forward
        )  # the router, or the one feed-forward layer
        norms = 2 * self.width
        return (
            self.layers * (attention + dense + norms)
            + self.expert_params
            + 2 * self.embedding_params
            + self.width
        )

    @property
    def active_params(self) -> int:
        """Parameters that one token uses, both embeddings included."""
        if not self.experts:
            return self.params
        return self.params - self.expert_params + self.expert_params * self.experts_used // self.experts


VERIFIERS: dict[str, Shape] = {
    shape.name: shape
    for shape in (
        Shape("cycle-16m", layers=8, width=384, heads=6, kv_heads=3, head_dim=64, feed_forward=1024),
        Shape("cycle-33m", layers=8, width=576, heads=9, kv_heads=3, head_dim=64, feed_forward=1536),
        Shape("cycle-moe-62m", layers=6, width=384, heads=6, kv_heads=3, head_dim=64, feed_forward=512, experts=16, experts_used=2),
    )
}  # fmt: skip
"""Verifiers by name: two dense ones and a mixture of 16 experts, two a token."""

DRAFTERS: dict[str, Shape] = {
    shape.name: shape
    for shape in (
        Shape("cycle-draft-4m", layers=2, width=256, heads=4, kv_heads=2, head_dim=64, feed_forward=704, quantised=False),
        Shape("cycle-draft-8m", layers=4, width=320, heads=5, kv_heads=5, head_dim=64, feed_forward=896, quantised=False),
    )
}  # fmt: skip
"""Drafters by name, at 16 bits as drafters are nearly always served."""
