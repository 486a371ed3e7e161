"""Stage coefficients a deployment: the paper's six, with its trends in length so that they reach new lengths.

    C1 = c1p + (g/E)·(c1v + k·c1d)                  [s]
    C2 = c2p + (g/E)·(c2v + k·c2d)                  [s/request]
    c2p = a·p,   c2v = v0 + v1·(p + g/2)

and L = C1/(1 − λC2) in an open loop, L = C1 + C2·N in a closed one (:mod:`bayes_sd.baseline.line` says why).
The paper fits six numbers for each verifier and pair of lengths, and reports that c2p is linear in the prompt p
and c2v in the mean context p + g/2; with those trends written in, one fit serves every length of a deployment.
A prompt of no tokens has no prefill to share, hence no constant in c2p. Drafting coefficients are one pair per
(method, drafter), and a deployment without speculation has none. All coefficients are positive, residuals are
of log latency. Source: Kong et al. 2026, arXiv:2605.15051.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.baseline.line import NEAREST_TO_SATURATION, line_latency_s, loads
from bayes_sd.baseline.names import deployment_names, drafting_names
from bayes_sd.baseline.squares import fit_log_latency
from bayes_sd.errors import ModelError
from bayes_sd.model.stated import measured_committed

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards

BASE = ("c1p_s", "c1v_s", "c2p_token_s", "c2v_s", "c2v_token_s")
"""c1p [s], c1v [s/cycle], a [s/token/request], v0 [s/cycle/request], v1 [s/token/cycle/request]."""
DRAFT = ("c1d_s", "c2d_s")
"""Per (method, drafter): [s/draft step], [s/draft step/request]."""
LEAST_SHARE = 1e-6
"""Where linear least squares puts a coefficient at zero, it starts so small that it makes at most this share of a latency."""


@dataclass(frozen=True)
class StageFit:
    """Coefficients of one deployment.

    Attributes
    ----------
    coefficient : dict of str to float
        By the names of `BASE`, and of `DRAFT` followed by `` | `` and the drafting name.
    n_rows : int
        Rows fitted.
    """

    coefficient: dict[str, float]
    n_rows: int

    @property
    def draftings(self) -> set[str]:
        """Methods and drafters that were measured."""
        return {name.split(" | ", 1)[1] for name in self.coefficient if " | " in name}


@dataclass(frozen=True)
class Stages:
    """What the coefficients are multiplied with, one row per condition.

    Attributes
    ----------
    prompt, output : array, shape (row,)
        p and g [tokens].
    k : array, shape (row,)
        Draft length [tokens].
    committed : array, shape (row,)
        E [tokens/cycle], 1 without speculation, NaN where it is not stated.
    load : array, shape (row,)
        Requests/s or clients.
    open_loop : bool array, shape (row,)
    drafting : list of str
        Empty without speculation.
    """

    prompt: np.ndarray
    output: np.ndarray
    k: np.ndarray
    committed: np.ndarray
    load: np.ndarray
    open_loop: np.ndarray
    drafting: list[str]

    def factors(self, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Give what each coefficient adds to C1 and to C2.

        Parameters
        ----------
        names : list of str
            Coefficients, as in :class:`StageFit`.

        Returns
        -------
        to_c1, to_c2 : array, shape (row, coefficient)
        """
        cycles = self.output / self.committed
        base = {
            "c1p_s": np.ones_like(cycles),
            "c1v_s": cycles,
            "c2p_token_s": self.prompt,
            "c2v_s": cycles,
            "c2v_token_s": cycles * (self.prompt + 0.5 * self.output),
        }
        drafting = np.array(self.drafting, dtype=object)
        columns = [
            base[name] if name in base else cycles * self.k * (drafting == name.split(" | ", 1)[1])
            for name in names
        ]
        stacked = np.column_stack(columns)
        first = np.array([name.startswith("c1") for name in names])
        return stacked * first, stacked * ~first

    def take(self, own: np.ndarray) -> Stages:
        """Give the rows that a bool array of shape (row,) chooses."""
        return Stages(
            prompt=self.prompt[own],
            output=self.output[own],
            k=self.k[own],
            committed=self.committed[own],
            load=self.load[own],
            open_loop=self.open_loop[own],
            drafting=[d for d, chosen in zip(self.drafting, own, strict=True) if chosen],
        )


@dataclass(frozen=True)
class StageFits:
    """Fits of all deployments that have one.

    Attributes
    ----------
    fits : dict of str to StageFit
        By deployment name.
    refused : dict of str to str
        Why a deployment has none.
    cards : Cards
    """

    fits: dict[str, StageFit]
    refused: dict[str, str]
    cards: Cards

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """Predict conditions.

        Parameters
        ----------
        frame : DataFrame
            Conditions, with the measurement table's column names. A speculating row states its E.

        Returns
        -------
        array, shape (row,)
            Mean latency [s]; NaN for a deployment that was not fitted, a method and drafter that were not
            measured on it, or speculation without a stated E; inf past saturation.
        """
        rows = stages_of(frame, self.cards)
        names = np.array(deployment_names(frame, self.cards), dtype=object)
        latency = np.full(len(frame), np.nan)
        for name in set(names) & set(self.fits):
            fit = self.fits[name]
            known = np.array([d in fit.draftings | {""} for d in rows.drafting])
            own = (names == name) & known & np.isfinite(rows.committed)
            chosen = rows.take(own)
            to_c1, to_c2 = chosen.factors(list(fit.coefficient))
            value = np.array(list(fit.coefficient.values()))
            latency[own] = line_latency_s(chosen.load, chosen.open_loop, to_c1 @ value, to_c2 @ value)
        return latency


def stages_of(frame: pd.DataFrame, cards: Cards) -> Stages:
    """Take what the stage coefficients need from a table.

    Parameters
    ----------
    frame : DataFrame
        Observations or conditions.
    cards : Cards

    Returns
    -------
    Stages
    """
    load, open_loop = loads(frame)
    return Stages(
        prompt=frame["prompt_tokens"].to_numpy(dtype=float),
        output=frame["output_tokens"].to_numpy(dtype=float),
        k=frame["k"].to_numpy(dtype=float),
        committed=measured_committed(frame),
        load=load,
        open_loop=open_loop,
        drafting=drafting_names(frame, cards),
    )


def fit_deployment(latency_s: np.ndarray, rows: Stages) -> StageFit:
    """Fit the stage coefficients of one deployment.

    Parameters
    ----------
    latency_s : array, shape (row,)
        Mean latency [s].
    rows : Stages
        Its rows; E stated in each.

    Returns
    -------
    StageFit

    Raises
    ------
    ModelError
        If there are fewer rows than coefficients.
    """
    names = [*BASE, *(f"{c} | {d}" for d in dict.fromkeys(rows.drafting) if d for c in DRAFT)]
    if len(latency_s) < len(names):
        raise ModelError(
            f"{len(latency_s)} row(s) for {len(names)} coefficients; measure the deployment at more lengths or loads"
        )
    to_c1, to_c2 = rows.factors(names)

    def predict_s(value: np.ndarray) -> np.ndarray:
        c2 = to_c2 @ value
        # Trial points may pass the pole of an open loop.
        c2 = np.where(rows.open_loop, np.minimum(c2, NEAREST_TO_SATURATION / rows.load), c2)
        return line_latency_s(rows.load, rows.open_loop, to_c1 @ value, c2)

    coefficients = fit_log_latency(predict_s, latency_s, _start(latency_s, to_c1, to_c2, rows))
    return StageFit(dict(zip(names, coefficients.tolist(), strict=True)), len(latency_s))


def _start(latency_s: np.ndarray, to_c1: np.ndarray, to_c2: np.ndarray, rows: Stages) -> np.ndarray:
    """Start at non-negative least squares of relative error, at the measured number in flight (Little's law)."""
    from scipy.optimize import nnls

    in_flight = np.where(rows.open_loop, rows.load * latency_s, rows.load)
    total = to_c1 + in_flight[:, None] * to_c2
    scaled = total / latency_s[:, None]
    size = scaled.max(axis=0)
    value, _ = nnls(scaled / size, np.ones(len(latency_s)))
    return np.maximum(value, LEAST_SHARE) / size


def fit_stages(frame: pd.DataFrame, cards: Cards) -> StageFits:
    """Fit each deployment of a table by itself.

    Parameters
    ----------
    frame : DataFrame
        Observations (see :func:`bayes_sd.sample.fit.observations`), with ``latency_s``. Speculating rows that
        do not state their E are left out.
    cards : Cards

    Returns
    -------
    StageFits

    Raises
    ------
    ModelError
        If no deployment has as many rows as coefficients.
    """
    rows = stages_of(frame, cards)
    latency = frame["latency_s"].to_numpy(dtype=float)
    names = np.array(deployment_names(frame, cards), dtype=object)
    fits: dict[str, StageFit] = {}
    refused: dict[str, str] = {}
    for name in dict.fromkeys(names):
        own = (names == name) & np.isfinite(rows.committed)
        try:
            fits[name] = fit_deployment(latency[own], rows.take(own))
        except ModelError as error:
            refused[name] = str(error)
    if not fits:
        raise ModelError(
            f"no deployment of {len(frame)} row(s) has as many rows as coefficients; give more rows each"
        )
    return StageFits(fits, refused, cards)
