"""Hierarchical Bayesian latency models of speculative decoding in LLM serving.

>>> import bayes_sd as sd
>>> result = sd.fit("llama")                                            # doctest: +SKIP
>>> result.summary()                                                    # doctest: +SKIP
>>> asked = result.condition(workload="humaneval", k=3, rate_rps=[1, 2, 4])      # doctest: +SKIP
>>> sd.summarise(sd.predict(result.posterior, asked))                   # doctest: +SKIP

Every public name is listed in ``__all__`` and imported when it is first used, so ``import bayes_sd`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayes_sd.acceptance.fit import fit_acceptance as fit_acceptance
    from bayes_sd.acceptance.posterior import load_acceptance as load_acceptance
    from bayes_sd.acceptance.posterior import save_acceptance as save_acceptance
    from bayes_sd.acceptance.predict import Workload as Workload
    from bayes_sd.acceptance.predict import expected_committed as expected_committed
    from bayes_sd.acceptance.predict import position_acceptance as position_acceptance
    from bayes_sd.acceptance.tables import read_acceptance_data as read_acceptance_data
    from bayes_sd.cards.load import Cards as Cards
    from bayes_sd.cards.load import load_cards as load_cards
    from bayes_sd.check.compare import compare as compare
    from bayes_sd.condition.stated import conditions as conditions
    from bayes_sd.decide.advise import Advice as Advice
    from bayes_sd.decide.advise import Advisor as Advisor
    from bayes_sd.decide.bands import latency_bands as bands
    from bayes_sd.decide.bands import latency_bands as latency_bands
    from bayes_sd.decide.collapse import collapse as collapse
    from bayes_sd.decide.configurations import measured_configurations as measured_configurations
    from bayes_sd.decide.monitor import Monitor as Monitor
    from bayes_sd.decide.monitor import monitor as monitor
    from bayes_sd.decide.plan import plan as plan
    from bayes_sd.decide.policies import compare_policies as compare_policies
    from bayes_sd.decide.ranks import RankLaw as RankLaw
    from bayes_sd.decide.request_classes import PromptClass as PromptClass
    from bayes_sd.decide.speedup import speedup as speedup
    from bayes_sd.decide.splits import plan_splits as plan_splits
    from bayes_sd.decide.trees import best_trees as best_trees
    from bayes_sd.decide.tune import tune as tune
    from bayes_sd.decide.windows import Window as Window
    from bayes_sd.errors import BayesSdError as BayesSdError
    from bayes_sd.errors import CardError as CardError
    from bayes_sd.errors import ConditionError as ConditionError
    from bayes_sd.errors import ConvergenceError as ConvergenceError
    from bayes_sd.errors import DataError as DataError
    from bayes_sd.errors import ModelError as ModelError
    from bayes_sd.errors import OutputError as OutputError
    from bayes_sd.errors import TargetError as TargetError
    from bayes_sd.errors import TraceError as TraceError
    from bayes_sd.forecast.alternatives import Alternative as Alternative
    from bayes_sd.forecast.alternatives import prepare as prepare
    from bayes_sd.forecast.latency import predict as predict
    from bayes_sd.forecast.prediction import Prediction as Prediction
    from bayes_sd.forecast.summary import summarise as summarise
    from bayes_sd.forecast.sweep import sweep as sweep
    from bayes_sd.latency.service import StageCosts as StageCosts
    from bayes_sd.learn.next_runs import next_runs as next_runs
    from bayes_sd.learn.search import Sought as Sought
    from bayes_sd.learn.update import UpdateResult as UpdateResult
    from bayes_sd.learn.update import update as update
    from bayes_sd.measurements.readers.pipeline import ingest as ingest
    from bayes_sd.measurements.table import read_conditions as read_conditions
    from bayes_sd.measurements.table import read_table as read_table
    from bayes_sd.model.spec import ModelSpec as ModelSpec
    from bayes_sd.posterior import Posterior as Posterior
    from bayes_sd.posterior import load_posterior as load
    from bayes_sd.posterior import load_posterior as load_posterior
    from bayes_sd.posterior import save_posterior as save
    from bayes_sd.posterior import save_posterior as save_posterior
    from bayes_sd.report.build import make_report as make_report
    from bayes_sd.report.explore import make_explorer as make_explorer
    from bayes_sd.sample.fit import FitResult as FitResult
    from bayes_sd.sample.fit import fit as fit
    from bayes_sd.sample.settings import SamplerSettings as SamplerSettings
    from bayes_sd.simulator.requests import Drafting as Drafting
    from bayes_sd.simulator.requests import RequestClass as RequestClass
    from bayes_sd.simulator.requests import TokenLaw as TokenLaw
    from bayes_sd.simulator.server import simulate_ladder as simulate
    from bayes_sd.simulator.server import simulate_server as simulate_server
    from bayes_sd.simulator.spec import Experts as Experts
    from bayes_sd.simulator.spec import LoadSpec as LoadSpec
    from bayes_sd.simulator.spec import ServerSpec as ServerSpec

_PUBLIC = {
    "fit": "sample.fit",
    "FitResult": "sample.fit",
    "SamplerSettings": "sample.settings",
    "ModelSpec": "model.spec",
    "load": "posterior:load_posterior",
    "save": "posterior:save_posterior",
    "load_posterior": "posterior",
    "save_posterior": "posterior",
    "Posterior": "posterior",
    "conditions": "condition.stated",
    "predict": "forecast.latency",
    "Prediction": "forecast.prediction",
    "summarise": "forecast.summary",
    "sweep": "forecast.sweep",
    "Alternative": "forecast.alternatives",
    "prepare": "forecast.alternatives",
    "speedup": "decide.speedup",
    "tune": "decide.tune",
    "best_trees": "decide.trees",
    "RankLaw": "decide.ranks",
    "compare_policies": "decide.policies",
    "plan_splits": "decide.splits",
    "plan": "decide.plan",
    "bands": "decide.bands:latency_bands",
    "latency_bands": "decide.bands",
    "measured_configurations": "decide.configurations",
    "collapse": "decide.collapse",
    "Monitor": "decide.monitor",
    "monitor": "decide.monitor",
    "Window": "decide.windows",
    "Advisor": "decide.advise",
    "Advice": "decide.advise",
    "compare": "check.compare",
    "next_runs": "learn.next_runs",
    "Sought": "learn.search",
    "update": "learn.update",
    "UpdateResult": "learn.update",
    "simulate": "simulator.server:simulate_ladder",
    "simulate_server": "simulator.server",
    "ServerSpec": "simulator.spec",
    "LoadSpec": "simulator.spec",
    "TokenLaw": "simulator.requests",
    "StageCosts": "latency.service",
    "Experts": "simulator.spec",
    "Drafting": "simulator.requests",
    "PromptClass": "decide.request_classes",
    "RequestClass": "simulator.requests",
    "ingest": "measurements.readers.pipeline",
    "read_table": "measurements.table",
    "read_conditions": "measurements.table",
    "fit_acceptance": "acceptance.fit",
    "load_acceptance": "acceptance.posterior",
    "save_acceptance": "acceptance.posterior",
    "expected_committed": "acceptance.predict",
    "position_acceptance": "acceptance.predict",
    "Workload": "acceptance.predict",
    "read_acceptance_data": "acceptance.tables",
    "load_cards": "cards.load",
    "Cards": "cards.load",
    "make_report": "report.build",
    "make_explorer": "report.explore",
    "BayesSdError": "errors",
    "CardError": "errors",
    "ConditionError": "errors",
    "ConvergenceError": "errors",
    "DataError": "errors",
    "ModelError": "errors",
    "OutputError": "errors",
    "TargetError": "errors",
    "TraceError": "errors",
}
"""Public name to its module, and to the name it has there where that is another."""

__all__ = [
    "Advice",
    "Advisor",
    "Alternative",
    "BayesSdError",
    "CardError",
    "Cards",
    "ConditionError",
    "ConvergenceError",
    "DataError",
    "Drafting",
    "Experts",
    "FitResult",
    "LoadSpec",
    "ModelError",
    "ModelSpec",
    "Monitor",
    "OutputError",
    "Posterior",
    "Prediction",
    "PromptClass",
    "RankLaw",
    "RequestClass",
    "SamplerSettings",
    "ServerSpec",
    "Sought",
    "StageCosts",
    "TargetError",
    "TokenLaw",
    "TraceError",
    "UpdateResult",
    "Window",
    "Workload",
    "bands",
    "best_trees",
    "collapse",
    "compare",
    "compare_policies",
    "conditions",
    "expected_committed",
    "fit",
    "fit_acceptance",
    "ingest",
    "latency_bands",
    "load",
    "load_acceptance",
    "load_cards",
    "load_posterior",
    "make_explorer",
    "make_report",
    "measured_configurations",
    "monitor",
    "next_runs",
    "plan",
    "plan_splits",
    "position_acceptance",
    "predict",
    "prepare",
    "read_acceptance_data",
    "read_conditions",
    "read_table",
    "save",
    "save_acceptance",
    "save_posterior",
    "simulate",
    "simulate_server",
    "speedup",
    "summarise",
    "sweep",
    "tune",
    "update",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'bayes_sd' has no attribute {name!r}")
    module, _, own = _PUBLIC[name].partition(":")
    value = getattr(import_module(f"bayes_sd.{module}"), own or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
