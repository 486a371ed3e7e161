"""Finds the files of a folder that may be benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bayes_sd.errors import DataError

NEVER = frozenset({".toml", ".prom", ".md", ".py", ".sh", ".png", ".svg", ".html", ".pdf", ".log", ".lock"})
"""Endings of what stands beside benchmarks and is none: it is passed over without a word."""


def expand(paths: Sequence[Path], recursive: bool) -> list[tuple[Path, bool]]:
    """Put the files of folders in the place of the folders.

    Parameters
    ----------
    paths : sequence of Path
        Files and folders.
    recursive : bool
        Whether folders are allowed, with all folders in them.

    Returns
    -------
    list of (Path, bool)
        Files in order, those of folders once, with whether it was found in a folder: then it may turn out to be no benchmark.

    Raises
    ------
    DataError
        If a folder is given without `recursive`, cannot be looked into, or has no file that may be a benchmark.
    """
    files: list[tuple[Path, bool]] = []
    for path in paths:
        if not path.is_dir():
            files.append((path, False))
            continue
        if not recursive:
            raise DataError(f"{path}: is a folder; name the benchmark files in it, or add --recursive")
        inside = _files(path)
        if not inside:
            raise DataError(f"{path}: no file in this folder can be a benchmark; name another")
        named = {file for file, _ in files}
        files += [(file, True) for file in inside if file not in named]
    return files


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.rglob("*") if _may_be_a_benchmark(p, folder))
    except OSError as error:
        raise DataError(f"{folder}: cannot be looked into: {error.strerror}") from error


def _may_be_a_benchmark(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith((".", "__")) for part in path.relative_to(folder).parts)
    return not hidden and path.suffix.casefold() not in NEVER and path.is_file()
