"""The documentation as people see it: built as a site, its pages are readable in light and dark, at any width, without a mouse."""

import subprocess
import sys
from pathlib import Path

import pytest
from browser import coloured, hard_to_read, opened, resized, without_words

TOP = Path(__file__).parents[2]
PAGES = ("index", "tutorial", "decisions", "api", "reference/commands", "reference/names", "model", "gallery")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)],
        cwd=TOP,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def window(site):
    with opened(site / "index.html") as browser:
        yield browser


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_readable(site, window, page):
    window.get((site / f"{page}.html").as_uri())
    for width in (400, 800, 1600):
        resized(window, width)
        for scheme in ("light", "dark"):
            coloured(window, scheme)
            wide = window.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, (width, scheme)
    assert hard_to_read(window) == {}
    assert without_words(window) == []
