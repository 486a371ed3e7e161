"""What a fit says on the way: a line a stage, with the seconds since it began."""

from __future__ import annotations

import sys
import time


class Told:
    """Writes stages to the screen's error stream, so that output stays what was asked for.

    Parameters
    ----------
    shown : bool
        Say nothing if false.
    """

    def __init__(self, shown: bool) -> None:
        self._shown, self._began = shown, time.monotonic()

    def __call__(self, stage: str) -> None:
        """Say that a stage begins."""
        if self._shown:
            print(f"{time.monotonic() - self._began:4.0f} s  {stage}", file=sys.stderr, flush=True)
