"""Whether a deployment's weights fit into the memory of its GPUs."""

from __future__ import annotations

import math

from bayes_sd.cards.hardware import Hardware
from bayes_sd.cards.precision import Precision
from bayes_sd.cards.verifier import Verifier
from bayes_sd.errors import CardError


def least_gpus(verifier: Verifier, hardware: Hardware, precision: Precision) -> int:
    """Give the fewest GPUs whose memory holds the weights, without any room for a cache."""
    return math.ceil(verifier.weight_bytes(precision) / hardware.memory_bytes)


def check_fits(verifier: Verifier, hardware: Hardware, precision: Precision, gpus: int) -> None:
    """Refuse a deployment whose weights are larger than the memory of its GPUs.

    Parameters
    ----------
    verifier, hardware, precision : cards
    gpus : int
        GPUs that share the weights.

    Raises
    ------
    CardError
        With both sizes, and the number of GPUs that would do.
    """
    weights, memory = verifier.weight_bytes(precision), gpus * hardware.memory_bytes
    if weights > memory:
        raise CardError(
            f"{verifier.name} in {precision.weights.name} takes {weights / 1e9:,.1f} GB of weights, and {gpus} x {hardware.name} "
            f"hold {memory / 1e9:,.1f} GB: use at least {least_gpus(verifier, hardware, precision)} of them, or a narrower format"
        )
