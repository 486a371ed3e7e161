"""How many requests decode workers of two pools run at once: their engine's limit on the batch, which tables rarely state.

    held ← held ⊖ max(1, admitted[run]·N/W)

with N clients, W decode workers and ⊖ a rounded minimum. TensorRT-LLM's workers have a largest batch; whoever sets up two pools
chooses it for a load, and sends a little more so that none runs dry: of 192 clients of four workers 129 decode at a time, which is
4·32, and the others wait for their first token. SGLang's run what their cache holds. Each run was set up by itself, so each has a
share of its own; the share of decoding in a request's latency tells it, or else it widens what latency says. Rows that state their
engine's limit have none, nor have open loops.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pandas as pd

from bayes_sd.model.names import SEPARATOR, lengths_name
from bayes_sd.model.pools import has_pools
from bayes_sd.model.spec import ModelSpec
from bayes_sd.model.term import (
    Coords,
    Labelled,
    PerLevel,
    Quantities,
    Term,
    Unknown,
    Values,
    logit,
    one_row,
    sigmoid,
)
from bayes_sd.model.terms.cache import SHARPNESS, smooth_minimum

SETS_BATCH = ("trtllm",)
"""Engines whose largest batch is always chosen: ``max_batch_size`` of TensorRT-LLM's build and server. Others' is unset, or far above
what a decode worker is sent. Where any pool could be the limit and any batch, one row could not tell which it was."""


class Admission(Term):
    """Share of the clients that decode workers admit, run by run."""

    name = "admission"

    def levels_of(self, labelled: Labelled) -> dict[str, str]:
        """Name the run of a row at two pools: deployment, lengths and clients."""
        row, deployment = labelled.row, labelled.deployment
        pools = deployment.disaggregated and has_pools(row)
        if not pools or deployment.engine_base not in SETS_BATCH or pd.notna(row.get("max_num_seqs")):
            return {"admission": ""}
        return {
            "admission": f"{lengths_name(row, deployment)}{SEPARATOR}{float(row['load_value']):g} clients"
        }

    def active(self, spec: ModelSpec, coords: Coords) -> bool:
        """Say whether any row has two pools; posteriors of earlier versions have no such prior."""
        return bool(coords["admission"]) and "admission" in spec.priors

    def unknowns(self, spec: ModelSpec, coords: Coords) -> list[Unknown]:
        """Declare the log odds of each run's share; runs of a server that were not fitted share a draw, whatever their clients."""
        prior = spec.priors["admission"]
        centre = logit(prior["share_median"])
        return [
            Unknown("logit_admitted", ("admission",), centre, prior["share_logit_sd"], alike=_without_clients)
        ]

    def per_level(self, u: Values, f: Values, xp: ModuleType) -> list[PerLevel]:
        """Give the share of each run."""
        return [PerLevel("admission", ("admitted",), one_row(sigmoid(u["logit_admitted"], xp)))]

    def contribute(self, q: Quantities, u: Values, f: Values, xp: ModuleType) -> None:
        """Let no more run than are admitted, and one at least."""
        limit = admitted_requests(q.looked_up["admitted"], f["clients_each"], xp)
        q.held = xp.where(f["admits"], smooth_minimum(limit, q.held), q.held)


def admitted_requests(share: Any, clients_each: Any, xp: ModuleType) -> Any:
    """Requests that a decode worker admits at most: a share of its clients, or one; the larger, rounded where they meet."""
    return (1.0 + (share * clients_each) ** SHARPNESS) ** (1.0 / SHARPNESS)


def _without_clients(run: str) -> str:
    return run.rpartition(SEPARATOR)[0]
