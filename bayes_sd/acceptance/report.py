"""What the acceptance command prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.acceptance.posterior import AcceptancePosterior


def acceptance_report(
    posterior: AcceptancePosterior, table: pd.DataFrame, path: str | Path, ci: float
) -> str:
    """Write the fit's summary for people.

    Parameters
    ----------
    posterior : AcceptancePosterior
    table : DataFrame
        As :func:`bayes_sd.acceptance.summary.acceptance_table` gives it.
    path : path
        Where the fit was saved.
    ci : float
        Probability of the intervals in `table`.

    Returns
    -------
    str
    """
    lengths = [int(c[2:]) for c in table.columns if c.startswith("E_") and c.count("_") == 1]
    gate = posterior.about["gate"]
    data = posterior.data
    lines = [
        f"{path}: {len(data.counts)} counts and {len(data.lengths)} lengths of {len(data.cells)} workloads, "
        f"{len(data.pairs)} pairs",
        f"converged: R-hat {gate['max_rhat']:.3f}, effective sample size "
        f"{min(gate['min_ess_bulk'], gate['min_ess_tail']):.0f}, {gate['divergences']} divergences"
        if posterior.passed
        else f"NOT CONVERGED: {'; '.join(gate['failures'])}",
        "",
        f"alpha_j: acceptance of draft position j given all before it, drafts of {max(lengths)};",
        f"E: tokens committed per cycle at draft length k, {ci:.0%} interval below",
    ]
    for pair, rows in table.groupby("pair", sort=False):
        lines += ["", str(pair)]
        width = max(len(w) for w in rows["workload"]) + 2
        lines.append(" " * width + "  j, k " + "".join(f"{n:>11d}" for n in lengths))
        for _, row in rows.iterrows():
            lines.append(
                f"{row['workload']:<{width}}  alpha" + "".join(f"{row[f'alpha_{n}']:>11.3f}" for n in lengths)
            )
            lines.append(" " * width + "  E    " + "".join(f"{row[f'E_{n}']:>11.2f}" for n in lengths))
            spans = [f"{row[f'E_{n}_low']:.2f}-{row[f'E_{n}_high']:.2f}" for n in lengths]
            lines.append(" " * width + "       " + "".join(f"{s:>11}" for s in spans))
    return "\n".join(lines)
