"""The kernels' deviation from a straight step-time line, as a curve over the tokens in a step.

Kernels are chosen by batch size, so step time leaves c1v + b·c2v by a few per cent, alike for all shapes of a stack.
The deviation δ is a function of log2(tokens), linear between knots one doubling apart, with an exponential
(Ornstein-Uhlenbeck) correlation between knots.
"""

from __future__ import annotations

from typing import Any

import numpy as np

KNOTS = np.arange(0.0, 13.0)
"""Knots at 1, 2, 4, ... 4,096 tokens in a step [log2 tokens]."""


CENTRE = slice(2, 7)
"""Knots over which a deviation averages to zero: 4 to 64 tokens."""


def knot_position(tokens: Any) -> tuple[np.ndarray, np.ndarray]:
    """Place token counts between the knots.

    Parameters
    ----------
    tokens : array
        Tokens in a verify step, b·(k + 1); clipped to the knots' range.

    Returns
    -------
    left : int array
        Index of the knot to the left.
    weight : array
        Weight of the knot to the right, in [0, 1].
    """
    position = np.clip(np.log2(np.maximum(tokens, 1e-9)), KNOTS[0], KNOTS[-1])
    left = np.minimum(position.astype(int), len(KNOTS) - 2)
    return left, position - left


def kernel_deviation(knots: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Interpolate deviations between the knots.

    Parameters
    ----------
    knots : array, shape (draw, knot)
        Log deviation of step time at the knots.
    tokens : array, shape (1, n) or (draw, n)
        Tokens in a verify step; one row where all draws share them, which is several times faster.

    Returns
    -------
    array, shape (draw, n)
        δ, the log deviation of step time.
    """
    left, weight = knot_position(tokens)
    if len(tokens) == 1:
        column = np.arange(tokens.shape[1])
        share = np.zeros((len(KNOTS), tokens.shape[1]))
        share[left[0], column] = 1.0 - weight[0]
        share[left[0] + 1, column] = weight[0]
        return knots @ share
    row = np.arange(len(knots))[:, None]
    return knots[row, left] * (1.0 - weight) + knots[row, left + 1] * weight


def knot_factor(length_doublings: float) -> np.ndarray:
    """Give the matrix that turns independent standard normals into correlated ones at the knots.

    Parameters
    ----------
    length_doublings : float
        Correlation length in doublings of the token count.

    Returns
    -------
    array, shape (knot, knot)
        A factor of exp(−distance/length), centred: curves average to zero over 4 to 64 tokens, since a deviation at all
        batch sizes alike is what the verify cost already says.
    """
    distance = np.abs(KNOTS[:, None] - KNOTS[None, :])
    factor = np.linalg.cholesky(np.exp(-distance / length_doublings))
    return factor - factor[CENTRE].mean(axis=0)
