"""Simulation-based calibration: truths are drawn, tables simulated and fitted, and truths ranked among posterior draws.

    uv run --group calibration python benchmarks/calibration.py --family llamacpp-cpu --simulations 100 --workers 2 --store FILE

Prior calibration (the default) draws the truth from the prior and fits the simulated table alone. Posterior calibration
(`--trace FILE`, a fit of the same table) draws it from that posterior and fits the table and a simulated copy together. Simulated
are all that the likelihood sees: mean latency under each load, time to first token, share of decoding, and stated acceptance,
with Student-t noise. Where the model is right about itself every rank is uniform; the 99 % band holds a uniform quantity's whole
rank ECDF with that probability, so that of 300 quantities some three leave it by chance.

Ranked are all elements of all unknowns; the table's log likelihood; and what users read: latency at a load, speedup at zero
load, break-even and best draft length, for each way to draft that the table has.

Truths of the prior under which some open loop has no steady state are drawn again: a table does not keep such rows. A fit of
a table of the prior finds coordinates of its own, since such posteriors lie far from each other; posterior calibration finds
them once. `--frame once` or `each` says otherwise.

With `--store` each finished simulation is kept, and is not done again by the same code on the same tables.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scoring import ranks
from scoring.refits import Study, make_questions, run_simulation
from scoring.runner import Job, Store, revision, run_jobs, say
from scoring.splits import with_names

if TYPE_CHECKING:
    from bayes_sd.cards import Cards
    from bayes_sd.model.build import Inputs
    from bayes_sd.sample.settings import SamplerSettings

SAID = ("family", "every", "draws", "tune", "chains", "seed", "ranked")
"""Options that decide a simulation's result."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--family", default="llamacpp-cpu", help="a family whose table's rows are simulated")
    add("--data", type=Path, action="append", help="a table instead of the shipped ones; repeat")
    add("--every", type=int, default=1, help="take every so-manieth row of the table only")
    add("--trace", type=Path, help="draw truths from this posterior of the same table")
    add("--simulations", type=int, default=500)
    add("--ranked", type=int, default=99, help="draws among which a truth is ranked")
    add("--frame", choices=("once", "each"), help="find coordinates once, or for each fit")
    add("--draws", type=int, default=500)
    add("--tune", type=int, default=300)
    add("--chains", type=int, default=2)
    add("--seed", type=int, default=1)
    add("--workers", type=int, default=1, help="fits at once on this machine (needs Dask)")
    add("--scheduler", default="", help="address of a Dask scheduler to use instead")
    add("--store", type=Path, help="JSON-lines file: finished simulations are kept there and taken from it")
    add("--figure", type=Path, help="draw rank ECDFs with their bands into this file")
    add("--table", type=Path, help="write what became of each quantity to this CSV file")
    add("--all", action="store_true", help="draw every element of every unknown, not those without levels")
    return parser.parse_args()


def observations_of(args: argparse.Namespace, cards: Cards) -> pd.DataFrame:
    """Read the rows that are simulated, with the names that questions go by."""
    from bayes_sd.sample.fit import observations

    frame, _ = observations(args.family, args.data, cards)
    return with_names(frame.iloc[:: args.every].reset_index(drop=True), cards)


def make_study(args: argparse.Namespace) -> tuple[Study, Inputs]:
    """Gather what all simulations share."""
    from bayes_sd.cards import load_cards
    from bayes_sd.model.build import model_inputs
    from bayes_sd.model.design import build_design
    from bayes_sd.model.spec import ModelSpec, family_priors
    from bayes_sd.sample.settings import SamplerSettings

    cards = load_cards()
    frame = observations_of(args, cards)
    questions = make_questions(frame)
    if args.trace:
        frame = pd.concat([frame.assign(simulated=False), frame.assign(simulated=True)], ignore_index=True)
    else:
        frame = frame.assign(simulated=True)
    spec = ModelSpec(family=args.family, priors=family_priors(args.family))
    settings = SamplerSettings(draws=args.draws, tune=args.tune, chains=args.chains, cores=1, seed=args.seed)
    design = build_design(frame, cards)
    inputs = model_inputs(design, spec)
    say(f"{args.family}: {len(frame)} rows, {sum(map(len, ranks.element_names(inputs).values()))} unknowns")
    new = design.frame["simulated"].to_numpy(dtype=bool)
    once = (args.frame or ("once" if args.trace else "each")) == "once"
    found = common_frame(inputs, settings) if once else None
    return Study(design, new, spec, settings, cards, questions, args.ranked, found), inputs


def common_frame(inputs: Inputs, settings: SamplerSettings) -> Any:
    """Find coordinates for the table as it was measured."""
    from threadpoolctl import threadpool_limits

    from bayes_sd.sample.pilot import find_frame
    from bayes_sd.sample.target import make_target

    say("looking for coordinates, which all fits share")
    with threadpool_limits(limits=1):
        return find_frame(make_target(inputs), settings)


def truths_of(args: argparse.Namespace, inputs: Inputs) -> list[dict[str, np.ndarray]]:
    """Take truths evenly from a posterior's draws."""
    from bayes_sd.model.likelihood import facts_of
    from bayes_sd.model.unseen import StandardNormals, draw_unknowns
    from bayes_sd.posterior.posterior import load_posterior

    posterior = load_posterior(args.trace)
    _require_same_levels(posterior, inputs, args)
    normals = StandardNormals(posterior.n_draws, args.seed)
    drawn = draw_unknowns(inputs.unknowns, posterior, inputs.coords, facts_of(inputs), normals)
    at = np.linspace(0, posterior.n_draws - 1, args.simulations).round().astype(int)
    return [{name: values[[i]] for name, values in drawn.items()} for i in at]


def _require_same_levels(posterior: Any, inputs: Inputs, args: argparse.Namespace) -> None:
    """Refuse a posterior of another table: its draws would not be those of this table's posterior."""
    for unknown in inputs.unknowns:
        for dim in unknown.dims:
            if not posterior.has(unknown.name) or set(posterior.names(dim)) != set(
                map(str, inputs.coords[dim])
            ):
                raise SystemExit(
                    f"{args.trace}: {unknown.name} has other levels than the table of {args.family}: fit that table, whole "
                    "and with this version, and give its trace"
                )


def make_jobs(args: argparse.Namespace, study: Study, inputs: Inputs) -> list[Job]:
    """Make one job a simulation; its seed is the run's and its own number."""
    about = {name: getattr(args, name) for name in SAID} | {"revision": revision()}
    about |= {"frame": "each" if study.frame is None else "once"}
    if args.data:
        about["data"] = [str(path) for path in args.data]
    if args.trace:
        about |= {"trace": str(args.trace), "of": args.simulations}
        truths: list[Any] = truths_of(args, inputs)
    else:
        truths = [None] * args.simulations
    return [
        Job(about | {"simulation": i}, (study, 100_000 * args.seed + 1_000 * i, truth))
        for i, truth in enumerate(truths)
    ]


def report(results: list[dict[str, Any]], inputs: Inputs, args: argparse.Namespace) -> None:
    """Print which quantities leave the band; draw and write what was asked for."""
    fitted = [r for r in results if r["tried"]]
    unsettled = [r for r in fitted if r["gate"]]
    pit = ranks.collect(fitted, ranks.element_names(inputs), args.ranked)
    table = ranks.judge_uniform(pit)
    print(f"{len(fitted)} simulations, truths ranked among {args.ranked} draws")
    if len(fitted) < len(results):
        print(f"{len(results) - len(fitted)} truths without a steady state at some load were left out")
    tried = sum(r["tried"] for r in fitted)
    print(
        f"{tried} truths were drawn for them; {len(unsettled)} fits did not pass the convergence gate: ",
        end="",
    )
    print(
        f"smallest effective sample size {min(r['ess'] for r in fitted):.0f} (median "
        f"{np.median([r['ess'] for r in fitted]):.0f}), R-hat up to {max(r['rhat'] for r in fitted):.3f} "
        f"(median {np.median([r['rhat'] for r in fitted]):.3f})"
    )
    leaving = table[table["leaves"]].drop(columns="leaves").sort_values("off", ascending=False)
    print(
        f"{len(leaving)} of {len(table)} quantities leave their {100 * ranks.BAND:g} % band; "
        f"{(1 - ranks.BAND) * len(table):.1f} would by chance"
    )
    with pd.option_context("display.width", 200, "display.max_colwidth", 120, "display.max_rows", None):
        if len(leaving):
            print(leaving.round(3).to_string())
    if args.table:
        table.to_csv(args.table, index_label="quantity")
    if args.figure:
        whole = [name for name in pit if args.all or "[" not in str(name).partition(":")[0]]
        ranks.draw(pit[whole], args.figure)


def main() -> None:
    args = arguments()
    study, inputs = make_study(args)
    jobs = make_jobs(args, study, inputs)
    done = run_jobs(jobs, run_simulation, Store(args.store), args.workers, args.scheduler)
    if len(done) < 2:
        raise SystemExit("fewer than two simulations were done: none to judge")
    report([result for _, result in done], inputs, args)


if __name__ == "__main__":
    main()
