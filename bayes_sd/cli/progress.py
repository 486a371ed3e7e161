"""How a sweep shows on the way: a bar on a terminal, a line a point elsewhere."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import click

from bayes_sd.cli.output import plain_errors
from bayes_sd.errors import masked, visible
from bayes_sd.interrupts import undone


def described(cell) -> str:
    """Write a measured point in one line."""
    latency, rate = cell.number("mean_e2e_s"), cell.number("achieved_rps")
    error = next(
        (r.removeprefix("standard error ") for r in cell.remarks if r.startswith("standard error")), "?"
    )
    words = [f"{latency:.4g} s ± {error}", f"{rate:.3g} requests/s", f"{cell.columns['n_requests']} requests"]
    if cell.number("mean_accepted_len"):
        words.append(f"{cell.number('mean_accepted_len'):.2f} tokens a cycle")
    return ", ".join(words)


class Shown:
    """Reports a sweep to the screen.

    Parameters
    ----------
    quiet : bool
        Show nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        from rich.console import Console

        self.finished = 0
        self._quiet = quiet
        self._console = Console(file=plain_errors())
        self._bar: Any = None
        self._task: Any = None
        self._open = ExitStack()

    def __enter__(self) -> Shown:
        if not self._quiet and self._console.is_terminal:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.description}"),
            )
            self._bar = Progress(*columns, console=self._console)
            self._bar.start()
            self._task = self._bar.add_task("", total=None)
            self._open.enter_context(undone(self._bar.stop))  # it hides the cursor
        return self

    def __exit__(self, *_) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._open.close()

    def __call__(self, progress) -> None:
        """Take in where the sweep stands."""
        self.finished = progress.finished
        if self._quiet:
            return
        where = visible(masked(f"{progress.point.name}, repeat {progress.point.repeat}"))
        if self._bar is not None:
            expected = max(progress.expected, progress.finished)
            self._bar.update(self._task, total=expected, completed=progress.finished, description=where)
            if progress.cell is not None:
                self._bar.console.print(f"{where}: {described(progress.cell)}", highlight=False)
        elif progress.cell is not None:
            click.echo(f"{where}: {described(progress.cell)}")


class CountShown:
    """Shows how much of something is done: a bar on a terminal, nothing elsewhere.

    Parameters
    ----------
    quiet : bool
        Show nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar: Any = None
        self._task: Any = None
        self._open = ExitStack()

    def __enter__(self) -> CountShown:
        return self

    def __exit__(self, *_) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._open.close()

    def __call__(self, done: int, total: int, words: str = "") -> None:
        """Take in where the work stands; a single thing needs no bar."""
        if self._quiet or total < 2:
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            console = Console(file=plain_errors())
            if not console.is_terminal:
                self._quiet = True
                return
            columns = (
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.description}"),
            )
            self._bar = Progress(*columns, console=console, transient=True)
            self._bar.start()
            self._open.enter_context(undone(self._bar.stop))  # it hides the cursor
            self._task = self._bar.add_task("", total=total)
        self._bar.update(self._task, completed=done, description=visible(masked(words)))
