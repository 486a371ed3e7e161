"""Two runs and one file: none is lost, and the second is told."""

import os
import signal
import subprocess
import sys

import pytest

from bayes_sd import files
from bayes_sd.errors import OutputError

HOLD = """
import sys
from bayes_sd.files import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "table.csv")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


def test_the_second_is_refused_and_the_lock_leaves_nothing(tmp_path, other):
    (tmp_path / "link.csv").symlink_to(tmp_path / "table.csv")
    for name in ("table.csv", "link.csv"):
        with pytest.raises(OutputError, match="another run is writing it"), files.locked(tmp_path / name):
            pass
    with files.locked(tmp_path / "other.csv"):
        pass
    other.communicate("", timeout=20)
    with files.locked(tmp_path / "table.csv"):
        pass
    assert os.listdir(tmp_path) == ["link.csv"]


def test_a_killed_run_holds_nothing(tmp_path, other):
    other.send_signal(signal.SIGKILL)
    other.wait(20)
    with files.locked(tmp_path / "table.csv"):
        pass
    assert os.listdir(tmp_path) == []
