"""Posterior draws of stage costs for any deployment and pair: measured ones as learned, new ones from their levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.forecast.experts import Experts
from bayes_sd.latency.acceptance import expected_committed_profile
from bayes_sd.latency.kernel import KNOTS, knot_factor
from bayes_sd.latency.service import StageCosts
from bayes_sd.model.old_build import REFERENCE_DRAFT_LENGTH
from bayes_sd.model.costs import expected_log_costs, prompt_growth, token_share
from bayes_sd.model.deployments import drafter_roofline_s, engine_base, parameter_share, rooflines
from bayes_sd.model.design import RESERVED_OUTPUT, cache_is_small, cell_workload, is_synthetic, method_profile
from bayes_sd.model.parameters import NO_POOLING_LOG_SD, effect_means, effect_scales
from bayes_sd.model.spec import KINDS, PARTS

if TYPE_CHECKING:
    from bayes_sd.cards import Cards
    from bayes_sd.forecast.conditions import Conditions
    from bayes_sd.posterior.posterior import Posterior


@dataclass(frozen=True)
class PredictedCosts:
    """Draws of everything that latency depends on, arrays of shape (draw, condition) unless said.

    Attributes
    ----------
    costs : StageCosts
    committed : array
        E [tokens/cycle].
    committed_run_sd : array, shape (draw,)
        Log-odds sd of acceptance from run to run.
    kernel : array, shape (draw, condition, knot)
        Log deviation of step time at the knots.
    experts : Experts
        What routed experts do to a step.
    n_experts, top_k_experts : array, shape (condition,)
        0 for dense verifiers.
    cache_requests : array
        Requests that the key-value cache holds.
    misfit : array
        What the formula gets wrong at this shape [log].
    noise : array
        Scale of a new measurement's log latency.
    overlap : array
        Share of others' prefills before the first token.
    """

    costs: StageCosts
    committed: np.ndarray
    committed_run_sd: np.ndarray
    kernel: np.ndarray
    experts: Experts
    n_experts: np.ndarray
    top_k_experts: np.ndarray
    cache_requests: np.ndarray
    misfit: np.ndarray
    noise: np.ndarray
    overlap: np.ndarray


class Unknowns:
    """Draws for names that the posterior has not seen: one set per name, so that conditions that share it agree."""

    def __init__(self, n_draws: int, seed: int) -> None:
        self._n, self._seed = n_draws, seed
        self._made: dict[tuple, np.ndarray] = {}

    def normal(self, *name: object, shape: tuple[int, ...] = ()) -> np.ndarray:
        """Give standard normal draws of shape (draw, *shape) for a name."""
        if name not in self._made:
            digest = np.frombuffer(repr(name).encode(), dtype=np.uint8)
            rng = np.random.default_rng([self._seed, *digest.tolist()])
            self._made[name] = rng.normal(size=(self._n, *shape))
        return self._made[name]


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Give the inverse of the log odds."""
    return 1.0 / (1.0 + np.exp(-x))


def costs_for(posterior: Posterior, conditions: Conditions, cards: Cards, seed: int = 0) -> PredictedCosts:
    """Draw the stage costs of conditions.

    Parameters
    ----------
    posterior : Posterior
    conditions : Conditions
    cards : Cards
        Rooflines of deployments that were not measured.
    seed : int
        For what the posterior has not seen.

    Returns
    -------
    PredictedCosts
    """
    unknown = Unknowns(posterior.n_draws, seed)
    unique = {d.key: d for d in conditions.deployments}
    place = {key: i for i, key in enumerate(unique)}
    index = np.array([place[d.key] for d in conditions.deployments])
    first = [int(np.flatnonzero(index == i)[0]) for i in range(len(unique))]
    ideal = rooflines(conditions.frame.iloc[first], list(unique.values()), cards)
    ideal["log2_tp"] = np.log2([d.tp for d in unique.values()])
    part_draws = np.exp(posterior.draws("log_part"))
    part = {name: part_draws[:, [i]] for i, name in enumerate(PARTS)}
    log_cost = _log_costs(posterior, list(unique.values()), ideal, part, unknown)
    cost = {name: np.exp(values)[:, index] for name, values in log_cost.items()}
    token = cost["request"] * token_share(part, ideal)[:, index]
    draft_cost, draft_share = _draft(posterior, conditions, cards, unknown)
    off = np.exp(_misfit(posterior, "load_misfit", "lengths", conditions.lengths, unknown))
    growth = prompt_growth(part, ideal["attention_share"][index], conditions.prompt)
    sparse = ideal["n_experts"][index]
    held = _cache(posterior, conditions, unknown) * ideal["cache_tokens"][index]
    reserve = np.array([_reserve(d.engine_base) for d in conditions.deployments])
    return PredictedCosts(
        costs=StageCosts(
            prefill_fixed_s=cost["prefill_fixed"],
            prefill_token_s=off * cost["prefill_token"] * growth,
            verify_fixed_s=cost["verify"],
            verify_expert_s=np.where(sparse > 0, cost.get("expert", np.zeros_like(token)), 0.0),
            sequence_s=off * (cost["request"] - token),
            token_s=off * token,
            kv_token_s=off * cost["kv"],
            draft_fixed_s=draft_cost,
            draft_token_s=off * draft_share * token,
            draft_extra_steps=np.exp(posterior.draws("log_draft_extra_steps"))[:, None],
        ),
        committed=_committed(posterior, conditions, unknown),
        committed_run_sd=np.exp(posterior.draws("log_acceptance_run")),
        kernel=_kernel(posterior, conditions, unknown),
        experts=_experts(posterior, conditions, unknown),
        n_experts=sparse,
        top_k_experts=ideal["top_k_experts"][index],
        cache_requests=held / (conditions.prompt + (0.5 + 0.5 * reserve) * conditions.output),
        misfit=_misfit(posterior, "misfit", "shape", conditions.shape, unknown),
        noise=_noise(posterior, conditions, seed),
        overlap=_overlap(posterior, conditions, unknown),
    )


def _reserve(engine: str) -> float:
    return RESERVED_OUTPUT.get(engine, 0.0)


def _log_costs(posterior, deployments, ideal, part, unknown: Unknowns) -> dict[str, np.ndarray]:
    """Log costs per coefficient, shape (draw, deployment)."""
    coefficients = [str(c) for c in posterior.tree["posterior"]["coefficient"].to_numpy()]
    known = {d.key: i for i, d in enumerate(posterior.levels.deployments)}
    learned = posterior.draws("log_cost")
    expected = expected_log_costs(part, ideal)
    names = {name: i for i, name in enumerate(posterior.levels.names)}
    effect, scale = posterior.draws("effect"), effect_scales(coefficients, posterior.spec)
    slope, residual = posterior.draws("tp_slope"), np.exp(posterior.draws("log_deployment_scale"))
    if not posterior.spec.pooled:
        residual = np.full_like(residual, NO_POOLING_LOG_SD)
    found = {}
    for c, coefficient in enumerate(coefficients):
        draws = np.empty((posterior.n_draws, len(deployments)))
        for i, deployment in enumerate(deployments):
            if deployment.key in known:
                draws[:, i] = learned[:, c, known[deployment.key]]
                continue
            value = expected[coefficient][:, i].copy()
            if posterior.spec.pooled:
                value += slope[:, c] * ideal["log2_tp"][i]
                for kind_index, kind in enumerate(KINDS):
                    level = deployment.level(kind)
                    new = (
                        unknown.normal(level, coefficient)
                        + effect_means([coefficient], [level], posterior.spec)[0, 0]
                    )
                    raw = effect[:, c, names[level]] if level in names else new
                    value += raw * scale[c, kind_index]
            draws[:, i] = value + residual[:, c] * unknown.normal(deployment.key, coefficient)
        found[coefficient] = draws
    return found


def _experts(posterior: Posterior, conditions: Conditions, unknown: Unknowns) -> Experts:
    """How experts load a step, with skews of verifiers that were not measured from the prior."""
    known = {name: i for i, name in enumerate(posterior.names("sparse_verifier"))}
    learned = np.exp(posterior.draws("log_popularity_skew"))
    prior = posterior.spec.priors["popularity"]
    skew = {}
    for name in {d.verifier for d in conditions.deployments}:
        new = prior["skew_median"] * np.exp(prior["skew_log_sd"] * unknown.normal("skew", name))
        skew[name] = learned[:, known[name]] if name in known else new
    return Experts(
        routing=sigmoid(posterior.draws("logit_routing")),
        skew=skew,
        busiest_share=sigmoid(posterior.draws("logit_busiest_share")),
        moe=posterior.spec.moe,
        routed=posterior.spec.routed,
    )


def _kernel(posterior: Posterior, conditions: Conditions, unknown: Unknowns) -> np.ndarray:
    shape = (posterior.n_draws, len(conditions), len(KNOTS))
    if not posterior.spec.kernel:
        return np.zeros(shape)
    stacks = {name: i for i, name in enumerate(posterior.names("stack"))}
    raw = posterior.draws("kernel_raw")
    factor = knot_factor(posterior.spec.priors["kernel"]["length_doublings"])
    scale = np.exp(posterior.draws("log_kernel_scale"))[:, None]
    curves: dict[str, np.ndarray] = {}
    for deployment in conditions.deployments:
        level = deployment.level("stack")
        if level not in curves:
            at = stacks.get(level)
            z = raw[:, at] if at is not None else unknown.normal("kernel", level, shape=(len(KNOTS),))
            curves[level] = scale * (z @ factor.T)
    return np.stack([curves[d.level("stack")] for d in conditions.deployments], axis=1)


def _draft(posterior, conditions, cards, unknown: Unknowns) -> tuple[np.ndarray, np.ndarray]:
    """Seconds per draft step, and its cost per request in units of the verifier's token cost."""
    shape = (posterior.n_draws, len(conditions))
    cost, share = np.zeros(shape), np.zeros(shape)
    pairs = {name: i for i, name in enumerate(posterior.names("pair"))}
    prior = posterior.spec.priors["draft"]
    level, scale = posterior.draws("draft_level"), np.exp(posterior.draws("log_draft_scale"))
    factor = np.exp(posterior.draws("log_draft_token_factor"))
    for i, pair in enumerate(conditions.pair):
        if not pair:
            continue
        share[:, i] = factor * parameter_share(conditions.frame.iloc[i], cards)
        at = pairs.get(pair)
        if at is not None:
            cost[:, i] = np.exp(posterior.draws("log_draft_cost")[:, at])
            continue
        ideal_s = drafter_roofline_s(conditions.frame.iloc[i], conditions.deployments[i], cards)
        ideal = np.log(prior["fixed_median"] * ideal_s + prior["fixed_launch_s"])
        if cache_is_small(conditions.deployments[i], cards):
            ideal = ideal + posterior.draws("draft_cache_format")
        cost[:, i] = np.exp(ideal + level + scale * unknown.normal("draft cost", pair))
    return cost, share


def _committed(posterior: Posterior, conditions: Conditions, unknown: Unknowns) -> np.ndarray:
    """Tokens per cycle: as stated, or from the acceptance of the cell, its drafter, or any drafter."""
    committed = np.tile(
        np.where(np.isnan(conditions.committed), 1.0, conditions.committed), (posterior.n_draws, 1)
    )
    for i in np.flatnonzero(np.isnan(conditions.committed)):
        logits = cell_logits(posterior, conditions.cell[i], conditions.drafter[i], unknown)
        k = int(conditions.k[i])
        slope = posterior.draws("acceptance_length_slope")
        level = logits + slope * np.log(k / REFERENCE_DRAFT_LENGTH)
        by_position = posterior.spec.acceptance == "position"
        profile = by_position * method_profile(conditions.frame.iloc[i].get("method"))
        committed[:, i] = expected_committed_profile(level, profile, np.array(k))
    return committed


def cell_logits(posterior: Posterior, cell: str, drafter: str, unknown: Unknowns) -> np.ndarray:
    """Draw the acceptance logit of a cell at the reference draft length, shape (draw,)."""
    cells = {name: i for i, name in enumerate(posterior.names("cell"))}
    drafters = {name: i for i, name in enumerate(posterior.names("drafter"))}
    if cell in cells:
        return posterior.draws("acceptance_cell")[:, cells[cell]]
    if drafter in drafters:
        centre = posterior.draws("acceptance_drafter")[:, drafters[drafter]]
    else:
        spread = posterior.spec.priors["acceptance"]["drafter_sd"]
        centre = posterior.draws("acceptance_level") + spread * unknown.normal("drafter", drafter)
    if is_synthetic(cell_workload(cell)):
        centre = centre + posterior.draws("acceptance_synthetic")
    return centre + np.exp(posterior.draws("log_acceptance_scale")) * unknown.normal("cell", cell)


def _cache(posterior: Posterior, conditions: Conditions, unknown: Unknowns) -> np.ndarray:
    """Share of the nominal cache that running requests fill."""
    engines = {name: i for i, name in enumerate(posterior.names("engine"))}
    prior = posterior.spec.priors["cache"]
    learned, by_stack = posterior.draws("log_cache_efficiency"), posterior.draws("cache_stack")
    stacks = {name: i for i, name in enumerate(posterior.names("stack"))}
    columns = []
    for deployment in conditions.deployments:
        at = engines.get(deployment.level("engine"))
        centre, spread = np.log(prior["efficiency_median"]), prior["efficiency_log_sd"]
        new = centre + spread * unknown.normal("cache", engine_base(deployment.engine))
        stack = deployment.level("stack")
        own = stacks.get(stack)
        other = prior["stack_log_sd"] * unknown.normal("cache", stack)
        columns.append(
            np.exp(
                (learned[:, at] if at is not None else new) + (by_stack[:, own] if own is not None else other)
            )
        )
    return np.stack(columns, axis=1)


def _misfit(posterior: Posterior, name: str, dim: str, wanted: list[str], unknown: Unknowns) -> np.ndarray:
    """What the formula gets wrong at shapes or lengths [log]: as learned, or new draws of its scale."""
    known = {label: i for i, label in enumerate(posterior.names(dim))}
    learned, scale = posterior.draws(name), np.exp(posterior.draws(f"log_{name}_scale"))
    columns = []
    for label in wanted:
        at = known.get(label)
        columns.append(learned[:, at] if at is not None else scale * unknown.normal(name, label))
    return np.stack(columns, axis=1)


def _noise(posterior: Posterior, conditions: Conditions, seed: int) -> np.ndarray:
    """Noise scale: the source's on that hardware, else any source's on it, else any."""
    groups = posterior.names("noise")
    draws = np.exp(posterior.draws("log_latency_noise"))
    rng = np.random.default_rng([seed, 7])
    columns = []
    for i, deployment in enumerate(conditions.deployments):
        source = conditions.frame["source"].iloc[i] if "source" in conditions.frame else ""
        exact = [j for j, g in enumerate(groups) if g == f"{source} | {deployment.hardware}"]
        same = [j for j, g in enumerate(groups) if g.endswith(f"| {deployment.hardware}")]
        pick = rng.choice(exact or same or range(len(groups)), size=len(draws))
        columns.append(draws[np.arange(len(draws)), pick])
    return np.stack(columns, axis=1)


def _overlap(posterior: Posterior, conditions: Conditions, unknown: Unknowns) -> np.ndarray:
    sources = {name: i for i, name in enumerate(posterior.names("source"))}
    prior = posterior.spec.priors["overlap"]
    learned = posterior.draws("logit_overlap")
    centre = np.log(prior["median"]) - np.log1p(-prior["median"])
    columns = []
    for i in range(len(conditions)):
        source = conditions.frame["source"].iloc[i] if "source" in conditions.frame else ""
        at = sources.get(source)
        new = centre + prior["logit_sd"] * unknown.normal("overlap", source)
        columns.append(sigmoid(learned[:, at] if at is not None else new))
    return np.stack(columns, axis=1)
