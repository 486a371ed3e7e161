"""Run the notebooks of the gallery and of the reports on the posterior of the checkout, and write them with their outputs.

Make the posterior first: ``uv run python -m bayes_sd fit --family llama``. Then ``uv run python reports/gallery/make.py [WORDS]``:
all of them, or those whose names have the words. Pictures are small (``DPI``), so that a notebook stays below a quarter of a megabyte.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

from bayes_sd.files import scratch_folder, write_atomically
from bayes_sd.report.build import KINDS, read_source

HERE = Path(__file__).parent
DPI = 80
SETTINGS = (
    f"%config InlineBackend.figure_formats = ['png']\n%config InlineBackend.rc = {{'figure.dpi': {DPI}}}\n"
    "import bayes_sd.report.cells\nbayes_sd.report.cells.SMALL = True\n"
)


def gallery(source: Path) -> nbformat.NotebookNode:
    """Read a notebook of the gallery; its cells are named by their places."""
    notebook = jupytext.read(source)
    for place, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{place}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return notebook


def run(notebooks: list[nbformat.NotebookNode], folder: Path) -> None:
    """Run notebooks where they stand, one after the other in one process that forgets its names between them."""
    code = nbformat.v4.new_code_cell
    together = nbformat.v4.new_notebook(cells=[])
    for notebook in notebooks:
        together.cells += [code("%reset -f"), code(SETTINGS), *notebook.cells]
    where = {"metadata": {"path": str(folder)}}
    with scratch_folder() as scratch:
        wires = {"connection_file": str(scratch / "k.json")} | (
            {"transport": "ipc"} if os.name == "posix" else {}
        )
        options = {"kernel_name": "python3", "resources": where, "config": Config({"KernelManager": wires})}
        NotebookClient(together, timeout=900, startup_timeout=600, **options).execute()
    for notebook in notebooks:
        count = 0
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)  # when it ran is nobody's business in a diff
            if cell.cell_type == "code":
                count += 1
                cell.execution_count = count
                cell.outputs = [output for output in cell.outputs if not _names_an_object(output)]
                for output in cell.outputs:
                    if output.output_type == "execute_result":
                        output.execution_count = count


def _names_an_object(output: nbformat.NotebookNode) -> bool:
    """Say whether an output is no more than the name and address of what a plotting call gave back."""
    return output.output_type == "execute_result" and output.data.get("text/plain", "").lstrip(
        "["
    ).startswith("<matplotlib")


def main(words: list[str]) -> None:
    """Run and write."""
    sources = [source for source in sorted(HERE.glob("*.md")) if all(word in source.name for word in words)]
    made = {source.with_suffix(".ipynb"): gallery(source) for source in sources}
    if made:
        run(list(made.values()), HERE)
    for kind in KINDS:
        if all(word in kind for word in words):
            made[HERE.parent / f"{kind}.ipynb"] = read_source(kind)
            run([made[HERE.parent / f"{kind}.ipynb"]], HERE.parent)
    for target, notebook in made.items():
        text = nbformat.writes(notebook) + "\n"
        write_atomically(target, partial(_write, text))
        print(f"{target.relative_to(HERE.parents[1])}: {len(text) / 1e3:.0f} kB")


def _write(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
