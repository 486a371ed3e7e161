"""Faults inside a save, for each kind of file that is written: a refused call, a disk that fills, a kill, no permission.

Each case runs in a process of its own, forked with the content ready. Calls are refused through the interpreter's audit events, in
turn; a full disk is a limit on the size of a file, which stops the C library of netCDF too; the same limit with its signal
left at the default kills the process inside a write.
"""

import errno
import itertools
import mmap
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure

from bayes_sd.decide.tables import write_result
from bayes_sd.engine import DRAFTERS, write_model
from bayes_sd.engine.words import N_TOKENS
from bayes_sd.errors import BayesSdError
from bayes_sd.files import check_writable, locked, write_atomically
from bayes_sd.forecast.mixture import thinned
from bayes_sd.measure.planned import write_plan
from bayes_sd.measurements.csvfile import write_csv
from bayes_sd.measurements.readers.pipeline import write_table
from bayes_sd.plots.style import save_figure
from bayes_sd.posterior.file import FileKind, write_tree
from bayes_sd.posterior.posterior import load_posterior, save_posterior

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
OLD = b"what stood there before\n" * 40
DONE, REFUSED, BROKEN = 0, 3, 4
"""How a forked save ends: all of the new content, one error of the package, anything else."""
TABLE = pd.DataFrame({"name": [f"row {i}" for i in range(2000)], "value": np.arange(2000) / 7})
RESULT = xr.Dataset({"latency": ("draw", np.arange(4000) / 7)}, attrs={"words": ["a", "b"]})
KIND = FileKind("about", 1, "trace", "draws", "fit", "", "")
TREE = xr.DataTree.from_dict({"posterior": RESULT})
TEXT = "<p>a line of a page or a card</p>\n" * 2000
FIGURE = Figure()
FIGURE.subplots().plot(np.sin(np.arange(500)))
FOLLOW = np.roll(np.arange(N_TOKENS), 1)

SAVES = {
    "csv": lambda path: write_csv(TABLE, path),
    "nc": lambda path: write_tree(TREE, {"family": "made up"}, path, KIND),
    "decision.nc": lambda path: write_result(path, RESULT, TABLE, {"k": 3}),
    "json": lambda path: write_result(path, RESULT, TABLE, {"k": 3}),
    "html": lambda path: write_atomically(path, lambda beside: beside.write_text(TEXT, encoding="utf-8")),
    "measured.csv": lambda path: write_table(TABLE.astype("str"), path),
    "copied.html": lambda path: write_atomically(path, lambda beside: shutil.copyfile(__file__, beside)),
    "plan.json": lambda path: write_plan(path, [{"columns": {"tp": i}} for i in range(2000)], {}),
    "png": lambda path: save_figure(FIGURE, path),
    "svg": lambda path: save_figure(FIGURE, path),
    "gguf": lambda path: write_model(DRAFTERS["cycle-draft-4m"], FOLLOW, seed=1, path=path),
    "toml": lambda path: write_atomically(path, lambda beside: beside.write_bytes(TEXT.encode())),
}


def forked(save, target, before):
    """Run a save in a child process after `before`; give its exit code, negative if a signal ended it."""
    child = os.fork()
    if child == 0:
        code = BROKEN
        try:
            before()
            save(target)
            code = DONE
        except BayesSdError as error:
            code = REFUSED if "\n" not in str(error) else BROKEN
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def on_event(folder, number, act):
    """Do something at one of the interpreter's events that names a place in a folder: opening, renaming, removing, ...

    Gives what a child calls first, and what says in its parent whether that event came.
    """
    seen, came = 0, mmap.mmap(-1, 1)

    def hook(event, arguments):
        nonlocal seen
        if event.startswith(("open", "os.", "shutil.")) and any(folder in str(a) for a in arguments):
            seen += 1
            if seen == number:
                came[0] = 1
                act()

    return (lambda: sys.addaudithook(hook)), lambda: came[0] == 1


def refuse():
    raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.fixture
def old(tmp_path):
    def put(suffix):
        target = tmp_path / f"there.{suffix}"
        target.write_bytes(OLD)
        return target

    return put


@pytest.mark.parametrize("suffix", SAVES)
def test_each_call_refused_in_turn_leaves_the_old_or_the_new_file_whole(old, tmp_path, suffix):
    target, save = old(suffix), SAVES[suffix]
    save(target)
    new, refusals = target.stat().st_size, 0
    for number in itertools.count(1):
        target.write_bytes(OLD)
        before, came = on_event(str(tmp_path), number, refuse)
        code = forked(save, target, before)
        if not came():
            assert code == DONE
            break
        assert code in (DONE, REFUSED), number
        whole = target.read_bytes() == OLD if code == REFUSED else target.stat().st_size == new
        assert whole, number
        refusals += code == REFUSED
        for left in set(os.listdir(tmp_path)) - {target.name}:
            os.unlink(tmp_path / left)  # where the refused call is the removal itself
    assert refusals >= 3  # making, filling and renaming at least


@pytest.mark.parametrize("suffix", SAVES)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.95])
def test_a_disk_that_fills_within_a_save(old, tmp_path, suffix, share):
    target, save = old(suffix), SAVES[suffix]
    save(target)
    limit = int(share * target.stat().st_size)
    target.write_bytes(OLD)
    assert forked(save, target, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))) == REFUSED
    assert target.read_bytes() == OLD
    assert os.listdir(tmp_path) == [target.name]


@pytest.mark.parametrize("suffix", SAVES)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_kill_inside_a_write(old, suffix, share):
    target, save = old(suffix), SAVES[suffix]
    save(target)
    limit = int(share * target.stat().st_size)
    target.write_bytes(OLD)

    def deadly():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    assert forked(save, target, deadly) == -signal.SIGXFSZ
    assert target.read_bytes() == OLD
    save(target)  # what the killed one left behind is in nobody's way
    assert target.read_bytes() != OLD


@pytest.mark.parametrize("suffix", SAVES)
def test_a_kill_between_any_two_calls(old, tmp_path, suffix):
    target, save = old(suffix), SAVES[suffix]
    save(target)
    new, killed = target.stat().st_size, 0
    for number in itertools.count(1):
        target.write_bytes(OLD)
        before, came = on_event(str(tmp_path), number, lambda: os.kill(os.getpid(), signal.SIGKILL))
        code = forked(save, target, before)
        if not came():
            break
        assert code == -signal.SIGKILL
        assert target.read_bytes() == OLD or target.stat().st_size == new
        killed += 1
    assert killed >= 3


@pytest.mark.parametrize("kills", [30, pytest.param(300, marks=pytest.mark.slow)])
def test_kills_at_random_moments_of_saves_of_a_posterior(tmp_path, small_fit, kills):
    """Two posteriors are written over each other until a kill: what is there is one of them, to the last bit."""
    target, rng = tmp_path / "there.nc", random.Random(kills)
    other = thinned(small_fit, 100)
    both = {}
    for posterior in (other, small_fit):
        save_posterior(posterior, target)
        both[target.read_bytes()] = posterior
    assert len(both) == 2

    def without_end():
        while True:
            for posterior in both.values():
                save_posterior(posterior, target)

    found = []
    for number in range(kills):
        before = set(os.listdir(tmp_path))
        child = os.fork()
        if child == 0:
            without_end()
        # Every other kill comes inside a write: when its file is there, or a moment later.
        while number % 2 and set(os.listdir(tmp_path)) <= before:
            time.sleep(0.0002)
        time.sleep(rng.uniform(0.0, 0.003 if number % 2 else 0.25))
        os.kill(child, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        found.append(target.read_bytes())
    assert set(found) <= set(both)
    assert load_posterior(target).passed
    left = set(os.listdir(tmp_path)) - {target.name}
    assert left
    assert all(name.startswith(".") and ".part" in name for name in left)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs a right to give up")
@pytest.mark.parametrize("use", [SAVES["csv"], SAVES["nc"], check_writable, lambda p: locked(p).__enter__()])
def test_a_user_without_the_right_to_write(old, tmp_path, use):
    target = old("csv")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    assert forked(use, target, lambda: os.setresuid(65534, 65534, 65534)) == REFUSED
    assert forked(use, tmp_path / "new.csv", lambda: os.setresuid(65534, 65534, 65534)) == REFUSED
    assert target.read_bytes() == OLD
    assert os.listdir(tmp_path) == [target.name]
