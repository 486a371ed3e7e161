"""Where the shipped cards and tables are, and how a file is written without harming what stood there."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from bayes_sd.errors import BayesSdError, CardError, DataError, OutputError
from bayes_sd.interrupts import undone

ShippedKind = Literal["models", "data"]

STDOUT = "-"
"""Destination that stands for standard output, as ``/dev/stdout`` does."""
_STANDARD = {STDOUT: 1, "/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_DESCRIPTORS = ("/dev/fd/", "/proc/self/fd/")
_SINKS = ("/dev/null", "/dev/full")
_TERMINALS = ("/dev/tty", "/dev/pts/", "/dev/console")
_LONGEST_SUFFIX = 16
streamed: set[int] = set()
"""File descriptors that results were written to: other output of the program must not mix with them."""

_MISSING: dict[str, type[BayesSdError]] = {"models": CardError, "data": DataError}


def shipped(kind: ShippedKind) -> Path:
    """Give the folder of the cards or the tables that come with the package.

    An installed wheel carries them inside the package, a checkout has them at its top level. The wheel's
    place is looked at first: the folder above an installed package is ``site-packages``, where a stranger's
    ``data`` may be.

    Parameters
    ----------
    kind : {"models", "data"}
        Family and hardware cards, or measurement tables.

    Returns
    -------
    Path
        An existing folder.

    Raises
    ------
    CardError, DataError
        If neither place has the folder (a damaged installation).
    """
    package = Path(__file__).resolve().parent
    inside = package / "_shipped" / kind
    if inside.is_dir():
        return inside
    checkout = package.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / kind).is_dir():
        return checkout / kind
    raise _MISSING[kind](
        f"the shipped folder {kind!r} is in neither {inside} nor {checkout}: install bayes_sd again"
    )


def write_atomically(path: str | os.PathLike[str], writer: Callable[[Path], object]) -> Path:
    """Write a file beside its destination, flush it to disk, and rename it into place.

    Whatever goes wrong, the destination holds either all of the new content or exactly what it held before,
    and no half-written file is left behind. A missing last folder of `path` is made; one further up is
    taken for a typing error. A destination that is no plain file (``-`` or ``/dev/stdout``, a pipe, a terminal) gets the
    finished content written into it and stays what it is.

    Parameters
    ----------
    path : path-like
        Destination. A symbolic link is followed, so the link itself survives; permissions of a file that is there stay.
    writer : callable
        Called once with the path of an empty file beside the destination, with the same suffix; must fill it.

    Returns
    -------
    Path
        The destination.

    Raises
    ------
    OutputError
        If the operating system refuses (no folder, no permission, disk full), or the destination is a folder, a socket or a
        disk. Errors of `writer` other than OSError pass through unchanged.
    """
    given = Path(path)
    if _kind(given) == "stream":
        _write_to_stream(given, writer)
        return given
    target = Path(os.path.realpath(given))
    # A random name and mode "x": two runs that write the same destination never share a temporary file. Short, since the
    # destination's own name may be as long as a name can be.
    beside = target.with_name(f".{secrets.token_hex(6)}.part{_short_suffix(target)}")
    try:
        target.parent.mkdir(exist_ok=True)
        with undone(beside.unlink):
            beside.open("xb").close()
            if target.exists():
                shutil.copymode(target, beside)
            writer(beside)
            _flush(beside)
            os.replace(beside, target)
    except OSError as error:
        raise _refusal(given, error) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # some file systems cannot flush a folder; the content is safe already
        _flush(target.parent)
    return target


def netcdf_content(data: Any) -> memoryview:
    """Make the content of a netCDF-4 file in memory.

    The library that makes it ends the whole process where a disk fills while it writes, and cannot be interrupted there; bytes
    that are whole already are written like those of any other file.

    Parameters
    ----------
    data : Dataset or DataTree

    Returns
    -------
    memoryview
    """
    content: memoryview = data.to_netcdf(engine="h5netcdf")
    return content


def check_writable(path: str | os.PathLike[str]) -> None:
    """Find out before a long computation whether its result can be written.

    Parameters
    ----------
    path : path-like
        File to be written; its folder is made if its parent exists.

    Raises
    ------
    OutputError
        If it cannot.
    """
    given = Path(path)
    if _kind(given) == "stream":
        return
    target = Path(os.path.realpath(given))
    folder = target.parent
    try:
        folder.mkdir(exist_ok=True)
        if _is_kept_by_another(target):
            raise PermissionError(
                errno.EPERM, "it is another user's, in a folder where only its owner may replace it"
            )
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _refusal(given, error) from error


@contextlib.contextmanager
def locked(path: str | os.PathLike[str]) -> Iterator[None]:
    """Keep other runs of this program from writing a file while this one reads, extends and writes it.

    Parameters
    ----------
    path : path-like
        The file; it need not exist. The lock is a file of its own beside it, which is gone afterwards.

    Raises
    ------
    OutputError
        If another run holds the lock, or the place cannot be written.
    """
    from filelock import FileLock, Timeout

    given = Path(path)
    if _kind(given) == "stream":
        yield
        return
    target = Path(os.path.realpath(given))
    beside = target.with_name(f".{target.name}.lock")
    if len(os.fsencode(beside.name)) > 255:
        beside = target.with_name(f"{beside.name[:100]}.lock")
    lock = FileLock(beside, timeout=0)
    try:
        target.parent.mkdir(exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise OutputError(
            f"cannot write {given}: another run is writing it; wait for that one to end, or name another file"
        ) from error
    except OSError as error:
        raise _refusal(given, error) from error
    try:
        with undone(beside.unlink):
            yield
    finally:
        # While the lock is held: whoever waits for it sees that the file is gone and makes a new one.
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        lock.release()


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a folder for files that nobody needs afterwards, also if a signal ends the program."""
    with tempfile.TemporaryDirectory() as folder, undone(lambda: shutil.rmtree(folder, ignore_errors=True)):
        yield Path(folder)


def _kind(given: Path) -> Literal["file", "stream"]:
    """Say how a destination is written, or refuse it."""
    if str(given) in _STANDARD or str(given).startswith(_DESCRIPTORS):
        return "stream"
    try:
        there = os.stat(given)
        mode = there.st_mode
        readable_only = stat.S_ISREG(mode) and not os.access(given, os.W_OK)
    except (FileNotFoundError, NotADirectoryError):
        return "file"
    except ValueError as error:
        raise OutputError(
            f"cannot write {given}: a name cannot hold the character NUL; name another"
        ) from error
    except OSError as error:
        raise _refusal(given, error) from error
    if stat.S_ISDIR(mode):
        raise OutputError(f"cannot write {given}: it is a folder; name a file")
    if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
        raise OutputError(f"cannot write {given}: it is a disk or a socket; name a file")
    if stat.S_ISCHR(mode) and not _takes_text(given, there.st_rdev):
        raise OutputError(f"cannot write {given}: it is a device, and no terminal; name a file")
    if readable_only:
        raise OutputError(f"cannot write {given}: it is write-protected; name another file, or allow writing")
    return "file" if stat.S_ISREG(mode) else "stream"


def _takes_text(given: Path, device: int) -> bool:
    """Whether a device is there to be written to by programs: a terminal, or one that swallows all. Memory or a watchdog is not."""
    sinks = {os.stat(sink).st_rdev for sink in _SINKS if os.path.exists(sink)}
    real = os.path.realpath(given)
    # ptmx is no terminal, but makes them.
    return device in sinks or (real.startswith(_TERMINALS) and not real.endswith("ptmx"))


def _write_to_stream(given: Path, writer: Callable[[Path], object]) -> None:
    """Write into a destination that is no plain file: the whole content first, elsewhere, then its bytes."""
    with scratch_folder() as folder:
        content = folder / f"content{_short_suffix(given)}"
        try:
            content.touch()
            writer(content)
            with content.open("rb") as source, os.fdopen(_open_stream(given), "wb") as sink:
                shutil.copyfileobj(source, sink)
        except OSError as error:
            raise _refusal(given, error) from error


def _open_stream(given: Path) -> int:
    name = str(given)
    number = _STANDARD.get(name)
    if number is None and name.startswith(_DESCRIPTORS):
        last = name.rpartition("/")[2]
        number = int(last) if last.isdecimal() and len(last) < 8 else -1
    if number is not None:
        streamed.add(number)
        return os.dup(number) if number >= 0 else os.open(name, os.O_WRONLY)
    # Without waiting for a reader of a pipe, of which there may be none; with waiting for it to read.
    handle = os.open(name, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
    os.set_blocking(handle, True)
    return handle


def _is_kept_by_another(target: Path) -> bool:
    """Whether a file may not be replaced, though its folder may be written: another user's in a folder such as /tmp."""
    if not target.exists() or not hasattr(os, "geteuid"):
        return False
    folder = os.stat(target.parent)
    return bool(folder.st_mode & stat.S_ISVTX) and os.geteuid() not in (
        0,
        os.stat(target).st_uid,
        folder.st_uid,
    )


def _short_suffix(path: Path) -> str:
    return path.suffix if len(path.suffix) <= _LONGEST_SUFFIX else ""


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refusal(given: Path, error: OSError) -> OutputError:
    reason = (error.strerror or str(error) or type(error).__name__).splitlines()[0]
    return OutputError(f"cannot write {given}: {reason}; {_remedy(error)}")


def _remedy(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "make the folder first, or choose another --output"
    if isinstance(error, PermissionError):
        return "choose a place that you may write to"
    return "choose another --output, or make room there"
