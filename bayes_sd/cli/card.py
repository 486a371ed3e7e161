"""``card``: a verifier's or drafter's card, counted from its checkpoint's files."""

import os
from pathlib import Path

import click

from bayes_sd.cli.output import ToWrite, folded
from bayes_sd.errors import CardError, OutputError
from bayes_sd.files import write_atomically
from bayes_sd.loading import parse_json


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--safetensors-index",
    "index",
    type=click.Path(path_type=Path),
    help="model.safetensors.index.json, to check the config against.",
)
@click.option("--name", help="Name of the card.  [default: the checkpoint's folder]")
@click.option("--family", help="Family to list it under.  [default: the name up to its size]")
@click.option(
    "--method",
    type=click.Choice(
        ["draft_model", "eagle", "eagle3", "mtp", "medusa", "mlp_speculator", "dflash", "dspark"]
    ),
    help="Make a drafter's card of this method.  [default: what the config says]",
)
@click.option("--verifier", "verifiers", multiple=True, help="Whom a drafter was made for; repeatable.")
@click.option(
    "--set",
    "pairs",
    multiple=True,
    metavar="FIELD=VALUE",
    help="A field that the config lacks, or has wrong.",
)
@click.option("--hardware", help="Check that the weights fit on this GPU ...")
@click.option("--tp", default=1, show_default=True, type=click.IntRange(1), help="... or so many of it ...")
@click.option("--precision", help="... in this format.  [default: the checkpoint's own]")
@click.option("--models", type=click.Path(path_type=Path), help="Folder with further cards (TOML).")
@click.option("--output", type=ToWrite(), help="TOML file to write.  [default: print it]")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def card(checkpoint, index, output, force, as_json, **asked):
    """Count a card from CHECKPOINT: a config.json, the folder that holds it, or a GGUF file.

    Parameters are counted by part, with what a quantised checkpoint keeps at 16 bits and the layers that draft (MTP), if it
    has any. Put the file into a folder and name that folder with --models.

    \b
    Example:  uv run bayes_sd card config.json --name Mine-8B --output models/mine.toml
    """
    import json

    if output is not None and os.path.exists(output) and not force:
        raise OutputError(f"{output} is there already: name another file, or replace it with --force")
    made, checked = _derive(checkpoint, index, asked)
    cards = [made.card, *([made.beside] if made.beside is not None else [])]
    checked += _fit(made.card, asked)
    from bayes_sd.cards.checkpoint import as_toml

    text = as_toml(cards, made.card.family, f"Counted from {checkpoint.name} by `card`.")
    if output is not None:
        write_atomically(output, lambda path: path.write_text(text, encoding="utf-8"))
    if as_json:
        shown = [c.model_dump(mode="json", exclude_none=True) for c in cards]
        click.echo(
            json.dumps(
                {"cards": shown, "parts": made.parts, "notes": list(made.notes), "checked": checked}, indent=1
            )
        )
        return
    for line in _lines(made, checked):
        click.echo("\n".join(folded(line)), err=output is None)
    click.echo(f"wrote {output}" if output is not None else text, nl=output is not None)


def _derive(checkpoint, index, asked):
    from bayes_sd.cards.checkpoint import check_index, derive, derive_gguf, read_config, read_index

    if checkpoint.suffix == ".gguf":
        if index is not None or asked["pairs"] or asked["method"]:
            raise CardError(f"{checkpoint}: --safetensors-index, --set and --method go with a config.json")
        made = derive_gguf(checkpoint, asked["name"] or "")
        return _in_family(made, asked["family"]), []
    config = read_config(checkpoint, _fields(asked["pairs"]))
    name = asked["name"] or _name(checkpoint, config)
    family = asked["family"] or _family(name)
    made = derive(config, name, family, method=asked["method"], verifiers=tuple(asked["verifiers"]))
    return made, check_index(config, read_index(index), str(index)) if index is not None else []


def _in_family(made, family):
    from dataclasses import replace

    name = made.card.name
    return replace(made, card=made.card.model_copy(update={"family": family or _family(name)}))


def _family(name: str) -> str:
    from bayes_sd.cards.nearest import family_in

    return family_in(name) or "mine"


def _name(checkpoint: Path, config) -> str:
    said = config.outer.get("_name_or_path")
    folder = checkpoint if os.path.isdir(checkpoint) else checkpoint.parent
    found = said if isinstance(said, str) and said else folder.name
    if not found:
        raise CardError(f"{checkpoint}: nothing says the model's name: give it with --name")
    return found.rstrip("/").rsplit("/", 1)[-1]


def _fields(pairs: tuple[str, ...]) -> dict[str, object]:
    given: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise CardError(f"--set {pair!r}: write it as FIELD=VALUE")
        try:
            given[name.strip()] = parse_json(value, name, ValueError)
        except ValueError:
            given[name.strip()] = value.strip()
    return given


def _fit(made, asked) -> list[str]:
    """Check that the weights fit on a GPU that was named."""
    from bayes_sd.cards import Verifier, load_cards
    from bayes_sd.cards.fits import check_fits

    if (asked["hardware"] is None and asked["precision"] is None) or not isinstance(made, Verifier):
        return []
    cards = load_cards(asked["models"])
    precision = cards.precision(asked["precision"] or made.native_format or "fp16")
    if asked["hardware"] is None:
        return []
    hardware = cards.hardware(asked["hardware"])
    check_fits(made, hardware, precision, asked["tp"])
    size = made.weight_bytes(precision) / 1e9
    return [f"{size:,.1f} GB of weights in {precision.weights.name} fit on {asked['tp']} x {hardware.name}"]


def _lines(made, checked: list[str]) -> list[str]:
    card, total = made.card, sum(made.parts.values())
    lines = [f"{card.name}: {total / 1e9:,.3f}e9 parameters, {card.active_params_b:,.3f}e9 for a token"]
    width = max(len(part) for part in made.parts)
    lines += [f"  {part:{width}}  {n / 1e9:10,.4f}e9" for part, n in made.parts.items()]
    if hasattr(card, "kv_elements_per_token"):
        elements = card.kv_elements_per_token
        lines.append(
            f"cache: {elements:,} elements a token ({2 * elements / 1e3:,.1f} kB at 16 bits), "
            f"{card.full_attention_layers} of {card.layers} layers grow with the context"
        )
    if getattr(card, "native_format", None):
        lines.append(
            f"format: {card.native_format}, {card.kept_16bit_params_b:,.3f}e9 parameters kept at 16 bits"
        )
    if made.beside is not None:
        lines.append(f"beside it: drafter {made.beside.name}, {made.beside.params_b:,.3f}e9 parameters")
    return [*lines, *(f"checked: {words}" for words in checked), *(f"note: {words}" for words in made.notes)]
