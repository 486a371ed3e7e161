"""What ``speedup`` and ``tune`` print: a table, and each number with a sentence on how to read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

ENDS = ("median", "lower", "upper")
WIDTH = 118
SHOWN = 12
"""Rows of a table on the terminal; a file has them all."""
SHORT_UNITS = {"rate": "requests/s", "in-flight": "in flight", "utilisation": "of the plain server's limit"}
VERDICT_WORDS = {
    "never": "helps at no load",
    "below": "helps below a break-even load only",
    "above": "helps above a break-even load only",
    "always": "helps at every load with a steady state",
}


def print_speedup(result: xr.Dataset, table: pd.DataFrame, summary: dict[str, Any], words: list[str]) -> None:
    """Print a speedup.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.speedup.speedup`.
    table, summary
        Of :mod:`bayes_sd.decide.tables`.
    words : list of str
        How the condition came about.
    """
    from bayes_sd.decide.speedup import REGIMES

    console = _console()
    about = result.attrs
    level = f"{about['ci']:.0%}"
    unit = SHORT_UNITS[about["load_axis"]]
    _say(console, *words)
    title = f"Speedup of {about['drafter']}, k={about['k']}, over no speculation ({_arrivals(about)})"
    rows = [
        (
            f"{row['load']:.3g}",
            *(
                _seconds(*(row[f"{server}_latency_{end}_s"] for end in ENDS))
                for server in ("plain", "speculative")
            ),
            _interval(row["speedup_median"], row["speedup_lower"], row["speedup_upper"], ".2f"),
            _percent(row["p_faster"]),
        )
        for row in _thinned(table).to_dict("records")
    ]
    heads = (_head(about), "latency without", "latency with", "speedup", "P(faster)")
    _table(console, f"{title}, median [{level} interval]", heads, rows)
    zero = _interval(*_order(summary["zero_load_speedup"]), ".2f")
    committed = _interval(*_order(summary["committed"]), ".2f")
    _say(
        console,
        f"Speedup with an idle server: {zero}, at {committed} tokens committed per cycle.",
        _break_even_words(summary, unit, level),
        f"C1_R {_interval(*_order(summary['c1_ratio']), '.2f')}, C2_R {_interval(*_order(summary['c2_ratio']), '.2f')}: "
        "cost of a request alone, and of each further one in flight, relative to no speculation. Below 1 is cheaper.",
    )
    regimes = sorted(summary["p_regime"].items(), key=lambda item: -item[1])
    _say(
        console, *[f"Regime, probability {_percent(p)}: {REGIMES[name]}." for name, p in regimes if p >= 0.05]
    )
    _say(
        console,
        "P(faster) is the probability that speculation lowers the mean latency at that load, given what was measured. "
        "Intervals are of the mean latency, not of single requests.",
    )
    if np.isnan(table["p_faster"]).any():
        _say(console, "Where it says '-' neither server keeps up.")
    if (table["speedup_lower"] == 0).any() or np.isinf(table["speedup_upper"]).any():
        _say(
            console,
            "A speedup of 0 is a load that only the server with speculation cannot hold; inf, only the one without.",
        )
    _caveats(console, about["caveats"])


def print_tune(result: xr.Dataset, table: pd.DataFrame, rows: pd.DataFrame, words: list[str]) -> None:
    """Print a comparison of draft lengths.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.tune.tune`.
    table : DataFrame
        From :func:`bayes_sd.decide.tables.tune_table`.
    rows : DataFrame
        From :func:`bayes_sd.decide.schedule.schedule`.
    words : list of str
        How the condition came about.
    """
    console = _console()
    about = result.attrs
    _say(console, *words)
    drafters = [str(c) for c in result["choice"].to_numpy()]
    short = _short_names(drafters)
    if short:
        _say(console, "Drafters: " + ", ".join(f"{letter} = {name}" for name, letter in short.items()) + ".")
    shown = _thinned(result["load"].to_series().reset_index(drop=True).to_frame("load")).index
    lines = [_tune_line(result, table, i, short) for i in shown]
    heads = (
        _head(about),
        "safe choice",
        "its latency",
        "P(best)",
        "speed lost",
        "likeliest",
        "P(best)",
        "runner-up",
    )
    _table(console, f"Best draft length over load ({_arrivals(about)})", heads, lines)
    if short:
        chosen = result.isel(load=shown)
        probabilities = chosen["p_best_drafter"].to_numpy().T
        lines = [
            (f"{load:.3g}", *(_percent(p) for p in row))
            for load, row in zip(chosen["load"].to_numpy(), probabilities, strict=True)
        ]
        _table(console, "Probability that the best one drafts with", (_head(about), *drafters), lines)
    _schedule(console, rows)
    _say(
        console,
        "Safe choice: lowest expected share of the attainable speed lost ('speed lost'). P(best): probability that this "
        "one has the lowest mean latency, given what was measured; where it is low and 'speed lost' is small too, the "
        "choice hardly matters.",
    )
    _caveats(console, about["caveats"])


def _short_names(choices: list[str]) -> dict[str, str]:
    """Give letters to drafters where there are several."""
    drafters = [c for c in choices if c != "none"]
    return dict(zip(drafters, "ABCDEFGHIJ", strict=False)) if len(drafters) > 1 else {}


def _tune_line(result: xr.Dataset, table: pd.DataFrame, i: int, short: dict[str, str]) -> tuple[str, ...]:
    load = result["load"].to_numpy()[i]
    n = result.sizes["alternative"]
    own = table.iloc[i * n : (i + 1) * n]
    if not own["safe"].any():
        return (f"{load:.3g}", "no steady state", *[""] * 6)
    own = own.assign(
        alternative=own["alternative"].replace(
            {f"{d} k={k}": f"{s} k={k}" for d, s in short.items() for k in own["k"]}
        )
    )
    safe, probable = own[own["safe"]].iloc[0], own[own["probable"]].iloc[0]
    other = own[~own["safe"]].sort_values("relative_regret").iloc[0]
    return (
        f"{load:.3g}",
        safe["alternative"],
        _seconds(safe["latency_median_s"], safe["latency_lower_s"], safe["latency_upper_s"]),
        _percent(safe["p_best"]),
        f"{safe['relative_regret']:.1%}",
        probable["alternative"],
        _percent(probable["p_best"]),
        f"{other['alternative']} (loses {other['relative_regret']:.1%})",
    )


def _schedule(console, rows: pd.DataFrame) -> None:
    lines = [
        (
            f"{row['start']}-{row['end']}",
            f"{row['k']}" if row["k"] else "0 (off)",
            _percent(row["p_best"]),
            f"{row['relative_regret']:.1%} (at most {row['relative_regret_most']:.1%})",
            f"{row['regret_ms']:.0f}",
            f"k={row['runner_up']} (loses {row['runner_up_regret']:.1%})",
        )
        for row in rows.to_dict("records")
    ]
    heads = ("batch size", "k", "P(best)", "speed lost", "ms lost", "runner-up")
    _table(console, f"Draft length by batch size, for {rows['drafter'].iloc[0]}", heads, lines)


def _break_even_words(summary: dict[str, Any], unit: str, level: str) -> str:
    verdicts = sorted(summary["p_verdict"].items(), key=lambda item: -item[1])
    rest = "; ".join(f"{VERDICT_WORDS[name]}: {_percent(p)}" for name, p in verdicts if p >= 0.005)
    low, middle, high = summary["break_even"]
    if middle is None:
        return f"Break-even: none. Speculation {rest}."
    return (
        f"Break-even at {middle:.3g} {unit} [{low:.3g}, {high:.3g}] ({level} interval where there is one). "
        f"Probabilities that speculation {rest}."
    )


def _arrivals(about: dict[str, Any]) -> str:
    words = {"closed": "closed loop", "even": "evenly spaced arrivals", "poisson": "Poisson arrivals"}
    return words[about["arrivals"]]


def _head(about: dict[str, Any]) -> str:
    return {"rate": "requests/s", "in-flight": "in flight", "utilisation": "utilisation"}[about["load_axis"]]


def _order(bounds: list[float]) -> tuple[float, float, float]:
    low, middle, high = bounds
    return middle, low, high


def _interval(middle: float, low: float, high: float, form: str) -> str:
    def one(value: float | None) -> str:
        if value is None or np.isnan(value):
            return "-"
        return "inf" if np.isinf(value) else format(value, form)  # a speedup; latencies say it in words

    if middle is None or np.isnan(middle):
        return "-"
    return f"{one(middle)} [{one(low)}, {one(high)}]"


def _seconds(middle: float, low: float, high: float) -> str:
    """Latency in the unit that suits it, saturation in words."""
    if not np.isfinite(middle):
        return "saturated"
    scale, form, unit = (1e3, ".0f", "ms") if middle < 1.0 else (1.0, ".2f", "s")
    top = format(scale * high, form) if np.isfinite(high) else "saturated"
    return f"{scale * middle:{form}} [{scale * low:{form}}, {top}] {unit}"


def _percent(probability: float) -> str:
    if np.isnan(probability):
        return "-"
    if 0.0 < probability < 0.01 or 0.99 < probability < 1.0:
        return "<1 %" if probability < 0.5 else ">99 %"
    return f"{100 * probability:.0f} %"


def _thinned(table: pd.DataFrame) -> pd.DataFrame:
    if len(table) <= SHOWN:
        return table
    return table.iloc[np.unique(np.linspace(0, len(table) - 1, SHOWN).round().astype(int))]


def _console():
    from rich.console import Console

    return Console(width=WIDTH, highlight=False)


def _table(console, title: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    from rich import box
    from rich.table import Table

    console.print(title, style="bold", markup=False)
    table = Table(box=box.SIMPLE)
    for i, head in enumerate(heads):
        table.add_column(head, justify="right" if i == 0 else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table, markup=False)


def _say(console, *sentences: str) -> None:
    for sentence in sentences:
        console.print(sentence, markup=False, soft_wrap=False)


def _caveats(console, caveats: list[str]) -> None:
    if caveats:
        console.print("Mind:", style="bold")
        for sentence in caveats:
            console.print(f"- {sentence}", markup=False)
