"""Puts benchmark files together whose answers are known."""

SERVED_MODEL = "meta-llama/Llama-3.1-8B-Instruct"


def guidellm_request(
    start_s, latency_s, *, prompt=100, output=51, ttft_ms=100.0, status="completed", spec=None
):
    """One request as GuideLLM 0.8 writes it, cut down to a few members of each kind."""
    done = status == "completed"
    timings = {
        "targeted_start": start_s,
        "resolve_start": start_s,
        "request_start": start_s,
        "first_token_iteration": start_s + ttft_ms / 1000 if done else None,
        "token_iterations": output if done else 0,
        "request_end": start_s + latency_s if done else None,
        "resolve_end": start_s + latency_s,
    }
    return {
        "type_": "generative_request_stats",
        "request_id": f"r{start_s}",
        "request_args": '{"prompt": "say {\\"type_\\": \\"generative_request_stats\\"} [ ] } \\\\"}}',
        "output": 'a }, {\n ] " quoted\\' if done else "",
        "info": {"status": status, "timings": timings},
        "input_metrics": {"text_tokens": prompt, "total_tokens": prompt},
        "response_metrics": {"speculative_decoding": spec} if spec else None,
        "request_start_time": start_s,
        "request_end_time": start_s + latency_s,
        "request_latency": latency_s if done else None,
        "prompt_tokens": prompt,
        "output_tokens": output if done else None,
        "time_to_first_token_ms": ttft_ms if done else None,
    }


def distribution(mean):
    successful = {
        "mean": mean,
        "median": mean,
        "std_dev": 0.0,
        "count": 1,
        "percentiles": {"p95": mean, "p99": mean},
    }
    return {"successful": successful, "errored": None, "incomplete": None, "total": successful}


def guidellm_benchmark(successful, incomplete=(), errored=(), *, strategy=None, duration=None, sampled=None):
    """A benchmark whose summary GuideLLM would compute from the successful requests alone."""
    count = len(successful)
    duration = duration or max([r["request_end_time"] for r in successful], default=1.0)
    latency = sum(r["request_latency"] for r in successful) / count if count else 0.0
    metrics = {
        "request_totals": {"successful": count, "errored": len(errored), "incomplete": len(incomplete)},
        "requests_per_second": distribution(count / duration),
        "request_concurrency": distribution(count * latency / duration),
        "request_latency": distribution(latency),
        "time_to_first_token_ms": distribution(100.0),
        # GuideLLM spreads the first token's time over all of them.
        "time_per_output_token_ms": distribution(1000 * latency / 51),
        "inter_token_latency_ms": distribution(1000 * (latency - 0.1) / 50),
        "prompt_token_count": distribution(100.0),
        "output_token_count": distribution(51.0),
    }
    return {
        "type_": "generative_benchmark",
        "config": {
            "strategy": strategy or {"type_": "constant", "rate": 1.0, "max_concurrency": 512},
            "backend": {"kind": "openai_http", "model": "Llama-3.1-8B-Instruct"},
            "sample_size": sampled,
        },
        "metrics": metrics,
        "requests": {
            "successful": list(successful)[: sampled or count],
            "errored": list(errored),
            "incomplete": list(incomplete),
        },
        "start_time": 0.0,
        "end_time": duration,
        "duration": duration,
    }


def guidellm_report(*benchmarks):
    return {
        "metadata": {"version": 2, "guidellm_version": "0.8.1"},
        "config": {"spec": {"profile": {"kind": "constant"}}},
        "benchmarks": list(benchmarks),
    }


def steady(count=40, gap_s=1.0, latency_s=2.1, **more):
    return [guidellm_request(i * gap_s, latency_s, **more) for i in range(count)]


def vllm_result(**changes):
    """A result of `vllm bench serve --save-result`, 40 requests of 2.1 s at one a second."""
    result = {
        "date": "20260101-120000",
        "endpoint_type": "openai",
        "backend": "openai",
        "label": None,
        "model_id": SERVED_MODEL,
        "tokenizer_id": "meta-llama/Llama-3.1-8B-Instruct",
        "num_prompts": 40,
        "request_rate": 1.0,
        "burstiness": 1.0,
        "max_concurrency": None,
        "duration": 42.0,
        "completed": 40,
        "failed": 0,
        "total_input_tokens": 4000,
        "total_output_tokens": 2040,
        "request_throughput": 40 / 42,
        "output_throughput": 2040 / 42,
        "mean_ttft_ms": 100.0,
        "mean_tpot_ms": 40.0,
        "mean_itl_ms": 40.0,
        "mean_e2el_ms": 2100.0,
        "median_e2el_ms": 2100.0,
        "p95_e2el_ms": 2200.0,
        "p99_e2el_ms": 2300.0,
    }
    return {key: value for key, value in {**result, **changes}.items() if value is not ...}


SPECULATION = {
    "spec_decode_acceptance_rate": 62.5,
    "spec_decode_acceptance_length": 2.25,
    "spec_decode_num_drafts": 800,
    "spec_decode_draft_tokens": 1600,
    "spec_decode_accepted_tokens": 1000,
    "spec_decode_per_position_acceptance_rates": [0.75, 0.5],
}
"""800 cycles with k = 2: 600 accepted at the first position and 400 at the second."""

DETAILS = {
    "input_lens": [100] * 40,
    "output_lens": [51] * 40,
    "ttfts": [0.1] * 40,
    "itls": [[0.04] * 50] * 40,
    "latencies": [2.1] * 40,
    "start_times": [1000.0 + i for i in range(40)],
    "generated_texts": ['he said "] }, {" \\'] * 40,
    "errors": [""] * 40,
}


def inferencex_csv(rows, unit="s", chips="Chip", drop=()):
    """An export as the dashboard writes it: remarks, header, rows of a dict each."""
    times = [f"{s} {m} ({unit})" for m in ("TTFT", "TPOT", "E2E Latency") for s in ("Mean", "Median", "P99")]
    names = [
        *(
            "Model",
            "ISL",
            "OSL",
            "Hardware",
            "Hardware Key",
            "Framework",
            "Precision",
            "TP",
            "Concurrency",
            "Date",
        ),
        *(f"{kind}Throughput/{chips} (tok/s)" for kind in ("", "Output ", "Input ")),
        *times,
        *("Mean Interactivity (tok/s/user)", "Median Interactivity (tok/s/user)"),
        *(
            "Disaggregated",
            f"Num Prefill {chips}s",
            f"Num Decode {chips}s",
            "Spec Decoding",
            "EP",
            "DP Attention",
        ),
    ]
    names = [name for name in names if name not in drop]
    lines = ["# Licensed under Apache License 2.0", ",".join(names)]
    for row in rows:
        lines.append(",".join(str(row.get(name.replace(f"({unit})", "(s)"), "")) for name in names))
    return "\n".join(lines)


def inferencex_row(clients=8, **changes):
    """8 clients, 4 chips; 900 + 450 tokens a request (nominal 1000/500), 0.5 s and 449 tokens of 10 ms."""
    latency = 0.5 + 449 * 0.010
    rate = clients / latency
    row = {
        "Model": "Llama-3.3-70B-Instruct",
        "ISL": 1000,
        "OSL": 500,
        "Hardware": "b200",
        "Hardware Key": "b200_vllm",
        "Framework": "vllm",
        "Precision": "fp8",
        "TP": 4,
        "Concurrency": clients,
        "Date": "2026-09-01",
        "Throughput/Chip (tok/s)": rate * 1350 / 4,
        "Output Throughput/Chip (tok/s)": rate * 450 / 4,
        "Input Throughput/Chip (tok/s)": rate * 900 / 4,
        "Mean TTFT (s)": 0.5,
        "Mean TPOT (s)": 0.010,
        "Mean E2E Latency (s)": latency,
        "Median E2E Latency (s)": latency,
        "P99 E2E Latency (s)": latency * 1.2,
        "Mean Interactivity (tok/s/user)": 100,
        "Disaggregated": "false",
        "Spec Decoding": "none",
    }
    return {**row, **changes}
