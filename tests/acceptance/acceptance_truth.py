"""Known curves, and counts drawn from them."""

import numpy as np
import pandas as pd

from bayes_sd.acceptance.fields import COUNT_FIELDS

K = 8
COUNTED = 5
DRAFTS = 20_000
PHI = 2_000.0
PROFILE = {
    "eagle3": np.array([0.0, -0.1, -0.25, -0.35, -0.4, -0.5, -0.55, -0.6]),
    "ngram": np.array([0.0, 3.0, 3.2, 3.3, 3.5, 3.6, 3.6, 3.7]),
}
LEVEL = {"eagle3": 1.1, "ngram": -1.8}
SLOPE_SD = 0.1


def true_curves(seed=11, workloads=5):
    """Draw workloads from the model: conditional acceptance by position, (method, workload) -> (K,).

    Each position's own rate scatters round the workload's curve by the Beta of the beta-binomial.
    """
    rng = np.random.default_rng(seed)
    found = {}
    for method in PROFILE:
        for w in range(workloads):
            first, slope = LEVEL[method] + 0.3 * rng.normal(), SLOPE_SD * rng.normal()
            odds = first + PROFILE[method] + slope * np.log2(np.arange(1, K + 1))
            smooth = 1.0 / (1.0 + np.exp(-odds))
            found[method, f"w{w}"] = rng.beta(smooth * PHI, (1.0 - smooth) * PHI)
    return found


def counts_of(curves, positions, seed=12):
    """Draw counts of chains, as long as `positions` says."""
    rng = np.random.default_rng(seed)
    records = []
    for (method, workload), alpha in curves.items():
        reached, chain = DRAFTS, positions[method, workload]
        for j in range(chain):
            accepted = int(rng.binomial(reached, alpha[j]))
            records.append(["V", method, "", workload, "simulated", chain, j + 1, reached, accepted])
            reached = accepted
    return pd.DataFrame(records, columns=list(COUNT_FIELDS))
