"""Older formats of posterior files, brought up to the present one: what they did not know is absent from their model.

====== =====================================================================================
format  what it added
====== =====================================================================================
1       the first
2       synthetic text is harder to draft for
3       attention makes long prompts dearer; costs of load have a misfit
4       the terms of the model, the cards and the columns that it was fitted with; acceptance by weights' format
5       versions of engines in time, layouts beside tensor parallelism, kinds of memory, slopes by engine and stack
6       misfits of load have heavy tails, and are kept in units of their scale
====== =====================================================================================
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.errors import TraceError
from bayes_sd.model.names import SEPARATOR
from bayes_sd.model.terms import TERMS

if TYPE_CHECKING:
    import xarray as xr

NONE_LOG = -50.0
"""Logarithm of what a file of an older format takes as nothing."""
NO_ATTENTION = {
    "median": float(np.exp(NONE_LOG)),
    "log_sd": 1.0,
    "words": "Not in the model that was fitted.",
}
NEW_DRAWS = {2: "acceptance_synthetic", 3: "load_misfit"}
"""Format to draws that files have since then, whichever terms a model has since format 4."""
NO_FORMAT_SD = 1e-9
"""Spread of the effect of formats on acceptance in a model that has none [log odds]."""
NO_EFFECT = 1e-12
"""Spread of an effect in a model that has none."""
NORMAL_TAILS = 1e12
"""Degrees of freedom of Student's t that is a normal distribution."""
NEW_IN_5 = ("memory", "version", "parallel", "tp_engine", "tp_stack")
"""Spreads of effects on stage costs that files have since then."""
TERMS_BEFORE_4 = (
    "stages",
    "misfit",
    "acceptance",
    "drafting",
    "cache",
    "experts",
    "kernel",
    "overlap",
    "error",
)
"""Terms of every model that was fitted before files named them."""
Content = tuple["xr.DataTree", dict[str, Any]]


def brought_up(tree: xr.DataTree, about: dict[str, Any], path: str | Path) -> Content:
    """Bring a file's content up to the present format.

    Parameters
    ----------
    tree : DataTree
    about : dict
    path : path
        For the error.

    Returns
    -------
    tree : DataTree
    about : dict

    Raises
    ------
    TraceError
        If the file's model has a term that this version does not.
    KeyError, ValueError
        If the content is not of the format that it says.
    """
    version = about["format_version"]
    _check_format(tree, about)
    if version < 2:
        tree, about = _from_format_1(tree, about)
    if version < 3:
        tree, about = _from_format_2(tree, about)
    if version < 4:
        tree, about = _from_format_3(tree, about)
    if version < 5:
        tree, about = _from_format_4(tree, about)
    if version < 6:
        tree, about = _from_format_5(tree, about)
    unknown = set(about["spec"].get("terms") or ()) - {term.name for term in TERMS}
    if unknown:
        made = about.get("versions", {}).get("bayes_sd", "another")
        raise TraceError(
            f"{path}: format {version}, written by version {made} of bayes_sd, has a model with the term(s) "
            f"{', '.join(sorted(unknown))}, which this version lacks; read it with that version, or fit again"
        )
    return tree, about


def _check_format(tree: xr.DataTree, about: dict[str, Any]) -> None:
    """Raise ValueError if a file holds what its format does not know, or lacks what it has."""
    version, draws = about["format_version"], tree["posterior"]
    if (about["spec"].get("terms") is not None) != (version >= 4):
        raise ValueError(f"a list of terms has no place in format {version}, or is missing from it")
    for since, name in NEW_DRAWS.items():
        if version < 4 and (name in draws) != (version >= since):
            raise ValueError(f"{name} has no place in format {version}, or is missing from it")


def _from_format_1(tree: xr.DataTree, about: dict[str, Any]) -> tuple[xr.DataTree, dict[str, Any]]:
    """Bring a file of format 1 to format 2, which knows that synthetic text is harder to draft for."""
    import xarray as xr

    draws = tree["posterior"].to_dataset()
    draws["acceptance_synthetic"] = 0.0 * draws["acceptance_level"]
    tree = tree.copy()
    tree["posterior"] = xr.DataTree(draws)
    return tree, about | {"format_version": 2}


def _from_format_2(tree: xr.DataTree, about: dict[str, Any]) -> tuple[xr.DataTree, dict[str, Any]]:
    """Bring a file of format 2 to format 3, where attention makes long prompts dearer and costs of load have a misfit."""
    import xarray as xr

    draws, spec = tree["posterior"].to_dataset(), about["spec"]
    names = [*draws["part"].to_numpy(), "prefill_attention"]
    draws = draws.reindex(part=names, fill_value=NONE_LOG)
    none = np.zeros((draws.sizes["chain"], draws.sizes["draw"], 0))
    draws["load_misfit"] = (("chain", "draw", "lengths"), none)
    draws["log_load_misfit_scale"] = xr.full_like(draws["log_misfit_scale"], NONE_LOG)
    tree = tree.copy()
    tree["posterior"] = xr.DataTree(draws)
    priors = spec["priors"] | {"part": spec["priors"]["part"] | {"prefill_attention": NO_ATTENTION}}
    coords = about["coords"] | {"lengths": []}
    return tree, about | {"format_version": 3, "coords": coords, "spec": spec | {"priors": priors}}


def _from_format_3(tree: xr.DataTree, about: dict[str, Any]) -> Content:
    """Bring a file of format 3 to format 4, which names its terms and tells cells of different weights apart."""
    import xarray as xr

    names = about["coords"].get("cell", [])
    formats: dict[str, set[str]] = {}
    for deployment in about["levels"]["deployments"]:
        formats.setdefault(deployment["verifier"], set()).add(deployment["precision"].split(" ")[0])
    copies = []
    for i, name in enumerate(names):
        verifier, drafter, workload = name.split(SEPARATOR, 2)
        for weights in sorted(formats.get(verifier, set())):
            copies.append((i, SEPARATOR.join([verifier, drafter, weights, workload])))
    draws = tree["posterior"].to_dataset()
    if "cell" in draws.dims:
        draws = draws.isel(cell=[i for i, _ in copies]).assign_coords(cell=[name for _, name in copies])
    tree = tree.copy()
    tree["posterior"] = xr.DataTree(draws)
    spec = about["spec"]
    priors = spec["priors"] | {"acceptance": spec["priors"]["acceptance"] | {"format_sd": NO_FORMAT_SD}}
    return tree, about | {
        "format_version": 4,
        "coords": about["coords"] | {"cell": [name for _, name in copies]},
        "spec": spec | {"priors": priors, "terms": list(TERMS_BEFORE_4)},
    }


def _from_format_4(tree: xr.DataTree, about: dict[str, Any]) -> Content:
    """Bring a file of format 4 to format 5: what it did not know has no effect, and hosts are told apart by kind of model."""
    import xarray as xr

    spec = about["spec"]
    priors = dict(spec["priors"])
    priors["spread"] = {
        name: value | dict.fromkeys(NEW_IN_5, NO_EFFECT) | {"deployment_log_sd": 1.0}
        if isinstance(value, dict)
        else value
        for name, value in priors["spread"].items()
    }
    nothing = {"host_mean": 0.0, "host_sd": NO_EFFECT, "mean": 0.0, "sd": NO_EFFECT}
    priors["age"] = {"host": [], **nothing, "words": "Not in the model that was fitted."}
    if "draft" in priors:
        priors["draft"] = priors["draft"] | {"engine_log_sd": NO_EFFECT}
    hosts = about["coords"].get("host", [])
    kinds = [SEPARATOR.join([host, kind]) for host in hosts for kind in ("dense", "routed")]
    draws = tree["posterior"].to_dataset()
    if "host" in draws.dims:
        twice = [i for i in range(len(hosts)) for _ in range(2)]
        draws = draws.isel(host=twice).assign_coords(host=kinds)
        tree = tree.copy()
        tree["posterior"] = xr.DataTree(draws)
    deployments = [
        {"age": {"version": "", "years": 0.0, "known": False}, **d} for d in about["levels"]["deployments"]
    ]
    return tree, about | {
        "format_version": 5,
        "coords": about["coords"] | ({"host": kinds} if hosts else {}),
        "levels": about["levels"] | {"deployments": deployments},
        "spec": spec | {"priors": priors},
    }


def _from_format_5(tree: xr.DataTree, about: dict[str, Any]) -> Content:
    """Bring a file of format 5 to format 6: normal misfits of load, in units of their scale."""
    import xarray as xr

    draws, spec = tree["posterior"].to_dataset(), about["spec"]
    if "load_misfit" in draws:
        draws["load_misfit_raw"] = draws["load_misfit"] / np.exp(draws["log_load_misfit_scale"])
        tree = tree.copy()
        tree["posterior"] = xr.DataTree(draws.drop_vars("load_misfit"))
    misfit = spec["priors"]["misfit"] | {"load_tails": NORMAL_TAILS}
    return tree, about | {"format_version": 6, "spec": spec | {"priors": spec["priors"] | {"misfit": misfit}}}
