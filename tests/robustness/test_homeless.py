"""A user without rights: no home, caches that cannot be written, a package that belongs to another."""

import os
import shutil
import subprocess
import sys

import pytest
from bad_cases import Ran

NOBODY = 65534
AS_NOBODY = (
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=+dac_read_search",
    "--ambient-caps=+dac_read_search",
)  # fmt: skip
"""May read everything, the interpreter too, wherever it is installed; may write next to nothing."""

pytestmark = pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="needs rights to give up",
)


@pytest.fixture
def open_folder(tmp_path):
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    tmp_path.chmod(0o777)
    return tmp_path


@pytest.mark.parametrize("home", ["/nonexistent", "/proc", ""])
@pytest.mark.parametrize("place", ["out.csv", "/usr/out.csv"])
def test_a_compiled_command(open_folder, home, place):
    done = subprocess.run(
        [
            *AS_NOBODY, sys.executable, "-m", "bayes_sd", "simulate", "--prompt-tokens", "50", "--output-tokens", "20",
            "--verify-fixed-s", "0.01", "--concurrency", "2", "--n-requests", "10", "--output", place,
        ],
        cwd=open_folder, env={"PATH": os.environ["PATH"], "HOME": home, "TMPDIR": str(open_folder)}, capture_output=True, text=True,
    )  # fmt: skip
    assert Ran(done.returncode, done.stdout, done.stderr).fault() == ""
    assert done.returncode == (0 if place == "out.csv" else 2)
    assert os.listdir(open_folder) == (["out.csv"] if done.returncode == 0 else [])  # nothing else is left
