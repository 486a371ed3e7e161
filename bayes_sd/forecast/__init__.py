"""Posterior predictions, per draw, for conditions that were measured or never were."""

from bayes_sd.forecast.conditions import Conditions, read_conditions_for, resolve
from bayes_sd.forecast.costs import PredictedCosts, costs_for
from bayes_sd.forecast.latency import predict
from bayes_sd.forecast.prediction import Prediction
from bayes_sd.forecast.summary import summarise

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
