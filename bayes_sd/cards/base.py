"""What every card shares: frozen, no unknown key, numbers within range.

Fields keep the units of the files, which are those people argue in (10^9 parameters, GB/s, TFLOP/s); methods
and properties of the cards give SI units (bytes, bytes/s, FLOP/s), which the latency formulas take.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Compute = Literal["fp16", "fp8", "fp4", "int8"]
Method = Literal[
    "none",
    "eagle",
    "eagle3",
    "mtp",
    "draft_model",
    "ngram",
    "suffix",
    "medusa",
    "mlp_speculator",
    "dflash",
    "dspark",
]

GIGA = 1e9
TERA = 1e12
EMBEDDING_BYTES = 2.0
"""Bytes of a parameter that a quantised checkpoint leaves at 16 bits."""

# The files' units are chosen so that numbers are handy: nothing is a million of them, and a thousand millionth is nothing.
Positive = Annotated[float, Field(gt=1e-9, le=1e6, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
# Strict models take no list for a tuple, and TOML has only lists.
Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)]
Text = Annotated[str, Field(min_length=1)]
StringMap = dict[Text, Text]


Name = Annotated[str, Field(min_length=1, max_length=300)]


class Card(BaseModel):
    """Base of all cards: frozen, no unknown key, no silent conversion."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Name
    aliases: Names = ()
    source: Text
