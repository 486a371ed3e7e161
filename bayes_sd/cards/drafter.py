"""Drafters and families."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, model_validator

from bayes_sd.cards.base import EMBEDDING_BYTES, GIGA, Card, Count, Method, Names, NonNegative


class Drafter(Card):
    """What proposes tokens.

    Attributes
    ----------
    method : str
        ``eagle``, ``eagle3``, ``mtp``, ``draft_model``, ``ngram``, ``suffix``, ``medusa`` or
        ``mlp_speculator``.
    params_b : float
        Its own parameters (10^9); 0 where there is no model.
    active_params_b : float
        Those a draft step uses for a token (10^9); the same unless it is sparse.
    shared_params_b : float
        The verifier's output layer, where each draft step reads that one (10^9).
    verifiers : tuple of str
        Verifiers that it was made for; empty means any.
    layers, hidden_size, vocab_size : int or None
        Shape; None where there is no model.
    family : str
        Family of the card it was listed in.
    estimated : bool
        Whether the parameters were estimated instead of read from a card.
    """

    family: str = ""
    method: Method
    params_b: NonNegative
    active_params_b: NonNegative
    shared_params_b: NonNegative = 0.0
    verifiers: Names = ()
    layers: Count | None = None
    hidden_size: Count | None = None
    vocab_size: Count | None = None
    estimated: bool = False

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, values: dict[str, Any]) -> dict[str, Any]:
        filled = dict(values)
        if "params_b" in filled:
            filled.setdefault("active_params_b", filled["params_b"])
        return filled

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.active_params_b > self.params_b:
            raise ValueError("active_params_b is more than params_b")
        if self.method == "none":
            raise ValueError("method none has no drafter")
        if (self.params_b == 0) != (self.method in ("ngram", "suffix")):
            raise ValueError(f"params_b is {self.params_b:g}, which method {self.method} cannot have")
        return self

    def step_bytes(self, bytes_per_param: float = 2.0) -> float:
        """Give the weight bytes that one draft step reads for one sequence.

        Parameters
        ----------
        bytes_per_param : float
            Stored bytes of a drafter weight; drafters are nearly always served at 16 bits.

        Returns
        -------
        float
            Bytes over all GPUs that share the drafter.
        """
        return GIGA * (self.active_params_b * bytes_per_param + self.shared_params_b * EMBEDDING_BYTES)


class Family(BaseModel):
    """The verifiers and drafters of one card file.

    Attributes
    ----------
    name : str
        Name of the family, and of its measurement table.
    verifiers, drafters : tuple of str
        Canonical names.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    verifiers: tuple[str, ...]
    drafters: tuple[str, ...]
