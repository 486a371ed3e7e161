"""Cards for verifiers and drafters that have none, from what a measurement table says of them.

The rule for a verifier: the *size* of a model is the geometric mean of its total and its active parameters
(its parameters, if dense). Layers, hidden size and cached elements per token are straight lines in the
logarithm of the size, by least squares over the listed cards of the same kind, dense or mixture. Experts follow
exactly from the counts: a token uses the dense part and m of M experts, so experts = (total - active) / (1 - m/M).
Everything else takes the most common value. Such a card says `estimated`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import get_args

from bayes_sd.cards.base import GIGA, Method
from bayes_sd.cards.drafter import Drafter
from bayes_sd.cards.nearest import size_in
from bayes_sd.cards.verifier import Verifier
from bayes_sd.errors import CardError

HEAD_DIM = 128
MIXTURE = re.compile(r"(?:^|[-_.])(?:A\d+(?:\.\d+)?B|\d+x\d+(?:\.\d+)?B|MoE)(?=$|[-_.])", re.I)
"""What in a model's name says a mixture of experts."""
LEAST_ALIKE = 5
"""Listed sizes of one kind, dense or mixture, from which that kind is scaled by itself."""
BLOCK_LAYERS = 5
"""Layers of drafters that propose a block at once (DFlash, DSpark): the usual number of those published."""
LEAST_B = 0.1
"""Parameters [10^9] below which a listed verifier is a toy, whose shape says nothing of those that are served."""
VOCAB_SIZE = 128_000
"""Typical of the listed families (128,256, 129,280, 201,088)."""


def size_b(verifier: Verifier) -> float:
    """Give the size that shapes are scaled by: geometric mean of total and active parameters, 10^9."""
    return math.sqrt(verifier.params_b * verifier.active_params_b)


def scaling(cards: Iterable[Verifier], quantity: str) -> tuple[float, float]:
    """Fit log(quantity) = a + b * log(size) over listed cards by least squares.

    Parameters
    ----------
    cards : iterable of Verifier
        Listed (not estimated) cards. For `kv_elements_per_token`, only those with grouped queries that cache every
        layer in full, as most do: latent, windowed and ungrouped attention are each model's own, and counts do not
        tell of them.
    quantity : {"layers", "hidden_size", "kv_elements_per_token"}
        Attribute to scale.

    Returns
    -------
    tuple of float
        (a, b); size in 10^9 parameters.

    Raises
    ------
    CardError
        If fewer than two sizes are listed.
    """
    usable = [card for card in cards if not card.estimated and card.params_b >= LEAST_B]
    if quantity == "kv_elements_per_token":
        usable = [
            c
            for c in usable
            if c.full_attention_layers == c.layers
            and c.kv_heads is not None
            and c.kv_heads < c.attention_heads
        ]
    x = [math.log(size_b(c)) for c in usable]
    y = [math.log(getattr(c, quantity)) for c in usable]
    if len(set(x)) < 2:
        raise CardError(
            f"{quantity} cannot be estimated from fewer than two listed verifiers: "
            "add a card with --models DIR"
        )
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    slope = sum((u - mean_x) * (v - mean_y) for u, v in zip(x, y, strict=True)) / sum(
        (u - mean_x) ** 2 for u in x
    )
    return mean_y - slope * mean_x, slope


def estimate_verifier(
    name: str,
    cards: Iterable[Verifier],
    params_b: float,
    active_params_b: float | None = None,
    n_experts: int | None = None,
    top_k_experts: int | None = None,
    family: str = "",
) -> Verifier:
    """Make a card from parameter counts, by the rule at the head of this module.

    Parameters
    ----------
    name : str
        The verifier's name.
    cards : iterable of Verifier
        Listed cards to scale from.
    params_b, active_params_b : float
        Total parameters, and those used for a token (10^9); default: all.
    n_experts, top_k_experts : int or None
        Routed experts per layer, and those a token uses.
    family : str
        Family to note on the card.

    Returns
    -------
    Verifier
        With ``estimated=True``.

    Raises
    ------
    CardError
        If the counts contradict each other.
    """
    listed = list(cards)
    active_b = params_b if active_params_b is None else active_params_b
    where = f"verifier {name!r} has no card and its columns do not make one"
    if not (0 < active_b <= params_b):
        raise CardError(
            f"{where}: active parameters {active_b:g} must be above 0 and at most the total {params_b:g}"
        )
    if (n_experts is None) != (top_k_experts is None) or (top_k_experts or 0) > (n_experts or 0):
        raise CardError(
            f"{where}: n_experts {n_experts} and top_k_experts {top_k_experts} contradict each other"
        )
    size = math.sqrt(params_b * active_b)
    sparse = n_experts is not None and top_k_experts is not None and top_k_experts < n_experts
    alike = [card for card in listed if card.is_moe == sparse and not card.estimated]
    if len({size_b(card) for card in alike}) >= LEAST_ALIKE:
        listed = alike

    def scaled(quantity: str) -> float:
        a, b = scaling(listed, quantity)
        return math.exp(a + b * math.log(size))

    hidden = HEAD_DIM * max(1, round(scaled("hidden_size") / HEAD_DIM))
    layers = max(1, round(scaled("layers")))
    expert_b = 0.0
    if n_experts is not None and top_k_experts is not None and top_k_experts < n_experts:
        expert_b = (params_b - active_b) / (1 - top_k_experts / n_experts)
    if expert_b == 0.0:  # routing to every expert is a dense model
        n_experts = top_k_experts = None
        active_b = params_b
    elif expert_b >= params_b:
        raise CardError(
            f"{where}: with {top_k_experts} of {n_experts} experts, "
            f"{active_b:g} active of {params_b:g} is too few"
        )
    # The vocabulary shrinks where a tiny model could not hold it.
    vocab = max(1, min(VOCAB_SIZE, int(0.25 * (params_b - expert_b) * GIGA / hidden)))
    kv_heads = max(1, round(scaled("kv_elements_per_token") / (2 * HEAD_DIM * layers)))
    return Verifier(
        name=name,
        family=family,
        params_b=params_b,
        active_params_b=active_b,
        layers=layers,
        full_attention_layers=layers,
        hidden_size=hidden,
        attention_heads=max(1, hidden // HEAD_DIM),
        kv_heads=kv_heads,
        head_dim=HEAD_DIM,
        vocab_size=vocab,
        n_experts=n_experts,
        top_k_experts=top_k_experts,
        expert_params_b=expert_b,
        kept_16bit_params_b=2 * vocab * hidden / GIGA,
        estimated=True,
        source="estimated from parameter counts, scaled from the listed cards",
    )


def refuse_half_told_mixture(
    name: str,
    is_moe: bool | None,
    params_b: float,
    active_params_b: float | None,
    experts: tuple[float | None, float | None],
) -> None:
    """Refuse a mixture of experts of which only a part is told: it would be taken for a dense model.

    Parameters
    ----------
    name : str
        The verifier's name; ``30B-A3B`` or ``8x7B`` in it says a mixture.
    is_moe : bool or None
        What the table says; None or False where it says nothing.
    params_b, active_params_b : float
        Total and active parameters (10^9).
    experts : tuple
        Routed experts per layer, and those a token uses.

    Raises
    ------
    CardError
        Naming the columns that are missing.
    """
    n_experts, top_k = experts
    if (n_experts is None) != (top_k is None):
        return  # a contradiction, which `estimate_verifier` names
    said = is_moe or MIXTURE.search(name) or (active_params_b is not None and active_params_b < params_b)
    columns = {
        "verifier_active_params_b": active_params_b,
        "n_experts": n_experts,
        "top_k_experts": top_k,
    }
    missing = [column for column, value in columns.items() if value is None]
    if missing and (said or n_experts is not None):
        raise CardError(
            f"verifier {name!r} is a mixture of experts without a card, and its size alone does not tell what a token costs: "
            f"give {', '.join(missing)} too (needed are verifier_params_b, verifier_active_params_b, n_experts, "
            "top_k_experts), or make a card with `card config.json`"
        )


def estimate_drafter(name: str, method: str, verifier: Verifier, params_b: float | None = None) -> Drafter:
    """Make a card for a drafter that has none.

    A given parameter count is taken, or the one that a draft model's name says. Without one, methods that add a layer to the
    verifier (eagle, eagle3, mtp, medusa, mlp_speculator) are taken as one dense layer of its width, 12 hidden^2, plus a projection
    of two hidden vectors into one, and read the verifier's output layer; those that propose a block (dflash, dspark)
    have :data:`BLOCK_LAYERS` such layers and take in as many hidden vectors; n-gram and suffix decoding have no model. A method
    that is not known is taken as one that adds a layer.

    Parameters
    ----------
    name : str
        The drafter's name.
    method : str
        How it drafts.
    verifier : Verifier
        Whom it drafts for.
    params_b : float or None
        Its parameters (10^9), where known.

    Returns
    -------
    Drafter
        With ``estimated=True``.

    Raises
    ------
    CardError
        For a draft model of unknown size.
    """
    shared = 0.0
    if params_b is None and method == "draft_model" and not MIXTURE.search(name):
        params_b = size_in(name)
    if method in ("ngram", "suffix"):
        params_b = 0.0
    elif params_b is None:
        if method == "draft_model":
            raise CardError(
                f"drafter {name!r} has no card and its size is not known: "
                "give drafter_params_b, or a card with --models DIR"
            )
        layers = BLOCK_LAYERS if method in ("dflash", "dspark") else 1
        params_b = (12 * layers + max(layers, 2)) * verifier.hidden_size**2 / GIGA
        shared = verifier.embedding_params_b
    if params_b > verifier.params_b:
        raise CardError(
            f"drafter {name!r} has {params_b:g}e9 parameters and {verifier.name} {verifier.params_b:g}e9: a drafter is smaller; is "
            "drafter_params_b in another unit?"
        )
    return Drafter.model_validate(
        {
            "name": name or method,
            "method": method if method in get_args(Method) else "eagle",
            "params_b": params_b,
            "shared_params_b": shared,
            "verifiers": [verifier.name],
            "estimated": True,
            "source": "estimated: parameters as given, or one layer of the verifier's width",
        }
    )
