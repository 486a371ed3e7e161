"""From a report's source to a notebook, a Quarto document, or one HTML file.

The source of each report is a Markdown notebook in ``bayes_sd/report/sources``; ``reports/*.ipynb`` and ``reports/*.qmd`` are
made from it by :func:`write_derived`, and a test holds them together.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from bayes_sd.errors import OutputError, TraceError
from bayes_sd.files import check_writable, scratch_folder, write_atomically
from bayes_sd.interrupts import undone

if TYPE_CHECKING:
    from nbformat import NotebookNode

SOURCES = Path(__file__).parent / "sources"
KINDS = {
    "model": "How the model works, on one deployment",
    "family": "A family's fit",
    "decision": "Whether, when and how to speculate",
}
PARAMETERS = "parameters"
TIMEOUT_S = 600
WAIT_S = 0.2
"""Between two looks whether the notebook is through [s]."""


def read_source(kind: str) -> NotebookNode:
    """Read a report's source as a notebook.

    Parameters
    ----------
    kind : {"model", "family", "decision"}

    Returns
    -------
    NotebookNode
        Without outputs; cell names are their positions, so that the same source gives the same notebook.
    """
    import jupytext

    notebook = jupytext.read(SOURCES / f"{kind}.md", fmt="md")
    for position, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{position}"
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def to_notebook(kind: str) -> str:
    """Give a report as the text of a Jupyter notebook."""
    import nbformat

    return str(nbformat.writes(read_source(kind))) + "\n"


def to_quarto(kind: str) -> str:
    """Give a report as the text of a Quarto document."""
    lines = [
        "---",
        f'title: "{KINDS[kind]}"',
        "format:",
        "  html:",
        "    embed-resources: true",
        "    echo: false",
        "jupyter: python3",
        "---",
        "",
    ]
    for cell in read_source(kind).cells:
        if cell.cell_type == "markdown":
            # The title is in the header.
            text = re.sub(r"\A# .*\n*", "", cell.source)
        else:
            tags = cell.metadata.get("tags", [])
            head = [f"#| tags: [{', '.join(tags)}]"] if tags else []
            text = "\n".join(["```{python}", *head, cell.source, "```"])
        if text:
            lines += [text, ""]
    return "\n".join(lines)


def write_derived(folder: Path) -> list[Path]:
    """Write the notebook and the Quarto document of every report.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    list of Path
    """
    derived = {f"{kind}{suffix}": make(kind) for kind in KINDS for suffix, make in FORMS.items()}
    return [write_atomically(folder / name, partial(_write_text, text)) for name, text in derived.items()]


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


FORMS = {".ipynb": to_notebook, ".qmd": to_quarto}
"""Suffix of a derived file to what makes it."""


def run(kind: str, trace: Path, accept_unconverged: bool = False) -> NotebookNode:
    """Run a report on a posterior.

    Parameters
    ----------
    kind : {"model", "family", "decision"}
    trace : Path
        Posterior file.
    accept_unconverged : bool

    Returns
    -------
    NotebookNode
        With outputs.

    Raises
    ------
    TraceError
        If a cell fails on this posterior; the message names what it said.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    from traitlets.config import Config

    notebook = read_source(kind)
    for cell in notebook.cells:
        if PARAMETERS in cell.metadata.get("tags", []):
            cell.source = f"TRACE = {str(trace.resolve())!r}\nACCEPT_UNCONVERGED = {accept_unconverged}"
    try:
        with scratch_folder() as folder:
            wires = {"connection_file": str(folder / "k.json")}
            # Files instead of TCP ports, where there are such: nobody else on the machine can listen in.
            wires |= {"transport": "ipc"} if os.name == "posix" else {}
            config = Config({"KernelManager": wires})
            _execute(NotebookClient(notebook, timeout=TIMEOUT_S, kernel_name="python3", config=config))
    except CellExecutionError as error:
        raise TraceError(
            f"{trace}: the {kind} report cannot be made of it ({error.ename}: {error.evalue})"
        ) from error
    except (DeadKernelError, CellTimeoutError) as error:
        raise TraceError(
            f"{trace}: the {kind} report was not finished ({type(error).__name__}): is there memory and time enough?"
        ) from error
    return notebook


def _execute(client: Any) -> None:
    """Run a notebook in a thread of its own: in the main one its client would take over the program's signals.

    When a signal ends the program, the notebook's process is ended too.
    """
    failed: list[BaseException] = []

    def work() -> None:
        try:
            asyncio.run(client.async_execute())
        except BaseException as error:
            failed.append(error)

    def kill() -> None:
        process = getattr(getattr(client.km, "provisioner", None), "process", None)
        if process is not None:
            process.kill()

    thread = Thread(target=work, daemon=True)
    with undone(kill):
        thread.start()
        try:
            while thread.is_alive():
                thread.join(WAIT_S)
        except KeyboardInterrupt:
            kill()
            raise
    if failed:
        raise failed[0]


def to_html(notebook: NotebookNode, kind: str) -> str:
    """Give a run report as one HTML page that needs nothing else: no script, no font, no image of its own file.

    Parameters
    ----------
    notebook : NotebookNode
    kind : {"model", "family", "decision"}

    Returns
    -------
    str
    """
    from nbconvert import HTMLExporter

    exporter: Any = HTMLExporter(template_name="basic")
    exporter.exclude_input = True
    exporter.exclude_input_prompt = True
    exporter.exclude_output_prompt = True
    body, _ = exporter.from_notebook_node(notebook)
    # Links at headings are of use in a notebook only.
    body = re.sub(r'<a class="anchor-link"[^>]*>.*?</a>', "", body)
    style = (SOURCES / "report.css").read_text(encoding="utf-8")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{KINDS[kind]}</title><style>\n{style}</style></head><body><main>\n{body}\n</main></body></html>\n"
    )


def make_report(
    kind: str, trace: Path, output: Path, quarto: bool = False, accept_unconverged: bool = False
) -> Path:
    """Write a report of a posterior.

    Parameters
    ----------
    kind : {"model", "family", "decision"}
    trace : Path
    output : Path
        HTML file.
    quarto : bool
        Let Quarto render it.
    accept_unconverged : bool

    Returns
    -------
    Path

    Raises
    ------
    OutputError
        If the file cannot be written, is not .html, or Quarto is asked for and not there or fails.
    TraceError, ConvergenceError
        If the posterior cannot be read or used.
    """
    from bayes_sd.posterior.posterior import load_posterior

    if output.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"{output}: a report is written as HTML; name it .html")
    check_writable(output)
    load_posterior(trace, accept_unconverged)  # here, so that a bad file is told in one line
    if quarto:
        return write_atomically(
            output, lambda beside: _render_quarto(kind, trace, beside, accept_unconverged)
        )
    text = to_html(run(kind, trace, accept_unconverged), kind)
    return write_atomically(output, partial(_write_text, text))


def _render_quarto(kind: str, trace: Path, output: Path, accept_unconverged: bool) -> None:
    if shutil.which("quarto") is None:
        raise OutputError(
            "Quarto is not installed: leave --quarto out, or install it from https://quarto.org"
        )
    with scratch_folder() as folder:
        source = folder / f"{kind}.qmd"
        source.write_text(to_quarto(kind), encoding="utf-8")
        values = ["-P", f"TRACE:{trace.resolve()}", "-P", f"ACCEPT_UNCONVERGED:{accept_unconverged}"]
        process = subprocess.Popen(
            ["quarto", "render", str(source), "--to", "html", *values],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        with process, undone(process.kill):
            try:
                _, said = process.communicate()
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            reason = (said.strip().splitlines() or ["no reason given"])[-1]
            raise OutputError(f"Quarto could not render the {kind} report ({reason}); leave --quarto out")
        shutil.copyfile(source.with_suffix(".html"), output)
