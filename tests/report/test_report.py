"""Reports: one source each, run on a posterior, one page that needs nothing else and opens in a browser without complaint."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from browser import hard_to_read, opened, without_words

from bayes_sd.report.build import FORMS, KINDS, make_report, read_source, to_quarto

REPORTS = Path(__file__).parents[2] / "reports"


@pytest.fixture(scope="session")
def pages(small_trace, tmp_path_factory):
    """Reports made so far, by kind."""
    folder, made = tmp_path_factory.mktemp("reports"), {}

    def page(kind):
        if kind not in made:
            made[kind] = make_report(kind, small_trace, folder / f"{kind}.html")
        return made[kind]

    return page


KINDS_RUN = [
    "family",
    pytest.param("decision", marks=pytest.mark.slow),
    pytest.param("model", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", FORMS)
def test_notebook_and_quarto_document_are_those_of_the_source(kind, suffix):
    stored = (REPORTS / f"{kind}{suffix}").read_text(encoding="utf-8")
    if suffix == ".ipynb":  # which is committed with what it showed
        notebook = nbformat.reads(stored, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        stored = nbformat.writes(notebook) + "\n"
    assert stored == FORMS[suffix](kind), (
        "run python -c 'from bayes_sd.report.build import write_derived; ...' again"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_takes_a_trace_as_parameter(kind):
    tagged = [c for c in read_source(kind).cells if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert tagged[0].source.startswith("TRACE = ")
    assert "#| tags: [parameters]\nTRACE = " in to_quarto(kind)


@pytest.mark.parametrize("kind", KINDS_RUN)
def test_a_page_needs_nothing_else(pages, kind):
    text = pages(kind).read_text(encoding="utf-8")
    addresses = re.findall(r"""(?:src|href)=["']([^"']*)""", text)
    assert addresses
    assert all(a.startswith(("data:", "#")) for a in addresses)
    assert "<script" not in text
    assert "Traceback" not in text and "Warning" not in text
    assert text.count("<img") >= 2
    assert all(words for words in re.findall(r'<img[^>]*alt="([^"]*)"', text))


@pytest.mark.parametrize("kind", KINDS_RUN)
def test_each_number_has_a_reading_and_a_caveat(pages, kind):
    text = pages(kind).read_text(encoding="utf-8")
    rows = re.findall(r"<table class=.numbers.>.*?</table>", text, flags=re.DOTALL)
    cells = re.findall(r"<td>([^<]+)<em>([^<]+)</em></td>", "".join(rows))
    assert len(cells) >= 4
    assert all(reading.strip() and caveat.strip().endswith(".") for reading, caveat in cells)


@pytest.mark.parametrize("kind", KINDS_RUN)
def test_a_page_opens_in_a_browser_without_complaint(pages, kind):
    """Headless Chromium: every image has a size, the console stays silent, nothing is wider than the window."""
    with opened(pages(kind)) as window:
        widths = window.execute_script("return [...document.images].map(i => i.naturalWidth)")
        wide = window.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
        assert window.get_log("browser") == []
        assert hard_to_read(window) == {}
        assert without_words(window) == []
    assert widths and min(widths) > 100
    assert wide <= 0


@pytest.mark.skipif(shutil.which("quarto") is None, reason="Quarto is not installed")
def test_quarto_renders_the_same_report(small_trace, tmp_path):
    page = make_report("family", small_trace, tmp_path / "family.html", quarto=True)
    assert "<img" in page.read_text(encoding="utf-8")


def refused(*args):
    done = subprocess.run(
        [sys.executable, "-m", "bayes_sd", "report", *map(str, args)], capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    return done.stderr


def test_what_cannot_be_reported_is_refused(tmp_path, small_trace):
    out = tmp_path / "r.html"
    assert "no.nc" in refused(tmp_path / "no.nc", "--output", out)
    assert ".html" in refused(small_trace, "--output", tmp_path / "r.pdf")
    assert not out.exists()
    if shutil.which("quarto") is None:
        assert "Quarto" in refused(small_trace, "--output", out, "--quarto")
