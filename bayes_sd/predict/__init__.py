"""Posterior predictions, per draw, for conditions that were measured or never were."""

from bayes_sd.predict.conditions import Conditions, read_conditions_for, resolve
from bayes_sd.predict.costs import PredictedCosts, costs_for
from bayes_sd.predict.latency import Prediction, predict, summarise

__all__ = [
    "Conditions",
    "PredictedCosts",
    "Prediction",
    "costs_for",
    "predict",
    "read_conditions_for",
    "resolve",
    "summarise",
]
