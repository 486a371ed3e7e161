"""A built wheel in an environment of its own: everything that the program reads is in it, and it works away from the checkout."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not on the path"),
]


def ran(*words, cwd):
    done = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    ran("uv", "build", "--quiet", "--wheel", "--out-dir", folder, cwd=TOP)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def program(wheel, tmp_path_factory):
    """The installed program, and a folder away from the checkout to run it in."""
    folder = tmp_path_factory.mktemp("clean")
    ran("uv", "venv", "--quiet", "--python", sys.executable, folder / "env", cwd=folder)
    place = folder / "env" / ("Scripts" if sys.platform == "win32" else "bin")
    wanted = folder / "wanted.txt"
    # The locked versions, so that what is tested is the wheel and not what was published today.
    ran(
        "uv",
        "export",
        "--quiet",
        "--locked",
        "--no-emit-project",
        "--no-default-groups",
        "--output-file",
        wanted,
        cwd=TOP,
    )
    ran("uv", "pip", "install", "--quiet", "--python", place / "python", "--requirement", wanted, cwd=folder)
    ran("uv", "pip", "install", "--quiet", "--python", place / "python", "--no-deps", wheel, cwd=folder)
    return place / "bayes_sd", folder


def test_every_file_of_the_package_is_in_it(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        str(p.relative_to(TOP))
        for p in (TOP / "bayes_sd").rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }
    for kind in ("models", "data"):
        wanted |= {f"bayes_sd/_shipped/{p.relative_to(TOP)}" for p in (TOP / kind).rglob("*") if p.is_file()}
    assert not wanted - held
    assert any(name.endswith("licenses/LICENSE") for name in held)


def test_it_knows_its_version_cards_and_tables(program):
    bayes_sd, folder = program
    assert "version" in ran(bayes_sd, "--version", cwd=folder)
    assert "Llama-3.1-8B" in ran(bayes_sd, "cards", "Llama-3.1-8B", cwd=folder)
    read = "from bayes_sd.sample.fit import observations; print(len(observations('llama')[0]))"
    assert int(ran(bayes_sd.with_name("python"), "-c", read, cwd=folder)) > 500


def test_it_answers_from_a_posterior(program, small_trace):
    bayes_sd, folder = program
    assert "k=" in ran(bayes_sd, "tune", small_trace, "--loads", "1,16", cwd=folder).replace("k = ", "k=")
    ran(bayes_sd, "explore", small_trace, "--output", "page.html", cwd=folder)
    assert (folder / "page.html").stat().st_size > 1e6
