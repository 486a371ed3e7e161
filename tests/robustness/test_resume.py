"""A sweep that is killed again and again: every point is measured once, and the table is whole at each moment."""

import itertools
import random
import subprocess
import sys
import time

import pytest
from test_servers import Hostile, done, event, http

from bayes_sd.measurements import read_table

REPEATS = 4
POINTS = 2 * REPEATS


class Counting(Hostile):
    """Answers like a server, and counts what it was asked."""

    def __init__(self):
        whole = http(done(usage={"prompt_tokens": 8, "completion_tokens": 4}) + event(b"[DONE]"))
        self.asked = 0
        super().__init__(lambda head: self._count() or whole)

    def _count(self):
        self.asked += 1


def rows_of(table):
    """Give the finished points of a table, each with its latency."""
    if not table.exists():
        return {}
    frame = read_table(table)
    assert not frame.duplicated(["config_id", "repeat"]).any()
    return dict(zip(zip(frame["config_id"], frame["repeat"], strict=True), frame["latency_s"], strict=True))


@pytest.mark.parametrize("kills", [6, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_at_random_moments(tmp_path, kills):
    """Each run is killed after so many requests, and a random moment later; a table that is through is followed by another."""
    server, rng = Counting(), random.Random(7)
    killed, numbers = 0, itertools.count()
    command = [
        sys.executable, "-m", "bayes_sd", "measure", "--target", f"http://127.0.0.1:{server.server_address[1]}",
        "--hardware", "H100", "--engine", "fake-1", "--verifier", "Llama-3.1-8B-Instruct", "--precision", "bf16", "--method", "none",
        "--shape", "8x4", "--clients", "1,2", "--rates", "none", "--repeats", str(REPEATS), "--point-requests", "2,4",
        "--standard-error", "0.5", "--warm-up", "1", "--output",
    ]  # fmt: skip
    try:
        while killed < kills:
            table, kept = tmp_path / f"{next(numbers)}.csv", {}
            while True:
                enough = server.asked + rng.randint(1, 14)
                with subprocess.Popen(
                    [*command, str(table)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
                ) as process:
                    while killed < kills and server.asked < enough and process.poll() is None:
                        time.sleep(0.001)
                    if killed < kills and process.poll() is None:
                        time.sleep(rng.uniform(0.0, 0.05))
                        process.kill()
                    _, said = process.communicate()
                now = rows_of(table)
                assert kept.items() <= now.items()  # none is lost, and none is measured anew
                kept = now
                if process.returncode == 0:
                    break
                assert process.returncode == -9, said
                killed += 1
            assert len(kept) == POINTS
    finally:
        server.shutdown()
        server.server_close()
