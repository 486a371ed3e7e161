"""``cards``: which verifiers, drafters, GPUs and formats are known, and which are nearest to a name."""

from pathlib import Path

import click

from bayes_sd.cli.output import ToWrite, gave, tell_written
from bayes_sd.cli.page import Page

SECTIONS = ("verifier", "drafter", "hardware", "weights")
PLURALS = {"verifier": "verifiers", "drafter": "drafters", "hardware": "GPUs", "weights": "number formats"}
MOST_ROWS = 16
"""Cards listed without --all, those of all kinds together."""


@click.command()
@click.argument("query", default="")
@click.option("--section", type=click.Choice(SECTIONS), help="Only cards of this kind.  [default: all]")
@click.option("--models", type=click.Path(path_type=Path), help="Folder with further cards (TOML).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: whole cards.")
@click.option("--output", type=ToWrite(), help="Names and numbers: FILE.csv or FILE.json.")
@click.option("--all", "every", is_flag=True, help="List all that are found.")
def cards(query, section, models, as_json, output, every):
    """List the cards that QUERY means: a name as people write it, a part of one, a family, a method.

    Where no verifier is meant, those nearest by family and size are listed.

    \b
    Example:  uv run bayes_sd cards Qwen3-30B-A3B-Instruct-2507-FP8
    """
    import pandas as pd

    from bayes_sd.cards import load_cards
    from bayes_sd.cards.search import nearest_verifiers, search
    from bayes_sd.decide.tables import PLAIN, check_format

    check_format(output, PLAIN)
    known = load_cards(models)
    found = {name: search(known, name, query) for name in ([section] if section else SECTIONS)}
    near = [] if any(found.values()) or section not in (None, "verifier") else nearest_verifiers(known, query)
    whole = {
        name: [c.model_dump(mode="json", exclude_none=True) for c in listed] for name, listed in found.items()
    }
    named = [(name, c.name, _words(c)) for name, listed in found.items() for c in listed]
    table = pd.DataFrame(named, columns=["section", "name", "words"])
    if gave({**whole, "nearest": [c.name for c in near]}, table, "found", output, as_json):
        return
    _print(query, found, near, every)
    tell_written(output)


def _print(query, found, near, every) -> None:
    """Print how many cards are meant, some of each kind, and what to do where none is."""
    page = Page()
    kinds = {name: len(listed) for name, listed in found.items() if listed}
    meant = f" that {query!r} means" if query else ""
    if not kinds:
        page.answer(
            f"No card is named {query!r}: make one by uv run bayes_sd card config.json --output models/mine.toml"
        )
        if near:
            page.table(
                "Nearest verifiers, by family and size",
                ("name", ""),
                [(c.name, _words(c)) for c in near],
                left=2,
            )
        page.print()
        return
    page.answer(f"Cards{meant}: {', '.join(f'{n} {_plural(name, n)}' for name, n in kinds.items())}.")
    most = MOST_ROWS // len(kinds)
    for name, listed in found.items():
        shown = listed if every else listed[:most]
        if shown:
            page.table(_plural(name, 2), ("name", ""), [(c.name, _words(c)) for c in shown], left=2)
        if len(shown) < len(listed):
            page.say(f"{len(listed) - len(shown)} more with --all, --json, or another QUERY.")
    page.print()


def _plural(section: str, n: int) -> str:
    return PLURALS[section] if n != 1 else PLURALS[section].removesuffix("s")


def _words(card) -> str:
    from bayes_sd.cards import Drafter, Hardware, Verifier

    if isinstance(card, Verifier):
        sparse = f", {card.active_params_b:,.1f} active" if card.is_moe else ""
        native = f", published in {card.native_format}" if card.native_format else ""
        words = f"{card.params_b:,.1f}e9 parameters{sparse}{native}"
    elif isinstance(card, Drafter):
        size = f", {card.params_b:,.2f}e9 parameters" if card.params_b else ", no weights of its own"
        words = f"{card.method}{size}" + (f", for {', '.join(card.verifiers)}" if card.verifiers else "")
    elif isinstance(card, Hardware):
        words = f"{card.memory_gb:g} GB, {card.bandwidth_gb_per_s:g} GB/s, {card.fp16_tflops:g} TFLOP/s at 16 bits"
    else:
        words = f"{card.bits_per_param:g} bits a weight"
    return words
