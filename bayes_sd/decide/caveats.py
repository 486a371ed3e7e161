"""What a reader of a decision must know about its ground: extrapolation, saturation, and what only the prior says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.latency.queue.curve import LARGEST_GRID

if TYPE_CHECKING:
    import xarray as xr

    from bayes_sd.forecast.sweep import Prepared
    from bayes_sd.posterior.posterior import Posterior

NEW_WORDS = {
    "hardware": "This GPU was never measured: its costs come from its card, widely.",
    "engine": "This engine was never measured.",
    "precision": "These number formats were never measured.",
    "number format unpacked": "A GPU without matrix units for these weights, which it unpacks, was never measured with them.",
    "verifier": "This verifier was never measured: its costs come from its card, widely.",
    "combination": "This verifier, GPU, engine and formats were never measured together.",
    "engine version": "This version of the engine, or its options, was never measured here: others were.",
    "mixture of experts": "No mixture of experts was measured in this trace: how its experts are read follows from the card and "
    "priors alone. Fit a family that has mixtures.",
    "method": "This drafting method was never measured: {drafter} is taken as a method like others.",
    "drafter": "{drafter} was never measured: its costs and acceptance come from its card and the prior.",
    "drafter on this deployment": "{drafter} was measured on other deployments only.",
    "acceptance": "The acceptance of {drafter} was never measured on this verifier and workload.",
}
"""What each word of a condition's ``extrapolates`` means to a reader."""
UNINFORMED = 0.8
"""Above this ratio of posterior to prior sd the data said little about a parameter."""
PRIOR_ONLY = {
    "acceptance_length_slope": (
        "draft length",
        "acceptance",
        "length_slope_sd",
        "How acceptance changes with draft length comes from the prior: the data vary it too little to tell.",
    ),
    "log_draft_extra_steps": (
        "draft length",
        "draft",
        "extra_steps_log_sd",
        "How drafting cost splits into a fixed part and one per token comes from the prior: costs at draft lengths other "
        "than the measured ones lean on it.",
    ),
    "acceptance_level": (
        "drafter",
        "acceptance",
        "logit_sd",
        "The general level of acceptance comes from the prior.",
    ),
}
"""Parameters that the data may leave as the prior has them. Of each: what must be new about a condition for it to matter, the
table and key of its prior's sd in ``priors.toml``, and the sentence that warns of it."""


def caveats(posterior: Posterior, prepared: Prepared, swept: xr.Dataset) -> list[str]:
    """List what matters to a reader of a sweep, one sentence each, the gravest first.

    Parameters
    ----------
    posterior : Posterior
    prepared : Prepared
    swept : Dataset
        From :func:`bayes_sd.forecast.sweep.sweep`.

    Returns
    -------
    list of str
    """
    lengths = _lengths(posterior, prepared)
    texts = "; ".join(prepared.conditions.extrapolates)
    new = (
        {"draft length"}
        if lengths or any(w in texts for w in ("draft length", "drafter", "method"))
        else set()
    )
    new |= {"drafter"} if {"drafter", "method"} & set(texts.split("; ")) else set()
    return [*_new(prepared), *lengths, *_loads(posterior, prepared, swept), *_prior_only(posterior, new)]


def measured_lengths(posterior: Posterior, pair: str) -> list[int]:
    """List the draft lengths that a pair was measured at, from the names of its shapes."""
    lengths = set()
    for shape in posterior.names("shape"):
        if shape.startswith(f"{pair} k="):
            lengths.add(round(float(shape[len(pair) + 3 :].split(" | ")[0])))
    return sorted(lengths)


def _new(prepared: Prepared) -> list[str]:
    """Name what was never measured, draft lengths and loads left out: the sweep varies those itself."""
    words: dict[str, None] = {}
    for drafter, text in zip(prepared.conditions.drafter, prepared.conditions.extrapolates, strict=True):
        for part in filter(None, text.split("; ")):
            if part not in ("draft length", "load"):
                words[
                    NEW_WORDS.get(part, "Never measured here: {part}.").format(part=part, drafter=drafter)
                ] = None
    return list(words)


def _lengths(posterior: Posterior, prepared: Prepared) -> list[str]:
    sentences = []
    for pair in dict.fromkeys(p for p in prepared.conditions.pair if p):
        asked = {
            a.k for a, p in zip(prepared.alternatives, prepared.conditions.pair, strict=True) if p == pair
        }
        known = measured_lengths(posterior, pair)
        if known and asked - set(known):
            drafter = pair.rsplit(" | ", 1)[-1]
            measured = ", ".join(f"k={k}" for k in known)
            sentences.append(
                f"{drafter} was measured on this deployment at {measured} only: other draft lengths follow from the model."
            )
    return sentences


def _loads(posterior: Posterior, prepared: Prepared, swept: xr.Dataset) -> list[str]:
    sentences = []
    deployment = prepared.conditions.deployments[0].key
    keys = [d.key for d in posterior.levels.deployments]
    axis = swept.attrs["load_axis"]
    if deployment in keys:
        measured = posterior.about["measured"][keys.index(deployment)]
        open_loop = axis != "in-flight"
        if measured["open_loop"] == [open_loop]:
            loads = (swept["rate_rps"] if open_loop else swept["load"]).to_numpy()
            unit = "requests/s" if open_loop else "in flight"
            if loads.max() > 1.1 * measured["load"][1]:
                sentences.append(
                    f"Loads above {measured['load'][1]:g} {unit} were never measured on this deployment."
                )
        else:
            kind = "closed" if open_loop else "open"
            sentences.append(
                f"This deployment was measured as {'an' if kind == 'open' else 'a'} {kind} loop only; the other follows "
                "from queueing theory."
            )
    stable = swept["stable"].to_numpy().mean(axis=0)
    past = (stable < 0.5).all(axis=0)
    if past.any():
        first = float(swept["load"].to_numpy()[np.argmax(past)])
        sentences.append(
            f"From {first:.3g} {swept.attrs['load_units']} on no alternative has a steady state."
        )
    if np.any(prepared.conditions.cap > LARGEST_GRID) and np.isfinite(prepared.conditions.cap).any():
        sentences.append(f"Caps above {LARGEST_GRID} running requests are not told apart.")
    return sentences


def _prior_only(posterior: Posterior, new: set[str]) -> list[str]:
    sentences = []
    for name, (matters, table, key, words) in PRIOR_ONLY.items():
        prior = posterior.spec.priors.get(table, {}).get(key)
        if matters not in new or prior is None or name not in posterior.tree["posterior"]:
            continue
        if np.std(posterior.draws(name)) > UNINFORMED * float(prior):
            sentences.append(words)
    return sentences
