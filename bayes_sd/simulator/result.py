"""What a simulated run measured, as arrays, as a row of a measurement table, and request by request."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.measurements.loads import SATURATED_BELOW
from bayes_sd.measurements.schema import GAMMA
from bayes_sd.simulator.spec import LoadSpec, ServerSpec
from bayes_sd.simulator.statistics import batch_means_error

if TYPE_CHECKING:
    import pandas as pd

MEASURED_BY = "bayes_sd simulate"


@dataclass(frozen=True)
class SimulationResult:
    """Measured requests of a run, in order of arrival, and averages over the run.

    Attributes
    ----------
    server, load, seed
        What was simulated.
    arrival_s, admitted_s, first_token_s, departure_s : array, shape (request,)
        When a request came, took its place, had its first output token, and was done [s].
    prompt_tokens, output_tokens : int array, shape (request,)
        Lengths [tokens].
    n_cycles : int array, shape (request,)
        Draft-verify cycles.
    accepted_per_position : int array, shape (k,)
        How often each draft position was accepted, the surplus of last cycles included, as engines count.
    n_drafted : int
        Draft positions that were verified, over all measured requests.
    in_flight_share, running_share : array, shape (batch, state)
        Share of time with 0, 1, 2, ... requests present, and with as many running, over consecutive batches.
    duration_s : float
        Length of the window measured, from the first measured arrival to the first arrival after the
        measured [s].
    n_completed : int
        Requests completed in that window, whichever they were.
    mean_coverage : float
        Mean share of experts that a step with decoding requests read; NaN without experts.
    mean_decoding : float
        Mean requests decoding in such a step.
    kind : int array, shape (request,)
        Class of each request, 0 where the server has no classes.
    """

    server: ServerSpec
    load: LoadSpec
    seed: int
    arrival_s: np.ndarray
    admitted_s: np.ndarray
    first_token_s: np.ndarray
    departure_s: np.ndarray
    prompt_tokens: np.ndarray
    output_tokens: np.ndarray
    n_cycles: np.ndarray
    accepted_per_position: np.ndarray
    n_drafted: int
    in_flight_share: np.ndarray
    running_share: np.ndarray
    duration_s: float
    n_completed: int
    mean_coverage: float
    mean_decoding: float
    kind: np.ndarray

    @property
    def latency_s(self) -> np.ndarray:
        """End-to-end latency of each request [s]."""
        return self.departure_s - self.arrival_s

    @property
    def mean_latency_error_s(self) -> float:
        """Monte Carlo standard error of the mean latency [s]."""
        return batch_means_error(self.latency_s)

    @property
    def time_to_first_token_s(self) -> np.ndarray:
        """Time to the first token of each request [s]."""
        return self.first_token_s - self.arrival_s

    @property
    def time_per_output_token_s(self) -> np.ndarray:
        """Time per further token of each request that has more than one [s]."""
        several = self.output_tokens > 1
        return (self.departure_s - self.first_token_s)[several] / (self.output_tokens[several] - 1)

    @property
    def mean_committed(self) -> float:
        """Tokens committed per cycle before the last cycle's surplus is cut off, E; NaN without a cycle."""
        cycles = self.n_cycles.sum()
        return float(1.0 + self.accepted_per_position.sum() / cycles) if cycles else float("nan")

    @property
    def saturated(self) -> bool:
        """Whether the engine did not keep up with an open loop."""
        # The rule that leaves such rows out of a fit, less the chance of a short run.
        slack = 3.0 / np.sqrt(max(self.n_completed, 1))
        rate = self.n_completed / self.duration_s
        return not self.load.clients and bool(rate < (SATURATED_BELOW - slack) * self.load.value)

    def row(self) -> dict[str, object]:
        """Give the run as a row of a measurement table.

        Returns
        -------
        dict
            Columns of :data:`bayes_sd.measurements.schema.COLUMNS`; what does not apply is left out.
        """
        latency = self.latency_s
        p50, p95, p99 = np.quantile(latency, (0.5, 0.95, 0.99))
        row = self._condition_columns() | {
            "achieved_rps": self.n_completed / self.duration_s,
            "mean_e2e_s": latency.mean(),
            "p50_e2e_s": p50,
            "p95_e2e_s": p95,
            "p99_e2e_s": p99,
            "mean_ttft_ms": 1e3 * self.time_to_first_token_s.mean(),
            "n_requests": len(latency),
            "repeat": str(self.seed),
            "mean_running": _mean_state(self.running_share),
            "duration_s": self.duration_s,
            "measured_by": MEASURED_BY,
        }
        row["output_tok_per_s"] = float(row["achieved_rps"]) * self.output_tokens.mean()  # type: ignore[arg-type]
        if np.any(self.output_tokens > 1):
            row["mean_tpot_ms"] = 1e3 * self.time_per_output_token_s.mean()
        row |= self._speculation_columns()
        # Plain numbers, so that a row can be printed or written as JSON as it is.
        return {name: value.item() if isinstance(value, np.generic) else value for name, value in row.items()}

    def requests(self) -> pd.DataFrame:
        """Give the measured requests one by one.

        Returns
        -------
        DataFrame
            One row a request: load, number, lengths [tokens], times [s], latency [s], cycles.
        """
        import pandas as pd

        return pd.DataFrame(
            {
                "load_kind": "concurrency" if self.load.clients else "rate",
                "load_value": self.load.value,
                "request": np.arange(len(self.arrival_s)),
                "prompt_tokens": self.prompt_tokens,
                "output_tokens": self.output_tokens,
                "arrival_s": self.arrival_s - self.arrival_s[0],
                "wait_s": self.admitted_s - self.arrival_s,
                "ttft_s": self.time_to_first_token_s,
                "e2e_s": self.latency_s,
                "cycles": self.n_cycles,
            }
        )

    def _condition_columns(self) -> dict[str, object]:
        server, load = self.server, self.load
        row: dict[str, object] = {
            "source": "simulation",
            "hardware": "simulated",
            "verifier": "simulated",
            "method": "draft_model" if server.draft_length else "none",
        }
        row.update(server.labels)
        if server.draft_length:
            row["k"] = server.draft_length
        if server.experts is not None:
            row |= {"is_moe": 1, "n_experts": server.experts.total, "top_k_experts": server.experts.active}
        row |= {
            "prompt_tokens": self.prompt_tokens.mean(),
            "output_tokens": self.output_tokens.mean(),
            "output_tokens_std": self.output_tokens.std(),
            "load_kind": "concurrency" if load.clients else "rate",
            "load_value": load.value,
        }
        if not load.clients:
            row["arrivals"] = load.protocol if load.gap_shape == 1.0 else f"{GAMMA} {load.gap_shape:g}"
        if server.n_max is not None:
            row["max_num_seqs"] = server.n_max
        return row

    def _speculation_columns(self) -> dict[str, object]:
        k, cycles = self.server.draft_length, int(self.n_cycles.sum())
        if not k or not cycles:
            return {}
        accepted = int(self.accepted_per_position.sum())
        return {
            "acceptance": accepted / max(self.n_drafted, 1),
            "mean_accepted_len": self.mean_committed,
            "n_drafts": cycles,
            "n_draft_tokens": self.n_drafted,
            "n_accepted_tokens": accepted,
            "accepted_per_position": json.dumps([int(n) for n in self.accepted_per_position]),
        }


def _mean_state(share: np.ndarray) -> float:
    return float(share.mean(axis=0) @ np.arange(share.shape[1]))
