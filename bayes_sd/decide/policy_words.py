"""What a comparison of policies says, in sentences and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.decide.against import WORTH_MORE
from bayes_sd.decide.tree_words import UNIT

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def policy_words(result: xr.Dataset) -> list[str]:
    """Say whether any policy is worth more than a fixed draft length, and where.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.policies.compare_policies`.

    Returns
    -------
    list of str
    """
    chosen = result["chosen"].to_numpy()
    steady = np.flatnonzero(chosen >= 0)
    if not steady.size:
        return ["No load has a steady state: lower the loads."]
    better = [
        int(i)
        for i in steady
        if str(result["kind"].to_numpy()[chosen[i]]) in ("table", "classes", "confidence")
    ]
    if not better:
        return [
            _whole(result, steady),
            "At no single load is a policy better than the best fixed length there.",
        ]
    gain = np.nan_to_num(result["gain_band"].to_numpy()[1], posinf=1.0)
    return [_whole(result, steady), _said(result, max(better, key=lambda i: gain[i]))]


def _whole(result: xr.Dataset, steady: np.ndarray) -> str:
    """Say which policy gives away least over all loads, and what the best single draft length does."""
    names = result["alternative"].to_numpy().astype(str)
    fixed = np.isin(result["kind"].to_numpy(), ("fixed", "none"))
    lost = result["relative_regret"].to_numpy()[:, steady].mean(axis=1)
    single = int(np.where(fixed, lost, np.inf).argmin())
    best = int(lost.argmin())
    if lost[best] >= lost[single] - WORTH_MORE:
        kept = f"Keep one choice, {names[single]}"
        return f"{kept}: over these loads no policy gives away less of the speed than its {lost[single]:.1%}."
    return (
        f"Draft {_called(names[best])}: over these loads that gives away {lost[best]:.1%} of the attainable speed on average, the "
        f"best single choice ({names[single]}) {lost[single]:.1%}."
    )


def _called(name: str) -> str:
    return f"with {name}" if name.startswith("k") else name


def _said(result: xr.Dataset, i: int) -> str:
    names, chosen = result["alternative"].to_numpy().astype(str), int(result["chosen"][i])
    fixed, unit = int(result["best_fixed"][i]), UNIT[result.attrs["load_axis"]]
    low, middle, high = result["gain_band"].to_numpy()[:, i] - 1.0
    flight, load = result["in_flight_mean"].to_numpy()[:, i], float(result["load"].to_numpy()[i])
    return (
        f"Of single loads a policy gains most at {load:.3g} {unit}: drafting {_called(names[chosen])} is "
        f"{middle:+.1%} [{low:+.1%}, {high:+.1%}] faster than the best fixed length there ({names[fixed]}), with probability "
        f"{float(result['p_faster'][i]):.0%}, and has {flight[chosen]:.3g} requests in flight where that has {flight[fixed]:.3g}."
    )


def policy_table(result: xr.Dataset) -> pd.DataFrame:
    """Give a comparison of policies as a table, one row a load and policy.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.policies.compare_policies`.

    Returns
    -------
    DataFrame
        ``load``, ``rate_rps``, ``policy``, ``kind``, ``latency_lower_s, _median_s, _upper_s``, ``in_flight`` (mean), ``p_best``,
        ``relative_regret``, ``p_stable``, ``chosen``, ``best_fixed`` (whether it is that one); and of the chosen one ``gain_lower,
        _median, _upper`` and ``p_faster``.
    """
    import pandas as pd

    frames = []
    for i, load in enumerate(result["load"].to_numpy()):
        one = result.isel(load=i)
        band, number = one["latency_band"].to_numpy(), np.arange(result.sizes["alternative"])
        chosen = number == int(one["chosen"])
        gain = np.where(chosen, one["gain_band"].to_numpy()[:, None], np.nan)
        frames.append(
            pd.DataFrame(
                {
                    "load": load,
                    "rate_rps": float(one["rate_rps"]),
                    "policy": one["alternative"].to_numpy().astype(str),
                    "kind": one["kind"].to_numpy().astype(str),
                    "latency_lower_s": band[0],
                    "latency_median_s": band[1],
                    "latency_upper_s": band[2],
                    "in_flight": one["in_flight_mean"].to_numpy(),
                    "p_best": one["p_best"].to_numpy(),
                    "relative_regret": one["relative_regret"].to_numpy(),
                    "p_stable": one["p_stable"].to_numpy(),
                    "chosen": chosen,
                    "best_fixed": number == int(one["best_fixed"]),
                    "gain_lower": gain[0],
                    "gain_median": gain[1],
                    "gain_upper": gain[2],
                    "p_faster": np.where(chosen, float(one["p_faster"]), np.nan),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)
