"""A sweep that is killed again and again: every point is measured once, and the table is whole at each moment."""

import random
import subprocess
import sys
import time

import pandas as pd
import pytest
from test_servers import Hostile, done, event, http

from bayes_sd.measurements import read_table

POINTS = 2 * 4


@pytest.mark.parametrize("kills", [6, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_at_random_moments(tmp_path, kills):
    server = Hostile(http(done(usage={"prompt_tokens": 8, "completion_tokens": 4}) + event(b"[DONE]")))
    table, rng = tmp_path / "out.csv", random.Random(7)
    command = [
        sys.executable, "-m", "bayes_sd", "measure", "--target", f"http://127.0.0.1:{server.server_address[1]}",
        "--output", str(table), "--hardware", "H100", "--engine", "fake-1", "--verifier", "Llama-3.1-8B-Instruct",
        "--precision", "bf16", "--method", "none", "--shape", "8x4", "--clients", "1,2", "--rates", "none", "--repeats", "4",
        "--point-requests", "2,4", "--standard-error", "0.5", "--warm-up", "1",
    ]  # fmt: skip
    try:
        for _ in range(kills):
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                time.sleep(rng.uniform(0.3, 1.6))
                process.kill()
            if table.exists():
                read_table(table)
        last = subprocess.run(command, capture_output=True, text=True)
    finally:
        server.shutdown()
        server.server_close()
    assert last.returncode == 0, last.stderr
    rows = pd.read_csv(table)
    assert len(rows) == POINTS
    assert not rows.duplicated(["config_id", "repeat"]).any()
