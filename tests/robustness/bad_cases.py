"""Bad values, and how a command is tried with them in this process."""

from __future__ import annotations

import contextlib
import io
import os
import random
import signal
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

CASE_S = 20
"""Longest time of one case [s] that this process works on it: a busy machine makes no case slow."""
WAIT_S = 300
"""Longest time of one case by the clock [s]: one that waits for something works on nothing."""
MOST_BYTES = 500 << 20
"""Most memory of one case, beyond what the process held before it."""
ACCEPTED = (0, 2, 3, 4)
"""Exit codes: done, bad input, not converged, alarm. 1 is a fault of the package."""

NUMBERS = (
    "nan", "NaN", "inf", "-inf", "Infinity", "1e308", "-1e308", "1e400", "1e-320", "5e-324", "-1", "-0.0", "0", "1e15", "1e18",
    "9" * 19, "9" * 400, "9" * 5000, "0x10", "1_000", "1,5", "1e", ".", "+", "--1", "1e5000", "١٢", "½", "0.1.2", "1 2", "true",
)  # fmt: skip
TEXTS = (
    "", " ", "\t", "null", "None", "'", '"', "\\", "/", "../../etc/passwd", "=cmd|'/c calc'!A1", "+1+1", "@SUM(A1)", "-2+3", "%s%n",
    "{}", "{0}", "[red]x[/red]", "\x1b[2J\x1b[31m", "\x07\x08", "\u202eabc", "a" * 300, "a" * 20_000, "ü" * 500, "'" * 300, "\u0000x",
    "nul\x00", "\r", "a;b", "<script>alert(1)</script>", "[" * 3000, '{"a":' * 3000, "'; DROP TABLE x; --", "𝔘𝔫𝔦", "\ufeff",
)  # fmt: skip
VALUES = NUMBERS + TEXTS
FIRST_SEED = int(os.environ.get("ROBUSTNESS_SEED", "0")) * 1_000_000
"""Seed of the first damaged file. Another one, set in the environment, tries other damage."""


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    errors: str
    bytes: int = 0

    def fault(self) -> str:
        """Say what is wrong with it, "" if nothing."""
        lines = [line for line in self.errors.splitlines() if line.strip()]
        if self.code not in ACCEPTED:
            return f"exit code {self.code}: {self.errors[-300:]}"
        if "Traceback" in self.out + self.errors:
            return f"a traceback: {self.errors[-300:]}"
        if self.code == 2 and (len(lines) != 1 or not lines[0].startswith("error: ")):
            return f"not one line: {self.errors[:300]}"
        if self.bytes > MOST_BYTES:
            return f"{self.bytes >> 20} MiB of memory"
        if len(self.errors) > 1500 or not all(c.isprintable() or c in "\n\t" for c in self.out + self.errors):
            return f"too long, or control characters: {self.errors[:300]!r}"
        return ""


class TooLong(BaseException):
    """A case that does not end."""


def memory(name: str) -> int:
    """Give a number of this process's memory, ``VmRSS`` or its peak ``VmHWM`` [bytes]; 0 where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:")), 0)


def forget_peak() -> None:
    """Let the peak of memory start anew, where the system can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


@contextlib.contextmanager
def limited_time():
    """Raise :class:`TooLong` in a case that works, or waits, for too long."""

    def stop(*_: object) -> None:
        raise TooLong

    before = {number: signal.signal(number, stop) for number in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, CASE_S)
    signal.alarm(WAIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)


def run(arguments: Sequence[object], stdin: str = "") -> Ran:
    """Run a command in this process."""
    # A first import on a busy machine is no case's time.
    import numba  # noqa: F401
    import pandas  # noqa: F401
    import scipy.stats  # noqa: F401
    import xarray  # noqa: F401

    from bayes_sd.cli import main

    out, errors = io.StringIO(), io.StringIO()
    before = sys.argv, sys.stdin
    sys.argv, sys.stdin = ["bayes_sd", *map(str, arguments)], io.StringIO(stdin)
    forget_peak()
    held, code = memory("VmRSS"), 0
    try:
        with limited_time(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            main()
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else 0
    except TooLong:
        code, _ = 1, errors.write(f"longer than {CASE_S} s")
    finally:
        sys.argv, sys.stdin = before
    return Ran(code, out.getvalue(), errors.getvalue(), memory("VmHWM") - held)


def seeds(total: int) -> range:
    """Give the seeds of `total` damaged files."""
    return range(FIRST_SEED, FIRST_SEED + total)


def contents(folder: Path) -> dict[str, bytes]:
    """Give every file under a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def mutated(content: bytes, seed: int) -> bytes:
    """Damage a file: cut, repeat or overwrite parts of it, or put a bad value into it."""
    rng = random.Random(seed)
    data = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        at, length = rng.randrange(len(data) + 1), rng.choice((1, 1, 4, 40, 400))
        action = rng.randrange(6)
        if action == 0:
            del data[at : at + length]
        elif action == 1:
            data[at:at] = data[at : at + length] * rng.choice((1, 3, 50))
        elif action == 2 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif action == 3:
            data[at:at] = rng.choice(VALUES).encode("utf-8", "surrogatepass")
        elif action == 4:
            data[at : at + length] = rng.randbytes(length)
        else:
            del data[at:]
    return bytes(data)


def replaced_numbers(text: str, seed: int) -> str:
    """Put a bad number in place of some number of a text."""
    import re

    rng = random.Random(seed)
    places = list(re.finditer(r"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", text))
    if not places:
        return text
    place = rng.choice(places)
    return text[: place.start()] + rng.choice(NUMBERS) + text[place.end() :]


def faults(
    ran: Iterable[tuple[object, Ran]], output: Path, kept: dict[str, bytes] | None = None
) -> list[str]:
    """Collect what went wrong in many cases; files other than `output` must be those of `kept`."""
    found = []
    for label, one in ran:
        fault = one.fault()
        if not fault and kept is not None:
            now = contents(output.parent)
            changed = {
                name
                for name in now.keys() | kept.keys()
                if name != output.name and now.get(name) != kept.get(name)
            }
            fault = f"changed {changed}" if changed else ""
        if fault:
            found.append(f"{label!r:.150}: {fault}")
    return found
