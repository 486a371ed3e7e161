"""The numbers of the decision report, each with its reading and its caveat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.decide.tune_words import schedule_words
from bayes_sd.report.cells import Number, interval, show_table

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior


def asked_by_default(posterior: Posterior, cards: Cards, kind: str) -> tuple[pd.DataFrame, list[str]]:
    """Give the condition that decisions are about where nothing is asked: that of the commands, the best draft length included.

    Parameters
    ----------
    posterior : Posterior
    cards : Cards
    kind : {"rate", "concurrency"}

    Returns
    -------
    frame : DataFrame
        One row.
    words : list of str
        What was chosen.
    """
    from bayes_sd.condition import Question, base_condition
    from bayes_sd.decide.best import best_length

    base, _ = base_condition(posterior, cards, Question({}), "rate", speculate=True)
    k = best_length(posterior, base, cards)
    return base_condition(posterior, cards, Question({"k": k}), kind, speculate=True)


def length_words(posterior: Posterior, base: pd.DataFrame, cards: Cards) -> list[str]:
    """Say which draft length to take at which batch size, as the command ``tune`` does.

    Parameters
    ----------
    posterior : Posterior
    base : DataFrame
        One row.
    cards : Cards

    Returns
    -------
    list of str
    """
    from bayes_sd.decide.schedule import schedule, sweep_batch_sizes
    from bayes_sd.decide.tune import prepare_choices

    return schedule_words(
        schedule(sweep_batch_sizes(prepare_choices(posterior, base, cards=cards, configured=True)))
    )


def condition_words(base: pd.DataFrame) -> str:
    """Say in one sentence what a decision is about.

    Parameters
    ----------
    base : DataFrame
        One row, from :func:`bayes_sd.condition.base_condition`.

    Returns
    -------
    str
    """
    row = base.iloc[0]
    workload = (
        f", prompts as {row['workload']}" if isinstance(row.get("workload"), str) and row["workload"] else ""
    )
    return (
        f"{row['verifier']} on {row['tp']}x {row['hardware']}, {row['engine']}, {row['precision']}; {row['method']} with "
        f"{row['drafter'] or 'no named drafter'}, k = {row['k']:g}; {row['prompt_tokens']:.0f} prompt and "
        f"{row['output_tokens']:.0f} output tokens{workload}."
    )


def speedup_numbers(result: xr.Dataset) -> list[Number]:
    """Give the numbers of a speedup.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.speedup.speedup`.

    Returns
    -------
    list of Number
    """
    ci, unit = result.attrs["ci"], result.attrs["load_units"]
    new = result.attrs["extrapolates"]
    ground = result.attrs["answer"][-1]  # what it rests on, in the words of the command
    ground += f" Not measured: {new}." if new else " It holds for these lengths and prompts only."
    break_even = result["break_even"].to_numpy()
    has = np.isfinite(break_even)
    limits = result["limit"].to_numpy()
    return [
        Number(
            "speedup at no load",
            interval(result["zero_load_speedup"], ci),
            "How much sooner a request alone on the server is done with speculation.",
            ground,
        ),
        Number(
            f"break-even load [{unit}]",
            interval(break_even, ci) if has.any() else "none",
            f"Above it speculation stops helping; {has.mean():.0%} of the draws have one, and the interval is over those.",
            "Near saturation small errors of a cost move it far."
            if has.any()
            else "No draw has one: the sign of the gain does not change with load.",
        ),
        Number(
            f"limit without speculation [{unit if unit == 'requests/s' else 'requests/s'}]",
            interval(limits[:, 0], ci),
            "The arrival rate from which requests pile up.",
            "It rests on the engine's cap and on how many requests the cache holds, known from cards only.",
        ),
        Number(
            "limit with speculation [requests/s]",
            interval(limits[:, 1], ci),
            "Lower than the other where a verified token costs more than it saves.",
            "Past either limit there is no steady state, and no speedup is stated.",
        ),
        Number(
            "tokens committed per cycle",
            interval(result["committed"], ci),
            "What acceptance buys: verify steps are saved in this proportion.",
            "Other prompts are accepted differently; monitor it (command monitor).",
        ),
    ]


def tune_numbers(result: xr.Dataset) -> list[Number]:
    """Give the choice of draft length at a few loads.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.tune.tune`.

    Returns
    -------
    list of Number
    """
    loads = result["load"].to_numpy()
    lengths = result["k"].to_numpy()
    numbers = []
    for i in np.unique(np.linspace(0, len(loads) - 1, 4).round().astype(int)):
        safe = int(result["safe"][i])
        if safe < 0:
            continue
        chance, regret = float(result["safe_p_best"][i]), float(result["safe_relative_regret"][i])
        numbers.append(
            Number(
                f"draft length at {loads[i]:.3g} {result.attrs['load_units']}",
                f"k = {lengths[safe]:g}" if lengths[safe] else "no speculation",
                f"Loses least on average: {regret:.1%} of the attainable speed; it is the very best with probability "
                f"{chance:.0%}.",
                "A low probability with a low loss means that several draft lengths are as good.",
            )
        )
    return numbers


def usual_objective(result: xr.Dataset) -> str:
    """Give the objective of a report that nobody gave one: a mean latency of twice that of an idle server.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.speedup.speedup`.

    Returns
    -------
    str
        As ``plan`` takes it, to two digits.
    """
    idle_s = float(np.median(result["c1"].to_numpy()[:, 0]))
    return f"mean<{2.0 * idle_s:.2g}s"


def plan_numbers(result: xr.Dataset) -> list[Number]:
    """Give the numbers of a capacity plan.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.plan.plan`.

    Returns
    -------
    list of Number
    """
    sure, slo, ci = f"{result.attrs['probability']:.0%}", result.attrs["slo"], result.attrs["ci"]
    numbers = []
    for name in result["alternative"].to_numpy():
        one = result.sel(alternative=name)
        called = "without speculation" if name == "none" else f"with speculation, {name}"
        new = result.attrs["extrapolates"][str(name)]
        ground = (
            f"Not measured: {new}." if new else "Replicas share what is not known: all hold it, or none does."
        )
        numbers += [
            Number(
                f"rate held {called} [requests/s]",
                interval(one["highest_rate"], ci),
                f"One replica keeps {slo} up to here.",
                ground,
            ),
            Number(
                f"rate to promise {called} [requests/s]",
                f"{float(one['promised_rate']):.3g}",
                f"Held with probability {sure}.",
                "0 means that an idle replica misses the objective more often than the promise allows."
                if float(one["promised_rate"]) == 0.0
                else "One short measurement may come out worse by its own noise.",
            ),
        ]
    return numbers


def speedup_by_load(result: xr.Dataset, every: int = 5) -> Any:
    """Show the speedup at some of its loads.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.speedup.speedup`.
    every : int
        Which loads: every fifth.

    Returns
    -------
    IPython.display.HTML
    """
    import pandas as pd

    low, median, high = result["speedup_band"].to_numpy()
    columns = {
        f"load [{result.attrs['load_units']}]": result["load"].to_numpy(),
        "speedup": median,
        "lower": low,
        "upper": high,
        "P(speedup > 1)": result["p_faster"].to_numpy(),
    }
    return show_table(pd.DataFrame(columns).iloc[::every])


def choice_by_load(result: xr.Dataset) -> Any:
    """Show the safe choice at each load.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.tune.tune`.

    Returns
    -------
    IPython.display.HTML
    """
    import pandas as pd

    names = [str(a) for a in result["alternative"].to_numpy()]
    safe, probable = result["safe"].to_numpy(), result["probable"].to_numpy()
    columns = {
        f"load [{result.attrs['load_units']}]": result["load"].to_numpy(),
        "loses least": [names[i] if i >= 0 else "past saturation" for i in safe],
        "loses on average [%]": 100.0 * result["safe_relative_regret"].to_numpy(),
        "is the best with probability": result["safe_p_best"].to_numpy(),
        "most probably best": [names[i] if i >= 0 else "" for i in probable],
    }
    return show_table(pd.DataFrame(columns))
