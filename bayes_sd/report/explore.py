"""One interactive page of a posterior: load, lengths, draft length, acceptance and objective as sliders, answered in the page."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.decide.caveats import caveats
from bayes_sd.decide.tune import prepare_choices
from bayes_sd.errors import ConditionError, OutputError
from bayes_sd.files import check_writable, write_atomically
from bayes_sd.forecast.mixture import thinned
from bayes_sd.forecast.sweep import stability_limits, sweep
from bayes_sd.forecast.tails import LEAST_WAIT
from bayes_sd.latency.acceptance import alpha_iid_from_committed
from bayes_sd.latency.tails import LEVELS, wait_nodes
from bayes_sd.report.decisions import condition_words
from bayes_sd.report.servers import DRAWS, SCALARS, Servers, draw_servers, packed

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.forecast.alternatives import Prepared
    from bayes_sd.posterior.posterior import Posterior

PARTS = Path(__file__).parent / "interactive"
START_SHARE = 0.5
"""Load at which the page opens, as a share of the stability limit without speculation."""


def make_explorer(
    posterior: Posterior,
    base: pd.DataFrame,
    output: str | Path,
    cards: Cards | None = None,
    seed: int = 0,
    words: Sequence[str] = (),
) -> Path:
    """Write an interactive page about one server, as one HTML file that needs nothing else.

    Parameters
    ----------
    posterior : Posterior
    base : DataFrame
        One row that speculates, as from :func:`bayes_sd.conditions`.
    output : path
        HTML file to write.
    cards : Cards, optional
        The posterior's own, and the shipped ones, by default.
    seed : int
        For what the posterior has not seen.
    words : sequence of str
        Sentences that say how the condition came about.

    Returns
    -------
    Path

    Raises
    ------
    OutputError
        If the file is not .html or cannot be written.
    CardError, ConditionError
        If the condition does not speculate, or names something that nothing is known about.
    """
    target = Path(output)
    if target.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"{output}: an interactive page is written as HTML; name it .html")
    check_writable(target)
    if not float(base["k"].iloc[0]) > 0:
        raise ConditionError(
            "the condition does not speculate: give method, drafter and k (--method, --drafter, --k) of the speculation to judge"
        )
    cards = posterior.cards() if cards is None else cards
    few = thinned(posterior, DRAWS)
    longest = max(8, int(base["k"].iloc[0]))
    lengths = range(longest + 1)
    servers = draw_servers(few, base, cards, seed, lengths)
    prepared = prepare_choices(few, base, lengths, cards=cards, seed=seed)
    about, draws = _numbers(servers, base, prepared)
    start = about["start"]
    mind = caveats(few, prepared, sweep(prepared, [start["load"]], "rate", ttft=False))
    text = _page(about, draws, [condition_words(base), *words], mind)
    return write_atomically(target, lambda beside: beside.write_text(text, encoding="utf-8"))


def _numbers(servers: Servers, base: pd.DataFrame, prepared: Prepared) -> tuple[dict[str, Any], str]:
    """Give what the page's script reads, and the draws as text."""
    codes, low, step = packed(servers.draws)
    nodes, weights = _waits()
    about = {
        "prompt": servers.prompt,
        "output": servers.output,
        "draft_lengths": servers.draft_lengths,
        "points": servers.points,
        "prefill_points": servers.prefill_points,
        "scalars": list(SCALARS),
        "draws": servers.draws.shape[3],
        "cap": servers.cap if np.isfinite(servers.cap) else None,
        "most": servers.most,
        "low": low,
        "step": step,
        "levels": _levels(),
        "wait": {"least": LEAST_WAIT, "nodes": nodes, "weights": weights},
        "rates": _rates(servers, prepared),
        "start": _start(servers, base, prepared),
    }
    return about, base64.b64encode(codes.tobytes()).decode("ascii")


def _levels() -> dict[str, tuple[float, float]]:
    """Give each percentile's probability and standard normal score."""
    from scipy.special import ndtri

    return {f"p{100 * level:.0f}": (level, float(ndtri(level))) for level in LEVELS}


def _waits() -> tuple[list[float], list[float]]:
    """Give the nodes and weights by which the page averages over an exponential wait of mean 1."""
    weights, nodes = wait_nodes(np.ones(1), np.ones(1))
    return nodes[0, 1:].tolist(), weights[0, 1:].tolist()


def _rates(servers: Servers, prepared: Prepared) -> list[float]:
    """Range of the rates [requests/s]: from a nearly idle server to the limit at the shortest lengths."""
    limit = float(np.median(stability_limits(prepared), axis=0).max())
    shorter = servers.output[-1] / servers.output[0]
    return [float(f"{limit / 100:.1g}"), float(f"{limit * max(shorter, 2.0) ** 0.5:.2g}")]


def _start(servers: Servers, base: pd.DataFrame, prepared: Prepared) -> dict[str, Any]:
    row = base.iloc[0]
    limits = np.median(stability_limits(prepared), axis=0)
    load = float(f"{START_SHARE * limits[0]:.2g}")
    k = int(row["k"])
    committed = float(np.median(prepared.costs.committed[:, prepared.conditions.k.tolist().index(k)]))
    latency = np.median(sweep(prepared, [load], "rate", ttft=False)["latency"].to_numpy()[:, 0, 0])
    alpha = float(alpha_iid_from_committed(np.clip(committed, 1.0, k + 1.0), k))
    return {
        "loop": "even" if str(row["arrivals"]) == "even" else "poisson",
        "load": load,
        "prompt": servers.prompt.index(round(float(row["prompt_tokens"]))),
        "output": servers.output.index(round(float(row["output_tokens"]))),
        "k": k,
        "alpha": round(alpha, 2),
        "slo": float(f"{2.0 * latency:.1g}"),
    }


def _page(about: dict[str, Any], draws: str, words: Sequence[str], mind: Sequence[str]) -> str:
    parts = {
        "title": "Should this server speculate?",
        "css": _read("page.css"),
        "about": " ".join(html.escape(word) for word in words),
        "draws": str(about["draws"]),
        "mind": "\n".join(f"<li>{html.escape(m)}</li>" for m in mind)
        or "<li>Nothing here goes beyond what was measured.</li>",
        # A name in it may hold "</script>".
        "data": json.dumps(about).replace("<", "\\u003c"),
        "draws64": draws,
        "js": _read("law.js") + _read("page.js"),
    }
    # In one pass: a value may hold what looks like a place.
    return re.sub(r"@(\w+)@", lambda place: parts[place[1]], _read("page.html"))


def _read(name: str) -> str:
    return (PARTS / name).read_text(encoding="utf-8")
