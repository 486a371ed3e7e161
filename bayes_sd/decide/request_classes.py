"""Classes of requests that a server meets: what they are called, how many of all they are, and how they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bayes_sd.errors import ConditionError
from bayes_sd.measurements.schema import BY_NAME

MOST_CLASSES = 8
NEAR = 1e-3
"""Shares of classes that sum to 1 within this are taken as meant, and divided by their sum."""


@dataclass(frozen=True)
class PromptClass:
    """One class of a mixture of requests.

    Attributes
    ----------
    name : str
    share : float
        Of arrivals, in (0, 1].
    columns : dict
        What is different about its requests, by columns of the measurement table: ``prompt_tokens``, ``output_tokens``,
        ``workload``, an acceptance.
    """

    name: str
    share: float
    columns: dict[str, Any] = field(default_factory=dict)


ALLOWED = (
    "prompt_tokens",
    "output_tokens",
    "output_tokens_std",
    "workload",
    "cached_prompt_tokens",
    "acceptance",
    "mean_accepted_len",
)
"""Columns in which classes of requests may differ; the server is one."""


def checked_classes(classes: Sequence[PromptClass]) -> list[PromptClass]:
    """Refuse classes that are no mixture.

    Raises
    ------
    ConditionError
        If there are fewer than two or more than eight, two have one name, shares do not sum to 1, or a column is not about requests.
    """
    if not 2 <= len(classes) <= MOST_CLASSES:
        raise ConditionError(f"{len(classes)} classes of requests: give from 2 to {MOST_CLASSES}")
    names = [c.name for c in classes]
    double = next((n for n in names if names.count(n) > 1 or not n), None)
    if double is not None:
        raise ConditionError(f"class {double!r}: each needs a name of its own")
    for one in classes:
        if not 0.0 < one.share <= 1.0:
            raise ConditionError(
                f"class {one.name!r} has the share {one.share:g}: it must be above 0, and at most 1"
            )
        wrong = next((c for c in one.columns if c not in ALLOWED), None)
        if wrong is not None:
            what = "classes differ in requests only" if wrong in BY_NAME else "there is no such column"
            raise ConditionError(f"class {one.name!r}: {wrong}: {what}: {', '.join(ALLOWED)}")
    total = sum(c.share for c in classes)
    if abs(total - 1.0) > NEAR:
        raise ConditionError(f"the shares of the classes sum to {total:g}: they must sum to 1")
    return [PromptClass(c.name, c.share / total, c.columns) for c in classes]
