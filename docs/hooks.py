"""Pages of the documentation that are made from the package: every public name, every command, the changelog.

mkdocs imports this file (``hooks`` in ``mkdocs.yml``). Pages of ``docs/`` link to files of the checkout beside it; on the site such
links lead to the page if there is one, and are plain words otherwise.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

TOP = Path(__file__).parents[1]
OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+(?!docs/)[^)]*\)")
"""A link to a file of the checkout that is no page."""


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages."""
    made = {"reference/names.md": names(), "reference/commands.md": commands(), "changelog.md": changelog()}
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links to files of the checkout into words, on the pages that stand at the top of ``docs/``."""
    return markdown if "/" in page.file.src_uri else OUTSIDE.sub(r"\1", markdown)


ROLE = re.compile(r":(?:func|class|data|mod|meth|attr):<code>~?([\w.]+)</code>")
"""A reference of a docstring as it comes out of Markdown."""


def on_page_content(html: str, **_: Any) -> str:
    """Show references of docstrings by their last name."""
    return ROLE.sub(lambda role: f"<code>{role[1].rsplit('.', 1)[-1]}</code>", html)


def names() -> str:
    """Give one heading to each public name, from its docstring."""
    import bayes_sd

    lines = ["# Every public name\n", "`import bayes_sd as sd`; [what each is for](../api.md).\n"]
    called: dict[str, list[str]] = {}
    for name in sorted(bayes_sd.__all__, key=str.casefold):
        value = getattr(bayes_sd, name)
        called.setdefault(f"{value.__module__}.{value.__qualname__}", []).append(name)
    for where, several in called.items():
        lines.append(f'::: {where}\n    options:\n      heading: "{", ".join(several)}"\n')
    return "\n".join(lines)


def commands() -> str:
    """Give every command's help, as the terminal shows it."""
    import click

    from bayes_sd.cli import COMMANDS, command

    lines = ["# Commands\n", "`uv run bayes_sd COMMAND --help` prints the same.\n"]
    context = click.Context(command, info_name="bayes_sd", max_content_width=100, terminal_width=100)
    for name in COMMANDS:
        own = command.get_command(context, name)
        assert own is not None
        inner = click.Context(own, parent=context, info_name=name, max_content_width=100, terminal_width=100)
        lines += [f"## {name}\n", "```text", own.get_help(inner), "```\n"]
    return "\n".join(lines)


def changelog() -> str:
    """Give the changelog, its links as seen from the site."""
    text = (TOP / "CHANGELOG.md").read_text(encoding="utf-8")
    return text.replace("](docs/", "](")
