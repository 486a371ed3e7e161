"""Two coefficients a configuration: L = C1/(1 − λC2), the paper's equation, by least squares.

An open loop's rate λ is set by the client, so there L = C1/(1 − λC2) is fitted as it stands. In a closed loop
the client sets the number in flight N, and λ is a result: Little's law λ = N/L turns the same equation into
L = C1 + C2·N, which is fitted there. Fitting closed-loop rows on the achieved λ would put the measured latency
on both sides, and could not predict a number of clients without its answer.

Residuals are of log latency, so that each row counts by its relative error: a load sweep spans a factor of ten
or more, and plain residuals would fit its top alone. Source: Kong et al. 2026, arXiv:2605.15051.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.baseline.names import configuration_names
from bayes_sd.baseline.squares import fit_log_latency
from bayes_sd.errors import ModelError

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards

NEAREST_TO_SATURATION = 1.0 - 1e-6
"""Largest λC2 of a fitted row: the equation has a pole at 1."""
LEAST_SHARE = 1e-3
"""Least start of a coefficient, as a share of the smallest latency."""


@dataclass(frozen=True)
class Line:
    """Coefficients of one configuration.

    Attributes
    ----------
    c1_s : float
        Load-independent cost of a request [s].
    c2_s : float
        Extra latency per request in flight [s/request].
    """

    c1_s: float
    c2_s: float

    def latency_s(self, load: np.ndarray, open_loop: np.ndarray) -> np.ndarray:
        """Compute mean latency.

        Parameters
        ----------
        load : array, shape (row,)
            Requests/s of an open loop, clients of a closed one.
        open_loop : bool array, shape (row,)

        Returns
        -------
        array, shape (row,)
            Seconds; inf at or past saturation, λC2 ≥ 1.
        """
        return line_latency_s(load, open_loop, self.c1_s, self.c2_s)


@dataclass(frozen=True)
class LineFits:
    """Lines of all configurations that have one.

    Attributes
    ----------
    lines : dict of str to Line
        By configuration name.
    refused : dict of str to str
        Why a configuration has none.
    cards : Cards
    """

    lines: dict[str, Line]
    refused: dict[str, str]
    cards: Cards

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """Predict conditions.

        Parameters
        ----------
        frame : DataFrame
            Conditions, with the measurement table's column names.

        Returns
        -------
        array, shape (row,)
            Mean latency [s]; NaN for a configuration that was not fitted.
        """
        latency = np.full(len(frame), np.nan)
        load, open_loop = loads(frame)
        names = np.array(configuration_names(frame, self.cards), dtype=object)
        for name in set(names) & set(self.lines):
            own = names == name
            latency[own] = self.lines[name].latency_s(load[own], open_loop[own])
        return latency


def line_latency_s(
    load: np.ndarray, open_loop: np.ndarray, c1_s: float | np.ndarray, c2_s: float | np.ndarray
) -> np.ndarray:
    """Compute L = C1/(1 − λC2) of an open loop and L = C1 + C2·N of a closed one.

    Parameters
    ----------
    load : array, shape (row,)
        λ [requests/s] or N [requests].
    open_loop : bool array, shape (row,)
    c1_s, c2_s : float or array, broadcastable
        Seconds, and seconds per request in flight.

    Returns
    -------
    array, shape (row,)
        Seconds; inf where λC2 ≥ 1.
    """
    spare = 1.0 - load * c2_s
    opened = np.divide(c1_s, spare, out=np.full(np.shape(spare), np.inf), where=spare > 0)
    return np.where(open_loop, opened, c1_s + c2_s * load)


def loads(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Take the load of each row and whether its loop is open.

    Parameters
    ----------
    frame : DataFrame

    Returns
    -------
    load : array, shape (row,)
        Requests/s, or clients.
    open_loop : bool array, shape (row,)
    """
    return frame["load_value"].to_numpy(dtype=float), (frame["load_kind"] == "rate").to_numpy(dtype=bool)


def fit_line(latency_s: np.ndarray, load: np.ndarray, open_loop: np.ndarray) -> Line:
    """Fit C1 and C2 of one configuration.

    Parameters
    ----------
    latency_s : array, shape (row,)
        Mean latency [s].
    load : array, shape (row,)
        Requests/s (open loop; the achieved rate where it is known) or clients (closed loop).
    open_loop : bool array, shape (row,)

    Returns
    -------
    Line

    Raises
    ------
    ModelError
        If fewer than two loads were measured.
    """
    distinct = len(set(zip(load.tolist(), open_loop.tolist(), strict=True)))
    if distinct < 2:
        raise ModelError(
            f"{distinct} load(s) for two coefficients; measure this configuration at another load"
        )
    fastest = load[open_loop].max(initial=0.0)
    ceiling = NEAREST_TO_SATURATION / fastest if fastest > 0 else np.inf
    in_flight = np.where(open_loop, load * latency_s, load)
    slope, intercept = np.polyfit(in_flight, latency_s, 1, w=1.0 / latency_s)
    least = LEAST_SHARE * latency_s.min()
    start = np.array([max(intercept, least), min(max(slope, least), 0.9 * ceiling)])
    coefficients = fit_log_latency(
        lambda c: line_latency_s(load, open_loop, c[0], c[1]), latency_s, start, np.array([np.inf, ceiling])
    )
    return Line(float(coefficients[0]), float(coefficients[1]))


def fit_lines(frame: pd.DataFrame, cards: Cards) -> LineFits:
    """Fit each configuration of a table by itself.

    Parameters
    ----------
    frame : DataFrame
        Observations (see :func:`bayes_sd.sample.fit.observations`), with ``latency_s``.
    cards : Cards

    Returns
    -------
    LineFits

    Raises
    ------
    ModelError
        If no configuration has two loads.
    """
    load, open_loop = loads(frame)
    if "achieved_rps" in frame:
        achieved = frame["achieved_rps"].to_numpy(dtype=float)
        load = np.where(open_loop & np.isfinite(achieved), achieved, load)
    latency = frame["latency_s"].to_numpy(dtype=float)
    names = np.array(configuration_names(frame, cards), dtype=object)
    lines: dict[str, Line] = {}
    refused: dict[str, str] = {}
    for name in dict.fromkeys(names):
        own = names == name
        try:
            lines[name] = fit_line(latency[own], load[own], open_loop[own])
        except ModelError as error:
            refused[name] = str(error)
    if not lines:
        raise ModelError(
            f"no configuration of {len(frame)} row(s) was measured at two loads; give load sweeps"
        )
    return LineFits(lines, refused, cards)
