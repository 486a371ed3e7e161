"""How many requests the key-value cache holds: the share of its nominal size that running requests fill.

    held = exp(efficiency[engine] + stack[stack])·cache_tokens/(p + (½ + ½·reserve)·g)

In a closed loop the requests that run are the smooth minimum of what is held and what is offered.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from bayes_sd.model.spec import ModelSpec
from bayes_sd.model.term import Coords, PerLevel, Quantities, Term, Unknown, Values, one_row

SHARPNESS = 12.0
"""How abruptly the cache limits the requests that run: lengths vary, so the limit bites a little before it binds."""


def nominal_held(reserve: Any, cache_tokens: Any, prompt: Any, output: Any) -> Any:
    """Compute the requests that a cache of nominal size holds at once.

    Parameters
    ----------
    reserve : array
        Share of the output that an engine sets aside when it admits a request, in [0, 1].
    cache_tokens, prompt, output : array
        Nominal cache and lengths [tokens].

    Returns
    -------
    array
        Requests.
    """
    return cache_tokens / (prompt + (0.5 + 0.5 * reserve) * output)


def smooth_minimum(held: Any, load: Any) -> Any:
    """Requests that run when `load` are offered and the cache holds `held`: their minimum, rounded where they meet."""
    return load * (1.0 + (load / held) ** SHARPNESS) ** (-1.0 / SHARPNESS)


class Cache(Term):
    """Requests that run at once in a closed loop."""

    name = "cache"

    def unknowns(self, spec: ModelSpec, coords: Coords) -> list[Unknown]:
        """Declare the log share that engines fill, and what a stack's own configuration makes of it."""
        prior = spec.priors["cache"]
        return [
            Unknown(
                "log_cache_efficiency",
                ("engine",),
                np.log(prior["efficiency_median"]),
                prior["efficiency_log_sd"],
            ),
            Unknown("cache_stack", ("stack",), 0.0, prior["stack_log_sd"]),
        ]

    def per_level(self, u: Values, f: Values, xp: ModuleType) -> list[PerLevel]:
        """Give the factors of engine and stack on the nominal cache."""
        return [
            PerLevel("engine", ("cache_engine",), one_row(xp.exp(u["log_cache_efficiency"]))),
            PerLevel("stack", ("cache_stack_factor",), one_row(xp.exp(u["cache_stack"]))),
        ]

    def contribute(self, q: Quantities, u: Values, f: Values, xp: ModuleType) -> None:
        """Give the requests that the cache holds."""
        q.held = q.looked_up["cache_engine"] * q.looked_up["cache_stack_factor"] * f["nominal_held"]
