"""The paper's own method, beside which the hierarchical model is measured.

Point fits of Kong et al. 2026 (arXiv:2605.15051) by ``scipy.optimize.curve_fit``: two coefficients for each
configuration (:func:`fit_lines`), or stage coefficients for each deployment, which reach unseen lengths
(:func:`fit_stages`). Neither says how sure it is, and neither says anything of a deployment that was not
measured.
"""

from bayes_sd.baseline.line import Line, LineFits, fit_line, fit_lines
from bayes_sd.baseline.names import configuration_names, deployment_names
from bayes_sd.baseline.stages import StageFit, StageFits, fit_deployment, fit_stages

__all__ = [
    "Line",
    "LineFits",
    "StageFit",
    "StageFits",
    "configuration_names",
    "deployment_names",
    "fit_deployment",
    "fit_line",
    "fit_lines",
    "fit_stages",
]
