"""A fit's workloads as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.acceptance.predict import Workload, position_acceptance

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.acceptance.posterior import AcceptancePosterior


def acceptance_table(posterior: AcceptancePosterior, k: Any = range(1, 9), ci: float = 0.9) -> pd.DataFrame:
    """Summarise every cell: acceptance by position and tokens per cycle by draft length.

    Parameters
    ----------
    posterior : AcceptancePosterior
    k : sequence of int
        Draft lengths.
    ci : float
        Probability of the intervals.

    Returns
    -------
    DataFrame
        ``pair, workload, method``, medians ``alpha_1 ...`` (of drafts of the longest length), and ``E_k, E_k_low, E_k_high``.
    """
    import pandas as pd

    lengths = [int(n) for n in k]
    tail = (1.0 - ci) / 2.0
    records = []
    for workload in measured_workloads(posterior):
        curves = position_acceptance(posterior, workload, max(lengths))
        record: dict[str, Any] = {
            "pair": workload.pair,
            "workload": workload.dataset,
            "method": workload.method,
        }
        alpha = np.median(curves.at_draft_length(max(lengths)), axis=0)
        record |= {f"alpha_{j}": a for j, a in enumerate(alpha, 1)}
        low, middle, high = np.quantile(curves.committed(lengths), [tail, 0.5, 1.0 - tail], axis=0)
        for n, a, b, c in zip(lengths, middle, low, high, strict=True):
            record |= {f"E_{n}": a, f"E_{n}_low": b, f"E_{n}_high": c}
        records.append(record)
    return pd.DataFrame(records)


def measured_workloads(posterior: AcceptancePosterior) -> list[Workload]:
    """List the workloads of a fit, in the order of its cells."""
    import pandas as pd

    data = posterior.data
    columns = ["verifier", "method", "drafter", "dataset"]
    rows: list[Any] = list(
        pd.concat([data.counts[columns], data.lengths[columns]]).drop_duplicates().itertuples(index=False)
    )
    return [Workload(r.verifier, r.method, r.dataset, r.drafter) for r in rows]
