"""The notebooks of the gallery and of the reports: as their sources, with their outputs, and run where they stand."""

import os
import re
from pathlib import Path

import jupytext
import nbformat
import pytest

import bayes_sd as sd
from bayes_sd.report.build import KINDS, read_source

REPORTS = Path(__file__).parents[2] / "reports"
GALLERY = sorted((REPORTS / "gallery").glob("*.md"))
NAMES = [source.stem for source in GALLERY]
TRACE = REPORTS.parent / "traces" / "llama.nc"


def stored(path):
    return nbformat.read(path, as_version=4)


def sources(notebook):
    return [(cell.cell_type, cell.source.strip()) for cell in notebook.cells]


def test_there_are_a_dozen_and_the_page_lists_them_all():
    assert len(GALLERY) >= 12
    listed = re.findall(
        r"^\| `([^`]+)`", (REPORTS.parent / "docs" / "gallery.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert listed == NAMES


@pytest.mark.parametrize("source", GALLERY, ids=NAMES)
def test_a_notebook_is_its_source_with_small_outputs_and_ends_with_a_picture(source):
    target = source.with_suffix(".ipynb")
    notebook = stored(target)
    assert sources(notebook) == sources(jupytext.read(source)), "run reports/gallery/make.py again"
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    last = [cell for cell in notebook.cells if cell.cell_type == "code"][-1]
    assert any("image/png" in output.get("data", {}) for output in last.outputs)
    assert target.stat().st_size < 250e3


@pytest.mark.parametrize("source", GALLERY, ids=NAMES)
def test_a_notebook_asks_one_question_and_names_the_trace_where_it_stands(source):
    text = source.read_text(encoding="utf-8")
    assert len(re.findall(r"^# ", text.split("```")[0], re.MULTILINE)) == 1
    assert 'sd.load("../../traces/llama.nc")' in text


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_s_notebook_looks_for_the_trace_where_it_stands(kind):
    (tagged,) = [cell for cell in read_source(kind).cells if "parameters" in cell.metadata.get("tags", [])]
    path = re.search(r'TRACE = "(.*)"', tagged.source)[1]
    assert (REPORTS / path).resolve() == TRACE.resolve()


@pytest.fixture(scope="module")
def posterior(tmp_path_factory):
    """The posterior of the shipped llama tables: the checkout's, or one fitted here."""
    if TRACE.is_file():
        return sd.load(TRACE)
    return sd.fit("llama").posterior


@pytest.mark.slow
@pytest.mark.parametrize("source", GALLERY, ids=NAMES)
def test_a_notebook_runs(source, posterior, monkeypatch):
    """All in one process, with one posterior."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    monkeypatch.chdir(source.parent)
    monkeypatch.setattr(sd, "load", lambda path: posterior)
    assert os.path.isdir("../../traces")
    together = {}
    for cell in jupytext.read(source).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, source.name, "exec"), together)
    assert plt.get_fignums()
    plt.close("all")
