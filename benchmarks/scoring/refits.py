"""One simulation of simulation-based calibration: a truth, a table measured under it, a fit, and the truth's ranks.

Talts et al. 2018, arXiv:1804.06788: where the truth is drawn from the prior, and the table from the model, the truth's rank
among the draws of the table's posterior is uniform. Säilynoja et al. 2025, arXiv:2502.03279: the same where the truth is drawn
from a posterior and the fit is to that posterior's table and the new one together, which asks where users' posteriors are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes_sd.model.build import model_inputs
from bayes_sd.model.likelihood import row_log_density
from scoring.simulated import first_simulation, simulate

if TYPE_CHECKING:
    from bayes_sd.cards import Cards
    from bayes_sd.model.arranged import Design
    from bayes_sd.model.build import Inputs
    from bayes_sd.model.spec import ModelSpec
    from bayes_sd.model.term import Values
    from bayes_sd.posterior.posterior import Posterior
    from bayes_sd.sample.frame import Frame
    from bayes_sd.sample.settings import SamplerSettings

LENGTHS = tuple(range(9))
"""Draft lengths among which the best one is asked for."""
LADDER = 25
"""Loads at which a break-even is looked for."""
LIKELIHOOD = "log likelihood of the table"
"""The quantity that sees what no unknown alone shows: Modrák et al. 2023, doi:10.1214/23-BA1404."""


@dataclass(frozen=True)
class Study:
    """What all simulations of a run share.

    Attributes
    ----------
    design : Design
        The table. For posterior calibration it has every row twice, first what was measured.
    new : bool array, shape (row,)
        Rows that are simulated.
    spec : ModelSpec
    settings : SamplerSettings
    cards : Cards
    questions : list of DataFrame
        Conditions of one row each that users would ask about.
    ranked : int
        Draws among which a truth is ranked.
    frame : Frame, optional
        Coordinates that all fits use; without, each finds its own.
    """

    design: Design
    new: np.ndarray
    spec: ModelSpec
    settings: SamplerSettings
    cards: Cards
    questions: list[pd.DataFrame]
    ranked: int
    frame: Frame | None = None


def run_simulation(study: Study, seed: int, truth: Values | None = None) -> dict[str, Any]:
    """Simulate, fit and rank.

    Parameters
    ----------
    study : Study
    seed : int
    truth : dict of str to array, shape (1, *dims), optional
        From a posterior; drawn from the prior by default.

    Returns
    -------
    dict
        ``unknowns`` (ranks of all elements by the unknown's name), ``asked`` (ranks of what users read), ``tried`` (truths
        that were drawn until one had a steady state at all loads, 0 if it has none), ``gate`` (why the fit does not
        converge, empty if it does), ``ess`` (smallest) and ``rhat`` (largest).
    """
    from bayes_sd.sample.gate import judge
    from bayes_sd.sample.sampler import sample

    rng = np.random.default_rng([seed, 1])
    if truth is None:
        truth, design, tried = first_simulation(study.design, study.spec, seed)
    else:
        tried, design = 1, simulate(study.design, study.spec, truth, rng, study.new)
        if design is None:
            return {"tried": 0}
    tree = sample(design, study.spec, study.settings, frame=study.frame)
    gate, inputs = judge(tree), model_inputs(design, study.spec)
    draws = thinned(tree, inputs, study.ranked)
    return {
        "unknowns": {name: rank(truth[name][0], draws[name], rng).ravel().tolist() for name in draws},
        "asked": _asked_ranks(study, design, inputs, truth, draws, rng),
        "tried": tried,
        "gate": "; ".join(gate.failures),
        "ess": min(gate.min_ess_bulk, gate.min_ess_tail),
        "rhat": gate.max_rhat,
    }


def thinned(tree: Any, inputs: Inputs, n: int) -> Values:
    """Take `n` draws evenly from all chains, shape (n, *dims) each."""
    found = {}
    for unknown in inputs.unknowns:
        values = tree["posterior"][unknown.name].to_numpy().astype(float)
        flat = values.reshape(-1, *values.shape[2:])
        found[unknown.name] = flat[np.linspace(0, len(flat) - 1, n).round().astype(int)]
    return found


def rank(truth: np.ndarray, draws: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rank a truth among draws, shape (n, ...): how many are below, and of equal ones a share by chance; 0 to n."""
    below, equal = (draws < truth).sum(axis=0), (draws == truth).sum(axis=0)
    return below + rng.integers(0, equal + 1)


def _asked_ranks(
    study: Study,
    design: Design,
    inputs: Inputs,
    truth: Values,
    draws: Values,
    rng: np.random.Generator,
) -> dict[str, int]:
    """Ranks of what users read, and of the table's likelihood."""
    ones = [as_posterior(values, inputs, design, study) for values in (truth, draws)]
    # Luck of a run is another in the world of the truth than in the posterior's draws: seeds differ.
    told = [
        {name: value for question in study.questions for name, value in answers(one, question, seed).items()}
        for seed, one in enumerate(ones)
    ]
    told[0][LIKELIHOOD], told[1][LIKELIHOOD] = (
        row_log_density(inputs, design, values).sum(axis=1) for values in (truth, draws)
    )
    return {name: int(rank(true[0], told[1][name], rng)) for name, true in told[0].items()}


def as_posterior(values: Values, inputs: Inputs, design: Design, study: Study) -> Posterior:
    """Make a posterior of some draws, shape (n, *dims), so that commands' functions answer from it."""
    import xarray as xr

    from bayes_sd.cards.stored import cards_used
    from bayes_sd.posterior.posterior import Posterior, describe, observed_set

    dims = {u.name: ("chain", "draw", *u.dims) for u in inputs.unknowns}
    coords = {d: inputs.coords[d] for u in inputs.unknowns for d in u.dims}
    named = {name: (dims[name], value[None]) for name, value in values.items()}
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset(named, coords=coords)})
    tree["observed"] = xr.DataTree(observed_set(design.frame))
    about = describe(design, study.spec) | {
        "gate": {"passed": True, "failures": []},
        "n_observations": len(design.frame),
        "cards": cards_used(design.frame, study.cards),
    }
    return Posterior(tree, about)


def answers(posterior: Posterior, question: pd.DataFrame, seed: int) -> dict[str, np.ndarray]:
    """Answer a question: latency at its load, speedup at zero load, break-even and best draft length, shape (draw,) each."""
    from bayes_sd.decide.break_even import break_even_loads
    from bayes_sd.decide.tune import prepare_choices
    from bayes_sd.forecast.sweep import sweep

    row = question.iloc[0]
    k, load = int(row["k"]), float(row["load_value"])
    lengths = sorted({*LENGTHS, k})
    prepared = prepare_choices(posterior, question, lengths, seed=seed)
    ladder = np.unique(np.append(np.geomspace(1.0, max(float(row["most"]), 2.0), LADDER), load))
    latency = sweep(prepared, ladder, "in-flight", ttft=False)["latency"].to_numpy()
    plain, ours, at = latency[:, 0], latency[:, lengths.index(k)], int(np.flatnonzero(ladder == load)[0])
    crossing, verdict, _ = break_even_loads(ladder, plain, ours)
    # Where there is none: below all loads if it never helps, above all if it always does, apart if it helps late.
    even = np.where(verdict == 1, crossing, np.array([0.0, np.nan, -1.0, np.inf])[verdict])
    best = np.array(lengths)[latency[:, :, at].argmin(axis=1)]
    name = str(row["named"])
    return {
        f"{name}: latency at {load:g} in flight": ours[:, at],
        f"{name}: speedup at zero load": plain[:, 0] / ours[:, 0],
        f"{name}: break-even": even,
        f"{name}: best k at {load:g} in flight": best.astype(float),
    }


def make_questions(frame: pd.DataFrame) -> list[pd.DataFrame]:
    """Choose what users would ask: for each way to draft of each deployment, the closed loop in the middle of its loads.

    Parameters
    ----------
    frame : DataFrame
        From :func:`scoring.splits.with_names`.

    Returns
    -------
    list of DataFrame
        One row each, without results and stated acceptance; ``named`` says which it is, ``most`` is the deployment's highest load.
    """
    from bayes_sd.measurements.schema import of_role
    from scoring.predictions import blind

    asked = frame[(frame["k"] > 0) & (frame["load_kind"] == "concurrency")]
    stated = [name for name in of_role("acceptance") if name in frame]
    found = []
    for (deployment, method, drafter), own in asked.groupby(["deployment", "method", "drafter"], sort=True):
        middle = own.sort_values(["load_value", "k"], kind="stable").iloc[[len(own) // 2]]
        same = frame[(frame["deployment"] == deployment) & (frame["load_kind"] == "concurrency")]
        named = f"{deployment} | {method} | {str(drafter).rpartition('/')[2]} | k={middle['k'].iloc[0]:g}"
        question = blind(middle).drop(columns=stated, errors="ignore")
        found.append(
            question.assign(named=named, most=float(same["load_value"].max())).reset_index(drop=True)
        )
    return found
