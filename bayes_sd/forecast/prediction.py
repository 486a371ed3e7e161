"""Draws of what was predicted for conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.forecast.conditions import Conditions
from bayes_sd.latency.tails import LEVELS

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, repr=False)
class Prediction:
    """Draws for conditions.

    Attributes
    ----------
    conditions : Conditions
    latency_s : array, shape (draw, condition)
        Mean latency [s]; inf in draws without a steady state.
    measured_s : array, shape (draw, condition)
        A new measurement of it [s].
    ttft_s : array, shape (draw, condition)
        Mean time to first token [s], waiting included.
    in_flight : array, shape (draw, condition)
        Mean requests in flight, queued ones included.
    stable : array, shape (condition,)
        Probability that there is a steady state.
    tails_s : array, shape (draw, condition, level)
        Latency at the percentiles :data:`bayes_sd.latency.tails.LEVELS` of requests [s]; inf without a steady state.
    chains : int
        Chains that the draws come from, one after the other along the first axis.
    told_s : array, shape (draw, condition)
        What a new measurement would be without noise [s]: the mean latency, or for rows of decoding alone that of it.
    scatter : array, shape (draw, condition)
        Scale of the noise that makes `measured_s` of it [log].
    """

    conditions: Conditions
    latency_s: np.ndarray
    measured_s: np.ndarray
    ttft_s: np.ndarray
    in_flight: np.ndarray
    stable: np.ndarray
    tails_s: np.ndarray
    chains: int
    told_s: np.ndarray
    scatter: np.ndarray

    def __repr__(self) -> str:
        draws, conditions = self.latency_s.shape
        return f"<Prediction of {conditions} conditions, {draws} draws; summarise() or to_dataset() for its numbers>"

    def to_dataset(self) -> xr.Dataset:
        """Give the draws with names, dims ``chain``, ``draw``, ``condition`` and, for percentiles of requests, ``level``."""
        import xarray as xr

        dims = ("chain", "draw", "condition")

        def by_chain(values: np.ndarray) -> np.ndarray:
            return values.reshape(self.chains, -1, *values.shape[1:])

        return xr.Dataset(
            {
                "latency": (dims, by_chain(self.latency_s), {"units": "s"}),
                "measured": (dims, by_chain(self.measured_s), {"units": "s"}),
                "ttft": (dims, by_chain(self.ttft_s), {"units": "s"}),
                "tails": ((*dims, "level"), by_chain(self.tails_s), {"units": "s"}),
                "in_flight": (dims, by_chain(self.in_flight), {"units": "requests"}),
                "stable": (("condition",), self.stable),
                "extrapolates": (("condition",), np.array(self.conditions.extrapolates, dtype=object)),
            },
            coords={
                "chain": np.arange(self.chains),
                "draw": np.arange(len(self.latency_s) // self.chains),
                "level": list(LEVELS),
            },
        )
