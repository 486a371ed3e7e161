"""What a reader of a decision must know about its ground: extrapolation, saturation, and what only the prior says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.latency.queue.curve import LARGEST_GRID

if TYPE_CHECKING:
    import xarray as xr

    from bayes_sd.inference.posterior import Posterior
    from bayes_sd.predict.sweep import Prepared

UNINFORMED = 0.8
"""A parameter whose posterior sd is above this share of its prior's was hardly told by the data."""
PRIOR_ONLY = {
    "acceptance_length_slope": (
        "acceptance",
        "length_slope_sd",
        "How acceptance changes with draft length is hardly told by the data, but by the prior: it varies little in them.",
    ),
    "log_draft_extra_steps": (
        "draft",
        "extra_steps_log_sd",
        "How drafting cost splits into fixed and per-token parts is hardly told by the data: costs at draft lengths other "
        "than the measured ones lean on the prior.",
    ),
    "acceptance_level": (
        "acceptance",
        "logit_sd",
        "The general level of acceptance is hardly told by the data.",
    ),
}
"""Parameter to the table and key of its prior's sd, and what it means that the data did not inform it."""


def caveats(posterior: Posterior, prepared: Prepared, swept: xr.Dataset) -> list[str]:
    """List what matters to a reader of a sweep, one sentence each, the gravest first.

    Parameters
    ----------
    posterior : Posterior
    prepared : Prepared
    swept : Dataset
        From :func:`bayes_sd.predict.sweep.sweep`.

    Returns
    -------
    list of str
    """
    found = [*_new(prepared), *_lengths(posterior, prepared), *_loads(posterior, prepared, swept)]
    speculates = any(a.k > 0 for a in prepared.alternatives)
    return found + (_prior_only(posterior) if speculates else [])


def measured_lengths(posterior: Posterior, pair: str) -> list[int]:
    """List the draft lengths that a pair was measured at, from the names of its shapes."""
    found = set()
    for shape in posterior.names("shape"):
        if shape.startswith(f"{pair} k="):
            found.add(round(float(shape[len(pair) + 3 :].split(" | ")[0])))
    return sorted(found)


def _new(prepared: Prepared) -> list[str]:
    """Say what no measurement stands behind, but for lengths and loads of the sweep itself."""
    words: dict[str, list[str]] = {}
    for name, text in zip(prepared.names, prepared.conditions.extrapolates, strict=True):
        for part in filter(None, text.split("; ")):
            if part not in ("draft length", "load"):
                words.setdefault(part, []).append(name)
    everywhere = len(prepared.alternatives)
    return [
        f"Never measured: {part}" + ("" if len(names) == everywhere else f" (for {_some(names)})") + "."
        for part, names in words.items()
    ]


def _some(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} to {names[-1]}"


def _lengths(posterior: Posterior, prepared: Prepared) -> list[str]:
    found = []
    for pair in dict.fromkeys(p for p in prepared.conditions.pair if p):
        asked = {
            a.k for a, p in zip(prepared.alternatives, prepared.conditions.pair, strict=True) if p == pair
        }
        known = measured_lengths(posterior, pair)
        if known and asked - set(known):
            drafter = pair.rsplit(" | ", 1)[-1]
            measured = ", ".join(f"k={k}" for k in known)
            found.append(
                f"{drafter} was measured on this deployment at {measured} only: other draft lengths follow from the model."
            )
    return found


def _loads(posterior: Posterior, prepared: Prepared, swept: xr.Dataset) -> list[str]:
    found = []
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
                found.append(
                    f"Loads above {measured['load'][1]:g} {unit} were never measured on this deployment."
                )
        else:
            kind = "closed" if open_loop else "open"
            found.append(
                f"This deployment was measured as {'an' if kind == 'open' else 'a'} {kind} loop only; the other follows "
                "from queueing theory."
            )
    stable = swept["stable"].to_numpy().mean(axis=0)
    past = (stable < 0.5).all(axis=0)
    if past.any():
        first = float(swept["load"].to_numpy()[np.argmax(past)])
        found.append(f"From {first:.3g} {swept.attrs['load_units']} on no alternative has a steady state.")
    if np.any(prepared.conditions.cap > LARGEST_GRID) and np.isfinite(prepared.conditions.cap).any():
        found.append(f"Caps above {LARGEST_GRID} running requests are not told apart.")
    return found


def _prior_only(posterior: Posterior) -> list[str]:
    found = []
    for name, (table, key, words) in PRIOR_ONLY.items():
        prior = posterior.spec.priors.get(table, {}).get(key)
        if prior is None or name not in posterior.tree["posterior"]:
            continue
        if np.std(posterior.draws(name)) > UNINFORMED * float(prior):
            found.append(words)
    return found
