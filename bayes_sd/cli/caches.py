"""Gives compiled code a place where the usual one cannot be written: a user without a home, a read-only container."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from bayes_sd.files import scratch_folder

PLACES = {"NUMBA_CACHE_DIR": "", "MPLCONFIGDIR": "", "PYTENSOR_FLAGS": "base_compiledir="}
"""Environment variable that names a library's folder, and what stands before the folder in it."""


def home_is_writable() -> bool:
    """Say whether something may be kept under the user's home, or the home be made."""
    place = Path("~").expanduser() / ".cache"
    while not place.exists() and place != place.parent:
        place = place.parent
    return place.is_absolute() and os.access(place, os.W_OK)


@contextlib.contextmanager
def place_for_caches() -> Iterator[None]:
    """Let libraries keep compiled code in a folder of this process alone, where they have no other; gone afterwards.

    numba compiles nothing, and PyTensor does not start, without such a place. A place that the user names is left alone.
    """
    missing = [name for name in PLACES if name not in os.environ]
    if not missing or home_is_writable():
        yield
        return
    with scratch_folder() as folder:
        for name in missing:
            (folder / name).mkdir()
            os.environ[name] = f"{PLACES[name]}{folder / name}"
        try:
            yield
        finally:
            for name in missing:
                os.environ.pop(name, None)
