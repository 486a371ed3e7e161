"""Write the benchmark files of the tutorial: ``vllm bench serve --save-result`` as a simulated server would have been measured.

The server is made up, so that anyone can follow the tutorial without a GPU; its costs stand here. Run ``uv run python
docs/examples/make.py`` to write the files again: the same seed gives the same files.
"""

import json
from pathlib import Path

import numpy as np

import bayes_sd as sd

HERE = Path(__file__).parent / "vllm"
COSTS = {
    "prefill_fixed_s": 0.006,
    "prefill_token_s": 4.5e-5,
    "verify_fixed_s": 0.0072,
    "verify_expert_s": 0.0,
    "sequence_s": 1.6e-5,
    "token_s": 2.4e-5,
    "kv_token_s": 4.0e-8,
}
DRAFTING = {"draft_fixed_s": 7.0e-4, "draft_token_s": 3.0e-6, "draft_extra_steps": 1.2}
ACCEPTANCE = (0.74, 0.66, 0.60)
CLIENTS, RATES, REQUESTS = (1, 4, 16, 64), (4.0, 8.0), 400


def server(speculates: bool) -> sd.ServerSpec:
    """The server with or without its drafter."""
    drafting = DRAFTING if speculates else dict.fromkeys(DRAFTING, 0.0)
    return sd.ServerSpec(
        costs=sd.StageCosts(**COSTS, **drafting),
        prompt=sd.TokenLaw(512, 160),
        output=sd.TokenLaw(256, 90),
        acceptance=ACCEPTANCE if speculates else (),
        n_max=256,
    )


def result(run, speculates: bool) -> dict:
    """What vLLM's benchmark would have saved of a run."""
    latency, first = 1e3 * run.latency_s, 1e3 * run.time_to_first_token_s
    done, duration = len(latency), float(run.duration_s)
    closed = run.load.protocol == "closed"
    saved = {
        "date": "20261127-120000",
        "backend": "vllm",
        "model_id": "meta-llama/Llama-3.1-8B-Instruct",
        "num_prompts": done,
        "request_rate": "inf" if closed else run.load.value,
        "burstiness": 1.0,
        "max_concurrency": int(run.load.value) if closed else None,
        "duration": duration,
        "completed": done,
        "failed": 0,
        "total_input_tokens": int(run.prompt_tokens.sum()),
        "total_output_tokens": int(run.output_tokens.sum()),
        "request_throughput": run.n_completed / duration,
        "mean_ttft_ms": float(first.mean()),
        "mean_tpot_ms": float(1e3 * run.time_per_output_token_s.mean()),
        "mean_e2el_ms": float(latency.mean()),
        "median_e2el_ms": float(np.median(latency)),
        "p95_e2el_ms": float(np.quantile(latency, 0.95)),
        "p99_e2el_ms": float(np.quantile(latency, 0.99)),
    }
    if speculates:
        cycles, accepted = int(run.n_cycles.sum()), run.accepted_per_position
        saved |= {
            "spec_decode_num_drafts": cycles,
            "spec_decode_draft_tokens": cycles * len(accepted),
            "spec_decode_accepted_tokens": int(accepted.sum()),
            "spec_decode_per_position_acceptance_rates": [float(a) / cycles for a in accepted],
        }
    return saved


def main() -> None:
    """Simulate every load of both servers."""
    for speculates in (False, True):
        name = "eagle3" if speculates else "plain"
        loads = [("closed", float(n)) for n in CLIENTS] + [("poisson", rate) for rate in RATES]
        for seed, (protocol, value) in enumerate(loads):
            n = max(REQUESTS // 4, 40) if value == 1 else REQUESTS
            run = sd.simulate_server(server(speculates), sd.LoadSpec(protocol, value, n), seed)
            path = HERE / name / f"{protocol}-{value:g}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(result(run, speculates), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
