"""A posterior and its file: draws, and all that is needed to predict from them without the data."""

from bayes_sd.posterior.posterior import Posterior, load_posterior, save_posterior

__all__ = ["Posterior", "load_posterior", "save_posterior"]
