"""What predicting a table of conditions takes, beside a bare NumPy evaluation of the formula with the same draws.

    uv run python benchmarks/predict.py TRACE [--conditions 1000] [--loop concurrency|rate]

Conditions that differ from one another in load, draft length and lengths, of the trace's most measured deployment. *Bare* is
the model's terms on the draws, the service curve at one number in flight per condition (closed loop), or at all numbers and the
law of the number in flight at an arrival rate (open loop). *Predict* is all: names, levels never seen, costs, percentiles, new
measurements. Seconds of processor time, one thread, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from bayes_sd.condition import Question, base_condition
from bayes_sd.forecast.blocks import BLOCK, predict_summary
from bayes_sd.forecast.conditions import resolve
from bayes_sd.forecast.costs import costs_for
from bayes_sd.forecast.curves import service_curve
from bayes_sd.forecast.latency import running_curve
from bayes_sd.latency.queue import in_flight_law
from bayes_sd.posterior import load_posterior

LENGTHS = (128, 200, 256, 340, 400, 512, 640, 768)
DRAFTS = (0, 1, 2, 3, 4, 5)


def asked(condition: pd.DataFrame, n: int, loop: str) -> pd.DataFrame:
    """Give n conditions, no two alike."""
    number = np.arange(n)
    rows = pd.concat([condition] * n, ignore_index=True)
    k = np.array(DRAFTS)[number % len(DRAFTS)].astype(float)
    load = 1.0 + number // (len(DRAFTS) * len(LENGTHS))
    return rows.assign(
        k=k,
        method=np.where(k > 0, rows["method"], "none"),
        drafter=np.where(k > 0, rows["drafter"], ""),
        output_tokens=np.array(LENGTHS)[number // len(DRAFTS) % len(LENGTHS)].astype(float),
        load_kind=loop,
        load_value=load if loop == "concurrency" else load / 4.0,
        arrivals="poisson" if loop == "rate" else "",
    )


def bare_seconds(posterior, table: pd.DataFrame, cards, loop: str) -> tuple[float, float]:
    """Evaluate the formula for each condition; give seconds of that, and of making its costs of the draws."""
    formula = made = 0.0
    for at in range(0, len(table), BLOCK):
        conditions = resolve(table.iloc[at : at + BLOCK], posterior, cards)
        start = time.process_time()
        costs = costs_for(posterior, conditions, cards)
        made += time.process_time() - start
        start = time.process_time()
        for i in range(len(conditions)):
            if loop == "concurrency":
                service_curve(costs, conditions, i, np.array([[conditions.load[i]]]))
            else:
                n_max, service = running_curve(costs, conditions, i)
                in_flight_law(service, "poisson", conditions.load[i], n_max, levels=())
        formula += time.process_time() - start
    return formula, made


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trace")
    parser.add_argument("--conditions", type=int, default=1000)
    parser.add_argument("--loop", choices=("concurrency", "rate"), default="concurrency")
    wanted = parser.parse_args()
    posterior = load_posterior(wanted.trace)
    cards = posterior.cards()
    condition, words = base_condition(posterior, cards, Question({}), load_kind="concurrency", speculate=True)
    print(" ".join(words))
    table = asked(condition, wanted.conditions, wanted.loop)
    with threadpool_limits(limits=1):
        formula, made = bare_seconds(posterior, table, cards, wanted.loop)
        start = time.process_time()
        predict_summary(posterior, table, cards)
        whole = time.process_time() - start
    print(
        f"{posterior.n_draws} draws x {len(table)} conditions: predict {whole:.2f} s; bare {formula + made:.2f} s "
        f"(costs {made:.2f} s, curve and law {formula:.2f} s), {whole / (formula + made):.1f} x"
    )


if __name__ == "__main__":
    main()
