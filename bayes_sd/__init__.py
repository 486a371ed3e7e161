"""Hierarchical Bayesian latency models of speculative decoding in LLM serving.

>>> import bayes_sd
>>> result = bayes_sd.fit("llama")                       # doctest: +SKIP
>>> bayes_sd.predict(result.posterior, conditions)       # doctest: +SKIP
"""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "fit": "bayes_sd.sample.fit",
    "load_posterior": "bayes_sd.posterior.posterior",
    "save_posterior": "bayes_sd.posterior.posterior",
    "SamplerSettings": "bayes_sd.sample.settings",
    "ModelSpec": "bayes_sd.model.spec",
    "predict": "bayes_sd.forecast.latency",
    "summarise": "bayes_sd.forecast.summary",
    "fit_acceptance": "bayes_sd.acceptance",
    "expected_committed": "bayes_sd.acceptance",
    "load_acceptance": "bayes_sd.acceptance",
    "compare": "bayes_sd.check.compare",
    "plan": "bayes_sd.decide.plan",
    "speedup": "bayes_sd.decide.speedup",
    "tune": "bayes_sd.decide.tune",
    "sweep": "bayes_sd.forecast.sweep",
    "load_cards": "bayes_sd.cards",
    "latency_bands": "bayes_sd.decide.bands",
    "collapse": "bayes_sd.decide.collapse",
    "Monitor": "bayes_sd.decide.monitor",
    "make_report": "bayes_sd.report.build",
    "BayesSdError": "bayes_sd.errors",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    """Import public names when they are first used, so that ``import bayes_sd`` costs nothing."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'bayes_sd' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
