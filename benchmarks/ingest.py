"""Speed and memory of `ingest` on large benchmark files, beside json.load and orjson.loads on the same files.

    uv run python benchmarks/ingest.py [--mb 200] [--prompt-words 200] [--repeats 3] [--json OUT.json]

Writes a GuideLLM-like report and a detailed `vllm bench serve`-like result of the size asked for into a
temporary folder, and reads each in a fresh process: wall and CPU time of the reading
call (imports not counted) and peak resident memory of the process.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

WORDS = (
    "model",
    "token",
    "latency",
    "the",
    "of",
    "server",
    "draft",
    "accept",
    "\\u00e9t\\u00e9",
    "queue",
    '\\"x\\"',
    "\\n",
)
META = {
    "hardware": "cpu",
    "tp": 1,
    "engine": "vllm",
    "verifier": "m",
    "precision": "bf16",
    "method": "draft_model",
    "drafter": "d",
    "k": 4,
}


def text(rng: random.Random, words: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(words))


def guidellm_request(rng: random.Random, index: int, prompt_words: int) -> str:
    start = 1.7e9 + index * 0.1
    latency = rng.uniform(1.0, 2.0)
    modal = ",".join(
        f'"{kind}_{what}":null'
        for kind in ("image", "video", "audio")
        for what in ("tokens", "bytes", "seconds")
    )
    usage = (
        f'{{"text_tokens":32,"text_words":{prompt_words},"text_characters":160,{modal},"total_tokens":32}}'
    )
    return (
        f'{{"type_": "generative_request_stats","request_id":"{rng.getrandbits(128):032x}",'
        f'"request_args":"{{\\"body\\":{{\\"prompt\\":\\"{text(rng, prompt_words)}\\"}}}}","output":"{
            text(rng, prompt_words)
        }",'
        f'"info":{{"status":"completed","timings":{{"targeted_start":{start},"queued":{
            start - 3
        },"resolve_start":{start},'
        f'"request_start":{start},"first_token_iteration":{start + 0.3},"last_token_iteration":{
            start + latency
        },'
        f'"token_iterations":10,"request_end":{start + latency},"resolve_end":{start + latency}}}}},'
        f'"input_metrics":{usage},"response_metrics":null,"output_metrics":{usage},'
        f'"request_start_time":{start},"request_end_time":{start + latency},"request_latency":{latency},'
        f'"prompt_tokens":32,"output_tokens":32,"time_to_first_token_ms":300.0}}'
    )


def write_guidellm(path: Path, size: int, prompt_words: int) -> None:
    rng = random.Random(1)
    count = 0
    with path.open("w") as out:
        out.write(
            '{"metadata":{"version":2,"guidellm_version":"0.8.1"},"benchmarks":[{"requests":{"successful":['
        )
        while out.tell() < size:
            out.write(("," if count else "") + guidellm_request(rng, count, prompt_words))
            count += 1
        out.write(
            '],"incomplete":[],"errored":[]},"config":{"strategy":{"type_":"poisson","rate":10.0},"backend":{"model":"m"}},'
            f'"metrics":{{"request_totals":{{"successful":{count},"errored":0,"incomplete":0}}}},"duration":{
                count * 0.1
            }}}]}}'
        )


def write_vllm(path: Path, size: int, prompt_words: int) -> None:
    rng = random.Random(2)
    count = max(1, int(size / (256 * 20 + 6 * prompt_words)))
    starts, latencies, itls = [], [], []
    for index in range(count):
        itls.append([rng.uniform(0.005, 0.02) for _ in range(256)])
        starts.append(index * 0.1)
        latencies.append(0.3 + sum(itls[-1]))
    result = {
        "date": "20260101-000000",
        "endpoint_type": "openai",
        "model_id": "m",
        "tokenizer_id": "m",
        "num_prompts": count,
        "request_rate": 10.0,
        "burstiness": 1.0,
        "max_concurrency": None,
        "duration": count * 0.1 + 5,
        "completed": count,
        "failed": 0,
        "total_input_tokens": 32 * count,
        "total_output_tokens": 257 * count,
        "request_throughput": count / (count * 0.1 + 5),
        "output_lens": [257] * count,
        "ttfts": [0.3] * count,
        "itls": itls,
        "latencies": latencies,
        "start_times": starts,
        "generated_texts": [text(rng, prompt_words) for _ in range(count)],
        "errors": [""] * count,
        "mean_ttft_ms": 300.0,
        "mean_tpot_ms": 12.5,
    }
    path.write_text(json.dumps(result))


READERS = {
    "ingest": "from bayes_sd.measurements.readers import ingest as f; import numpy, pandas, orjson; g = "
    "lambda p: f([p], META)",
    "orjson.loads": "import orjson; g = lambda p: orjson.loads(open(p, 'rb').read())",
    "json.load": "import json; g = lambda p: json.load(open(p))",
}
CHILD = """
import re, sys, time
META = {meta!r}
def peak():  # not ru_maxrss, which a new process inherits from the one that started it
    return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) / 1024
{setup}
before = peak()
start, cpu = time.perf_counter(), time.process_time()
result = g(sys.argv[1])
wall, cpu = time.perf_counter() - start, time.process_time() - cpu
print(wall, peak(), before, cpu)
"""


def measure(reader: str, path: Path, repeats: int) -> dict[str, float]:
    program = CHILD.format(meta=META, setup=READERS[reader])
    runs = []
    for _ in range(repeats):
        done = subprocess.run(
            [sys.executable, "-c", program, str(path)], check=True, capture_output=True, text=True
        )
        runs.append([float(x) for x in done.stdout.split()])
    wall = statistics.median(run[0] for run in runs)
    size = path.stat().st_size / 1e6
    return {
        "wall_s": wall,
        "mb_per_s": size / wall,
        "mb_per_cpu_s": size / statistics.median(run[3] for run in runs),
        "peak_mib": max(run[1] for run in runs),
        "imports_mib": max(run[2] for run in runs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mb", type=float, default=200.0, help="size of each file (MB)")
    parser.add_argument("--prompt-words", type=int, default=200, help="words of each prompt and answer")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=list(READERS), help="readers to run")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, write in (("guidellm", write_guidellm), ("vllm bench serve, detailed", write_vllm)):
            path = Path(folder) / f"{name.split()[0]}.json"
            write(path, int(args.mb * 1e6), args.prompt_words)
            for reader in args.only:
                figures = measure(reader, path, args.repeats)
                rows.append({"file": name, "mb": path.stat().st_size / 1e6, "reader": reader, **figures})
                print(
                    f"{name:28s} {rows[-1]['mb']:7.1f} MB  {reader:13s} {figures['wall_s']:7.2f} s "
                    f"{figures['mb_per_s']:7.1f} MB/s ({figures['mb_per_cpu_s']:.0f} a CPU second)  "
                    f"peak {figures['peak_mib']:7.0f} MiB "
                    f"(imports alone {figures['imports_mib']:.0f})",
                    flush=True,
                )
            path.unlink()
    if args.json:
        machine = {"python": platform.python_version(), "machine": platform.machine()}
        args.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
