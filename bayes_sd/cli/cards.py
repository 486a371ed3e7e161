"""``cards``: which verifiers, drafters, GPUs and formats are known, and which are nearest to a name."""

from pathlib import Path

import click

SECTIONS = ("verifier", "drafter", "hardware", "weights")


@click.command()
@click.argument("query", default="")
@click.option("--section", type=click.Choice(SECTIONS), help="Only cards of this kind.  [default: all]")
@click.option("--models", type=click.Path(path_type=Path), help="Folder with further cards (TOML).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: whole cards.")
def cards(query, section, models, as_json):
    """List the cards that QUERY means: a name as people write it, a part of one, a family, a method.

    Where no verifier is meant, those nearest by family and size are listed.

    \b
    Example:  uv run bayes_sd cards Qwen3-30B-A3B-Instruct-2507-FP8
    """
    import json

    from bayes_sd.cards import load_cards
    from bayes_sd.cards.search import nearest_verifiers, search

    known = load_cards(models)
    found = {name: search(known, name, query) for name in ([section] if section else SECTIONS)}
    near = [] if any(found.values()) or section not in (None, "verifier") else nearest_verifiers(known, query)
    if as_json:
        shown = {
            name: [c.model_dump(mode="json", exclude_none=True) for c in listed]
            for name, listed in found.items()
        }
        click.echo(json.dumps({**shown, "nearest": [c.name for c in near]}, indent=1))
        return
    for name, listed in found.items():
        if listed:
            click.echo(f"{name}: {len(listed)}")
            click.echo("\n".join(_row(card) for card in listed))
    if not any(found.values()):
        click.echo(f"no card is named {query!r}")
        if near:
            click.echo("nearest verifiers:")
            click.echo("\n".join(_row(card) for card in near))
        click.echo("make one: uv run bayes_sd card config.json --output models/mine.toml")


def _row(card) -> str:
    from bayes_sd.cards import Drafter, Hardware, Verifier

    if isinstance(card, Verifier):
        sparse = f", {card.active_params_b:,.1f} active" if card.is_moe else ""
        native = f", published in {card.native_format}" if card.native_format else ""
        words = f"{card.params_b:,.1f}e9 parameters{sparse}{native}"
    elif isinstance(card, Drafter):
        words = f"{card.method}, {card.params_b:,.2f}e9" + (
            f", for {', '.join(card.verifiers)}" * bool(card.verifiers)
        )
    elif isinstance(card, Hardware):
        words = f"{card.memory_gb:g} GB, {card.bandwidth_gb_per_s:g} GB/s, {card.fp16_tflops:g} TFLOP/s at 16 bits"
    else:
        words = f"{card.bits_per_param:g} bits a weight"
    return f"  {card.name:36} {words}"
