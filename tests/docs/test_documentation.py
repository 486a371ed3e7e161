"""What the documentation tells people to type is what the program takes; its links lead somewhere; its code runs."""

import re
import shlex
from pathlib import Path

import click
import pytest

from bayes_sd.cli import COMMANDS, command, main

TOP = Path(__file__).parents[2]
PAGES = [*sorted(TOP.glob("*.md")), *sorted((TOP / "docs").glob("*.md"))]
NAMES = [str(page.relative_to(TOP)) for page in PAGES]
CALLS = ("uv run bayes_sd ", "uv run python -m bayes_sd ", "python -m bayes_sd ")


def blocks(page, language):
    """Give the fenced blocks of a page in a language."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def commands_of(page):
    """Give the program's own commands among those that a page shows, as lists of words."""
    found = []
    for block in blocks(page, "console"):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            shown = line.removeprefix("$ ").split(" | ")[-1].strip()
            start = next((call for call in CALLS if shown.startswith(call)), None)
            if line.startswith("$ ") and start is not None:
                found.append(
                    shlex.split(shown.removeprefix(start).replace("[", "").replace("]", ""), comments=True)
                )
    return found


TYPED = [(name, words) for name, page in zip(NAMES, PAGES, strict=True) for words in commands_of(page)]


def test_pages_show_commands():
    assert len(TYPED) > 25
    assert {words[0] for _, words in TYPED} >= {
        "fit",
        "predict",
        "speedup",
        "tune",
        "plan",
        "ingest",
        "explore",
    }


@pytest.mark.parametrize(("page", "words"), TYPED, ids=[" ".join(words)[:60] for _, words in TYPED])
def test_every_command_is_one_that_the_program_takes(page, words):
    """The command exists, and so does every option with its kind of value."""
    assert words[0] in COMMANDS, page
    own = command.get_command(click.Context(command), words[0])
    assert own is not None
    own.make_context(words[0], [word for word in words[1:] if word != "..."], resilient_parsing=False)


@pytest.mark.parametrize("name", NAMES)
def test_links_to_files_of_the_checkout_lead_somewhere(name):
    page = TOP / name
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    made = {"reference/commands.md", "reference/names.md"}
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if not target.startswith(("http://", "https://", "mailto:")) and target not in made:
            assert (page.parent / target).exists(), f"{name}: {target}"


@pytest.mark.parametrize("name", NAMES)
def test_python_shown_is_python(name):
    for block in blocks(TOP / name, "python"):
        compile(block, name, "exec")


NOT_HERE = {
    "acceptance": "minutes of sampling",
    "card": "files of a checkpoint",
    "check": "a minute for each page",
    "compare": "two fits",
    "fit": "minutes of sampling; CI's own tests fit",
    "measure": "a server",
    "monitor": "live numbers",
    "report": "tests/report makes each",
    "update": "new rows",
}
"""Commands of the documentation that are not run from it, and what they need."""


@pytest.fixture(scope="module")
def place(small_trace, tmp_path_factory):
    """A folder like the checkout, with a small trace where the pages have the whole one."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "traces").mkdir()
    for name in ("llama", "mine"):
        (folder / "traces" / f"{name}.nc").symlink_to(small_trace)
    for name in ("docs", "data", "models"):
        (folder / name).symlink_to(TOP / name)
    return folder


RUN = [
    (page, words)
    for page, words in TYPED
    if words[0] not in NOT_HERE and not {"FILE...", "FOLDER"} & set(words)
]


@pytest.mark.slow
@pytest.mark.parametrize(("page", "words"), RUN, ids=[" ".join(words)[:60] for _, words in RUN])
def test_commands_run(place, monkeypatch, capsys, page, words):
    monkeypatch.chdir(place)
    files = [str(p) for word in words for p in (sorted(place.glob(word)) if "*" in word else [word])]
    monkeypatch.setattr("sys.argv", ["bayes_sd", *files])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code, capsys.readouterr().err


PYTHON = ["README.md", "docs/tutorial.md", "docs/decisions.md"]


@pytest.mark.slow
@pytest.mark.parametrize("name", PYTHON)
def test_python_runs(place, monkeypatch, name):
    monkeypatch.chdir(place)
    together = {}
    for block in blocks(TOP / name, "python"):
        # The small trace knows the A100 only.
        exec(
            block.replace('hardware="H100", ', "").replace('workload="support-chat"', 'workload="gsm8k"'),
            together,
        )


def test_the_changelog_has_its_form():
    text = (TOP / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^(#+) (.*)$", text, re.MULTILINE)
    assert headings[:2] == [("#", "Changelog"), ("##", "[Unreleased]")]
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert {words for level, words in headings if level == "###"} <= kinds
    assert all(
        re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", w)
        for level, w in headings[2:]
        if level == "##"
    )
