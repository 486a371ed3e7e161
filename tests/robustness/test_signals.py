"""Ctrl-C and SIGTERM at many moments: exit code 130 or 143, one line, no file harmed, no process left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RUN = [sys.executable, "-m", "bayes_sd"]
MOMENTS_S = (0.0, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
"""After the program has its handlers; before that the interpreter itself starts, of which no program has control."""

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")

LONG_RUN = (
    "simulate", "--prompt-tokens", "500", "--output-tokens", "3000", "--verify-fixed-s", "0.01", "--concurrency", "1,2,4,8,16",
    "--n-requests", "20000", "--output", "out.csv",
)  # fmt: skip


def stands(process):
    """Wait until the program catches SIGTERM."""
    status = Path(f"/proc/{process.pid}/status")
    for _ in range(6000):
        caught = next(line for line in status.read_text().splitlines() if line.startswith("SigCgt"))
        if int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.002)
    raise AssertionError("no handler was installed")


def stopped(arguments, folder, moment_s, number):
    process = subprocess.Popen(
        [*RUN, *map(str, arguments)], cwd=folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )  # fmt: skip
    stands(process)
    time.sleep(moment_s)
    process.send_signal(number)
    out, errors = process.communicate(timeout=60)
    return process.returncode, out, errors


def told_in_one_line(code, errors, number):
    if code == 0:  # it was through before
        return True
    word = "interrupted" if number == signal.SIGINT else "terminated"
    lines = [line for line in errors.splitlines() if line]
    return code == 128 + number and len(lines) == 1 and lines[0].startswith(f"{word}: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment_s", MOMENTS_S)
def test_while_a_compiled_loop_runs(tmp_path, moment_s, number):
    (tmp_path / "out.csv").write_text("old")
    code, _, errors = stopped(LONG_RUN, tmp_path, moment_s, number)
    assert told_in_one_line(code, errors, number), (code, errors)
    assert os.listdir(tmp_path) == ["out.csv"]
    if code:
        assert (tmp_path / "out.csv").read_text() == "old"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment_s", MOMENTS_S[::2])
def test_while_it_waits_for_input(tmp_path, small_trace, moment_s, number):
    code, _, errors = stopped(["monitor", small_trace], tmp_path, moment_s, number)
    assert told_in_one_line(code, errors, number), (code, errors)


@pytest.mark.parametrize(
    ("moment_s", "number"), [(0.3, signal.SIGINT), (2.5, signal.SIGINT), (4.0, signal.SIGTERM)]
)
def test_while_a_notebook_runs(tmp_path, small_trace, moment_s, number):
    arguments = ["report", small_trace, "--kind", "model", "--output", "report.html"]
    code, _, errors = stopped(arguments, tmp_path, moment_s, number)
    assert told_in_one_line(code, errors, number), (code, errors)
    assert set(os.listdir(tmp_path)) <= {"report.html"}


def children(pid):
    """Give the processes that a process's threads have started."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(child) for child in task.read_text().split()]
    return found


def lives(pid):
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "after_s", [0.0, 1.5, *(pytest.param(s, marks=pytest.mark.slow) for s in (0.002, 0.01, 0.05, 0.3, 5.0))]
)
def test_no_notebook_outlives_its_report(tmp_path, small_trace, after_s, number):
    """The signal comes so long after the notebook's process is there, which the report itself learns a little later."""
    process = subprocess.Popen(
        [*RUN, "report", str(small_trace), "--kind", "model", "--output", "report.html"],
        cwd=tmp_path, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    started = []
    while not started and process.poll() is None:
        started = children(process.pid)
        time.sleep(0.0005)
    time.sleep(after_s)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert told_in_one_line(process.returncode, errors, number), (process.returncode, errors)
    ends_by = time.monotonic() + 5.0
    while any(map(lives, started)) and time.monotonic() < ends_by:
        time.sleep(0.05)
    assert not any(map(lives, started))
    assert set(os.listdir(tmp_path)) <= {"report.html"}
