"""Names of what rows share: acceptance cells, lengths and shapes, and numbers for names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.model.deployments import Deployment

SEPARATOR = " | "
SYNTHETIC = ("random", "synthetic", "shared_prefix")
"""How the names of workloads begin whose text no drafter was trained on."""


def codes(values: list[str]) -> tuple[np.ndarray, list[str]]:
    """Number names in order of first appearance; blank names get −1."""
    names = list(dict.fromkeys(v for v in values if v))
    position = {name: i for i, name in enumerate(names)}
    return np.array([position.get(v, -1) for v in values], dtype=int), names


def cell_name(row: pd.Series, deployment: Deployment, drafter: str) -> str:
    """Name the acceptance cell of a speculating row: what its acceptance depends on."""
    workload = row.get("workload")
    named = workload if isinstance(workload, str) and workload else "?"
    return SEPARATOR.join([deployment.verifier, drafter, deployment.weights, named])


def cell_workload(cell: str) -> str:
    """Give the workload in the name of an acceptance cell."""
    return cell.rpartition(SEPARATOR)[2]


def is_synthetic(workload: str) -> bool:
    """Say whether a workload's text is random or made up, by its first word.

    Parameters
    ----------
    workload : str
        As in tables: ``random 1k-1k`` of InferenceX, ``shared_prefix ...`` of inference-perf's generator, ``random-words``
        and ``random-tokens`` of ``measure``.

    Returns
    -------
    bool
    """
    return workload.casefold().startswith(SYNTHETIC)


def rounded_lengths(row: pd.Series) -> str:
    """Give the prompt and output length of a row, to a quarter of a doubling."""
    steps = [round(4.0 * np.log2(row[c])) / 4.0 for c in ("prompt_tokens", "output_tokens")]
    return f"{2 ** steps[0]:.0f}+{2 ** steps[1]:.0f}"


def lengths_name(row: pd.Series, deployment: Deployment) -> str:
    """Name the lengths of a row on its deployment, to a quarter of a doubling."""
    return f"{deployment.key} | {rounded_lengths(row)}"


def shape_name(row: pd.Series, deployment: Deployment, drafter: str) -> str:
    """Name the shape of a row: its deployment, drafter, draft length, and lengths to a quarter of a doubling."""
    speculation = f"{drafter} k={row['k']:g}" if drafter else "none"
    return f"{deployment.key} | {speculation} | {rounded_lengths(row)}"
