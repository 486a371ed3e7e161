"""Parts of a checkpoint's weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

EMBEDDING, HEAD, ATTENTION, MLP, SHARED, EXPERTS, ROUTER, SMALL, LOOKUP = (
    "embedding",
    "output layer",
    "attention",
    "dense feed-forward",
    "shared experts",
    "routed experts",
    "router",
    "norms and biases",
    "per-layer lookup",
)
"""Parts. A lookup is a table of which a step reads single rows."""


@dataclass(frozen=True)
class Tensor:
    """Weights of one module.

    Attributes
    ----------
    module : str
        Name as in a checkpoint, such as ``model.layers.0.self_attn.q_proj``; all routed experts of a layer are one.
    part : str
        What it belongs to, one of the names at the head of this module.
    parameters : int
    """

    module: str
    part: str
    parameters: int


def matrices(name: str, part: str, **sizes: int) -> Iterator[Tensor]:
    """List matrices of one part, from the name of each to its parameters."""
    for module, parameters in sizes.items():
        yield Tensor(f"{name}.{module}", part, parameters)


def parts_of(tensors: Iterable[Tensor]) -> dict[str, int]:
    """Add weights up by part."""
    found: dict[str, int] = {}
    for tensor in tensors:
        found[tensor.part] = found.get(tensor.part, 0) + tensor.parameters
    return found
