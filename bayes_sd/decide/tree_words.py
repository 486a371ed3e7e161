"""What a comparison of trees says, in sentences, and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

UNIT = {"rate": "requests/s", "in-flight": "in flight", "utilisation": "of the plain server's limit"}


def tree_words(result: xr.Dataset) -> list[str]:
    """Say which tree to take at which load, and what trees gain over chains.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.trees.best_trees`.

    Returns
    -------
    list of str
    """
    chosen, loads = result["chosen"].to_numpy(), result["load"].to_numpy()
    steady = np.flatnonzero(chosen >= 0)
    if not steady.size:
        return ["No load has a steady state: lower the loads."]
    unit = UNIT[result.attrs["load_axis"]]
    names = [str(n) for n in result["alternative"].to_numpy()]
    wide = [i for i in steady if int(result["top_k"][int(chosen[i])]) > 1]
    if not wide:
        first = names[int(chosen[steady[0]])]
        return [
            f"Trees do not pay at any of these loads: take a chain ({first} at {loads[steady[0]]:.3g} {unit})."
        ]
    light, last = wide[0], wide[-1]
    said = f"Draft a tree of {names[int(chosen[light])]}, at {loads[light]:.3g} {unit}"
    if last != light:
        said += f", and of {names[int(chosen[last])]}, at {loads[last]:.3g}"
    after = [i for i in steady if i > last]
    said += f"; above {loads[last]:.3g} a chain or nothing" if after else ""
    gain = result["gain_band"].to_numpy()[:, light] - 1.0
    sure = float(result["p_faster"][light])
    return [
        f"{said}.",
        f"At {loads[light]:.3g} {unit} the tree is {gain[1]:+.1%} [{gain[0]:+.1%}, {gain[2]:+.1%}] faster than the best chain "
        f"({names[int(result['chosen_chain'][light])]}), with probability {sure:.0%}.",
    ]


def tree_table(result: xr.Dataset) -> pd.DataFrame:
    """Give the tree of each load as a table.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.trees.best_trees`.

    Returns
    -------
    DataFrame
        One row a load: ``load``, ``choice``, ``verify_tokens``, ``depth``, ``top_k``, ``expanded``, ``committed``,
        ``latency_lower_s, _median_s, _upper_s``, ``p_best``, ``relative_regret``, ``chain`` (the best chain), ``gain_lower, _median,
        _upper`` (its latency over the tree's), ``p_faster``, ``tree`` (paths by rank). Loads without a steady state have no choice.
    """
    import pandas as pd

    rows = []
    for i, load in enumerate(result["load"].to_numpy()):
        own = int(result["chosen"][i])
        if own < 0:
            rows.append({"load": load, "choice": ""})
            continue
        one = result.isel(alternative=own, load=i)
        band, gain = one["latency_band"].to_numpy(), result["gain_band"].to_numpy()[:, i]
        rows.append(
            {
                "load": load,
                "choice": str(one["alternative"].item()),
                **{name: int(one[name]) for name in ("verify_tokens", "depth", "top_k", "expanded")},
                "committed": float(one["committed_mean"]),
                **dict(zip(("latency_lower_s", "latency_median_s", "latency_upper_s"), band, strict=True)),
                "p_best": float(one["p_best"]),
                "relative_regret": float(one["relative_regret"]),
                "chain": str(result["alternative"].to_numpy()[int(result["chosen_chain"][i])]),
                **dict(zip(("gain_lower", "gain_median", "gain_upper"), gain, strict=True)),
                "p_faster": float(result["p_faster"][i]),
                "tree": str(one["tree"].item()),
            }
        )
    return pd.DataFrame(rows)
