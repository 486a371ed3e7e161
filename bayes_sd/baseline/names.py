"""Which rows a point fit puts together: deployments, drafting pairs and configurations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.measurements.repeats import SHAPE_STEPS_PER_DOUBLING
from bayes_sd.model.deployments import deployment_of, drafter_of

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards

SEPARATOR = " || "


def deployment_names(frame: pd.DataFrame, cards: Cards) -> list[str]:
    """Name the deployment of each row, as the hierarchical model does.

    Parameters
    ----------
    frame : DataFrame
        Observations or conditions.
    cards : Cards
        For canonical names.

    Returns
    -------
    list of str
        One per row: verifier, tensor-parallel size and hardware, engine, precision.

    Raises
    ------
    CardError
        If a row names hardware, a precision or a verifier that nothing is known of.
    """
    return [deployment_of(row, cards).key for _, row in frame.iterrows()]


def drafting_names(frame: pd.DataFrame, cards: Cards) -> list[str]:
    """Name the method and drafter of each row, empty without speculation.

    Parameters
    ----------
    frame : DataFrame
    cards : Cards

    Returns
    -------
    list of str
        One per row.
    """
    return [
        f"{row['method']}: {drafter_of(row, cards)}" if row["k"] > 0 else "" for _, row in frame.iterrows()
    ]


def configuration_names(frame: pd.DataFrame, cards: Cards) -> list[str]:
    """Name the configuration of each row: all but the load.

    A configuration is (deployment, method, drafter, k, shape), the unit that the paper fits C1 and C2 to. The
    shape is the workload's name; where a row names none, it is the prompt and output lengths to within about a
    fifth.

    Parameters
    ----------
    frame : DataFrame
    cards : Cards

    Returns
    -------
    list of str
        One per row.
    """
    shapes = _shapes(frame)
    names = zip(
        deployment_names(frame, cards),
        drafting_names(frame, cards),
        frame["k"].astype(float),
        shapes,
        strict=True,
    )
    return [
        SEPARATOR.join([deployment, drafting, f"k={k:g}", shape]) for deployment, drafting, k, shape in names
    ]


def _shapes(frame: pd.DataFrame) -> list[str]:
    steps = np.round(
        SHAPE_STEPS_PER_DOUBLING * np.log2(frame[["prompt_tokens", "output_tokens"]].to_numpy(float))
    )
    lengths = [f"{p:g}x{g:g}" for p, g in steps]
    if "workload" not in frame:
        return lengths
    given = frame["workload"].fillna("").astype(str)
    return [name or length for name, length in zip(given, lengths, strict=True)]
