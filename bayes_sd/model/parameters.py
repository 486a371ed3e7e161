"""The parameters of a model: names, dims and priors, one list for every backend.

Every parameter lives on the whole real line (logarithms of positive quantities, logits of shares) and has a normal
prior, either with numbers from the priors file or centred on other parameters (``prior=None``: a hierarchy, written
where the model is built).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.latency.kernel import KNOTS
from bayes_sd.model.costs import expected_log_costs
from bayes_sd.model.spec import COEFFICIENTS, KINDS, PARTS, ModelSpec

if TYPE_CHECKING:
    from bayes_sd.model.design import Design

SCALE_OF_SCALES = 0.25
"""Log sd of the scales that have no entry of their own in the priors file."""
NO_POOLING_LOG_SD = 1.5
"""Spread of a deployment round its roofline when nothing is shared: within a factor of 20."""


@dataclass(frozen=True)
class Parameter:
    """One named array of unknowns.

    Attributes
    ----------
    name : str
    dims : tuple of str
    shape : tuple of int
    mean, sd : array or None
        Normal prior, broadcast to `shape`; None for a parameter centred on others.
    """

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    mean: np.ndarray | None
    sd: np.ndarray | None

    @property
    def size(self) -> int:
        """Number of unknowns."""
        return int(np.prod(self.shape, dtype=int))


def logit(share: float) -> float:
    """Give the log odds of a share."""
    return float(np.log(share) - np.log1p(-share))


def active_coefficients(design: Design) -> list[str]:
    """List the coefficients that the observations have; no expert term for a family of dense verifiers."""
    sparse = bool((design.levels.roofline["n_experts"] > 0).any())
    return [c for c in COEFFICIENTS if sparse or c != "expert"]


def effect_scales(coefficients: list[str], spec: ModelSpec) -> np.ndarray:
    """Standard deviation of the effects of each kind of level, log scale, shape (coefficient, kind)."""
    return np.array([[spec.priors["spread"][c][kind] for kind in KINDS] for c in coefficients])


def effect_means(coefficients: list[str], levels: list[str], spec: ModelSpec) -> np.ndarray:
    """Prior means of effects, in units of their kind's spread, shape (coefficient, level); 0 where nothing is known."""
    known = spec.priors["known"]
    means = np.zeros((len(coefficients), len(levels)))
    for i, coefficient in enumerate(coefficients):
        for j, level in enumerate(levels):
            if level in known.get(coefficient, {}):
                spread = spec.priors["spread"][coefficient][level.partition(":")[0]]
                means[i, j] = known[coefficient][level]["mean"] / spread
    return means


def model_coords(design: Design) -> dict[str, list]:
    """Names along every dim of the model."""
    return dict(design.coords) | {
        "coefficient": active_coefficients(design),
        "part": list(PARTS),
        "kind": list(KINDS),
        "knot": KNOTS.tolist(),
    }


def parameters(design: Design, spec: ModelSpec) -> list[Parameter]:
    """List the parameters of a model.

    Parameters
    ----------
    design : Design
    spec : ModelSpec

    Returns
    -------
    list of Parameter
        In a fixed order: that of the vector a sampler moves.
    """
    coords = model_coords(design)
    found: list[Parameter] = []

    def add(name: str, dims: tuple[str, ...] = (), mean=None, sd=None) -> None:
        shape = tuple(len(coords[d]) for d in dims)
        if mean is not None:
            mean, sd = (np.broadcast_to(np.asarray(v, dtype=float), shape).copy() for v in (mean, sd))
        found.append(Parameter(name, dims, shape, mean, sd))

    _cost_parameters(spec, coords, add)
    _draft_parameters(spec, add)
    prior = spec.priors["cache"]
    add("log_cache_efficiency", ("engine",), np.log(prior["efficiency_median"]), prior["efficiency_log_sd"])
    add("cache_stack", ("stack",), 0.0, prior["stack_log_sd"])
    prior = spec.priors["kernel"]
    add("log_kernel_scale", (), np.log(prior["scale_median"]), prior["scale_log_sd"])
    add("kernel_raw", ("stack", "knot"), 0.0, 1.0)
    prior = spec.priors["routing"]
    add("logit_routing", (), logit(prior["independence_median"]), prior["independence_logit_sd"])
    prior = spec.priors["popularity"]
    add("log_popularity_skew", ("sparse_verifier",), np.log(prior["skew_median"]), prior["skew_log_sd"])
    add("logit_busiest_share", (), logit(prior["busiest_share_median"]), prior["busiest_share_logit_sd"])
    prior = spec.priors["overlap"]
    add("logit_overlap", ("source",), logit(prior["median"]), prior["logit_sd"])
    prior = spec.priors["misfit"]
    add("log_misfit_scale", (), np.log(prior["scale_median"]), prior["scale_log_sd"])
    add("misfit", ("shape",))
    add("log_load_misfit_scale", (), np.log(prior["load_scale_median"]), prior["load_scale_log_sd"])
    add("load_misfit", ("lengths",))
    prior = spec.priors["noise"]
    add("log_latency_noise", ("noise",), np.log(prior["latency_median"]), prior["latency_log_sd"])
    add("log_ttft_noise", ("source",), np.log(prior["ttft_median"]), prior["ttft_log_sd"])
    add("log_share_noise", ("source",), np.log(prior["share_median"]), prior["share_log_sd"])
    return found


def _cost_parameters(spec: ModelSpec, coords: dict[str, list], add) -> None:
    part = spec.priors["part"]
    add("log_part", ("part",), np.log([part[n]["median"] for n in PARTS]), [part[n]["log_sd"] for n in PARTS])
    spread, active = spec.priors["spread"], coords["coefficient"]
    widths = [spread[c]["deployment"] for c in active]
    add("tp_slope", ("coefficient",), 0.0, [spread[c]["tp_slope"] for c in active])
    add("effect", ("coefficient", "level"), effect_means(active, coords["level"], spec), 1.0)
    add("log_deployment_scale", ("coefficient",), np.log(widths), spread["scale_log_sd"])
    add("log_cost", ("coefficient", "deployment"))


def _draft_parameters(spec: ModelSpec, add) -> None:
    draft, acceptance = spec.priors["draft"], spec.priors["acceptance"]
    add("draft_level", (), 0.0, draft["fixed_log_sd"])
    add("draft_cache_format", (), draft["cache_format_mean"], draft["cache_format_sd"])
    add("log_draft_extra_steps", (), np.log(draft["extra_steps_median"]), draft["extra_steps_log_sd"])
    add("log_draft_token_factor", (), np.log(draft["token_factor_median"]), draft["token_factor_log_sd"])
    add("log_draft_scale", (), np.log(draft["pair_log_sd"]), SCALE_OF_SCALES)
    add("log_draft_cost", ("pair",))
    add("acceptance_level", (), acceptance["logit_mean"], acceptance["logit_sd"])
    add("acceptance_drafter", ("drafter",))
    add("log_acceptance_scale", (), np.log(acceptance["workload_sd"]), SCALE_OF_SCALES)
    add("acceptance_cell", ("cell",))
    add("acceptance_length_slope", (), 0.0, acceptance["length_slope_sd"])
    add("log_acceptance_run", (), np.log(acceptance["run_sd"]), 0.5)
    add("acceptance_synthetic", (), acceptance["synthetic_mean"], acceptance["synthetic_sd"])


def start_vector(design: Design, spec: ModelSpec) -> np.ndarray:
    """Give the prior's centre: every parameter at its prior mean, hierarchies at the centre of their parents.

    Parameters
    ----------
    design : Design
    spec : ModelSpec

    Returns
    -------
    array, shape (parameter,)
    """
    prior = spec.priors
    part = {name: prior["part"][name]["median"] for name in PARTS}
    expected = expected_log_costs(part, design.levels.roofline | {"log2_tp": design.levels.log2_tp})
    centres = {
        "log_cost": np.stack([expected[c] for c in active_coefficients(design)]),
        "log_draft_cost": draft_ideal_log_s(design, spec),
        "acceptance_drafter": np.full(len(design.coords["drafter"]), prior["acceptance"]["logit_mean"]),
        "misfit": np.zeros(len(design.coords["shape"])),
        "load_misfit": np.zeros(len(design.coords["lengths"])),
        "acceptance_cell": prior["acceptance"]["logit_mean"]
        + prior["acceptance"]["synthetic_mean"] * design.cell_synthetic,
    }
    pieces = [centres[p.name] if p.mean is None else p.mean for p in parameters(design, spec)]
    return np.concatenate([np.ravel(piece) for piece in pieces])


def draft_ideal_log_s(design: Design, spec: ModelSpec) -> np.ndarray:
    """Log seconds of a draft step by the roofline and the launch cost of the priors, shape (pair,)."""
    prior = spec.priors["draft"]
    return np.log(prior["fixed_median"] * design.pair_roofline_s + prior["fixed_launch_s"])
