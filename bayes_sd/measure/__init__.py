"""Measures a server: a sweep of loads by a light client of its own or by GuideLLM, into a table that a fit takes."""

from bayes_sd.measure.guidellm_tool import GuideLLM
from bayes_sd.measure.loops import Length
from bayes_sd.measure.plan import Plan, Shape
from bayes_sd.measure.prompts import Prompts
from bayes_sd.measure.run import measure
from bayes_sd.measure.sweep import Progress, Sweep, SweepResult

__all__ = ["GuideLLM", "Length", "Plan", "Progress", "Prompts", "Shape", "Sweep", "SweepResult", "measure"]
