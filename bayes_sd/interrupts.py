"""How the program ends on Ctrl-C (SIGINT, exit code 130) and SIGTERM (143): at once, in one line, at any moment.

The handler does not raise: an exception that comes up inside compiled code, an import or a destructor is lost there, or worse.
It undoes what :func:`undone` was told of (half-written files, other programs, a hidden cursor) and ends the process. Only the
program installs it; in a library a signal raises :class:`KeyboardInterrupt`, as everywhere.

Imports next to nothing, so that the handler stands before anything else is imported.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
AFTERWARDS = "no half-written file is left; run the same command again"

_actions: list[Callable[[], object]] = []
_said: list[Callable[[], str]] = [lambda: AFTERWARDS]


def install() -> None:
    """Let both signals end the program."""
    for number in WORDS:
        signal.signal(number, _leave)


@contextlib.contextmanager
def undone(action: Callable[[], object]) -> Iterator[None]:
    """Have something undone should a signal end the program meanwhile.

    Parameters
    ----------
    action : callable
        Quick; what it raises is passed over.
    """
    _actions.append(action)
    try:
        yield
    finally:
        _actions.remove(action)


@contextlib.contextmanager
def saying(words: Callable[[], str]) -> Iterator[None]:
    """Say something else than :data:`AFTERWARDS` should a signal end the program meanwhile.

    Parameters
    ----------
    words : callable
        Gives what was done and what to do now.
    """
    _said.append(words)
    try:
        yield
    finally:
        _said.remove(words)


def end(code: int) -> NoReturn:
    """End the program when its work is done, without the interpreter's own farewell, in which a signal would be a traceback."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)


def _leave(number: int, _: FrameType | None) -> None:
    for action in reversed(list(_actions)):
        with contextlib.suppress(Exception):
            action()
    line = f"{WORDS[signal.Signals(number)]}: {AFTERWARDS}"
    with contextlib.suppress(Exception):
        line = f"{WORDS[signal.Signals(number)]}: {_said[-1]()}"
    # Not through sys.stderr, in the middle of whose own writing the signal may have come.
    with contextlib.suppress(OSError):
        os.write(2, (line + "\n").encode("utf-8", "replace"))
    os._exit(128 + number)
