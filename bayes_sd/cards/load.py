"""Reads the TOML cards into one :class:`Cards`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayes_sd.cards.canonical import hardware_spellings, read_flag, split_format
from bayes_sd.cards.drafter import Drafter, Family
from bayes_sd.cards.estimate import estimate_drafter, estimate_verifier, refuse_half_told_mixture
from bayes_sd.cards.formats import OPEN, read_formats
from bayes_sd.cards.hardware import Hardware
from bayes_sd.cards.known import Known
from bayes_sd.cards.names import key
from bayes_sd.cards.nearest import suggest_verifier
from bayes_sd.cards.precision import Precision, parse_precision
from bayes_sd.cards.read import read_cards
from bayes_sd.cards.stated import SPELLED, stated_hardware
from bayes_sd.cards.verifier import Verifier
from bayes_sd.errors import CardError
from bayes_sd.files import shipped

if TYPE_CHECKING:
    import pandas as pd

NOT_CARDS = ("acceptance", "priors", "engines")
"""How the names of files of another form begin that stand beside the cards."""
UNSTATED = "fp16"
"""Number format of a row that states none, of a model whose card names none: checkpoints are published at 16 bits."""
MEMORY = re.compile(r"(?P<name>.+?)-(?P<gb>\d+)-?gb?")
MEMORY_WITHIN = 0.06
"""How far a stated memory may lie from a card's: vendors round it, and some count in powers of 2."""
OWN_LAYERS = ("native-mtp", "mtp", "nextn", "native-nextn")
"""Names that a checkpoint's own layers for further tokens go by, whichever checkpoint it is."""

SIZE_WITHIN = 50.0
"""How many times a stated size may be the card's, which goes before it: further off it is in another unit."""


class Cards(Known):
    """Everything the cards say, looked up by names as people write them."""

    def hardware(self, name: str) -> Hardware:
        """Give the card of a GPU, or one of its stated numbers.

        Parameters
        ----------
        name : str
            Name or alias; or ``NAME(memory_gb=24 bandwidth_gb_per_s=1008 fp16_tflops=165)``, where NAME may have a
            card whose other numbers stay.

        Returns
        -------
        Hardware

        Raises
        ------
        CardError
            With the nearest names where there is none.
        """
        spelled = SPELLED.fullmatch(name)
        known = None if spelled is None else self._gpu(spelled["name"])
        return stated_hardware(name, known) or self._gpu(name) or self.find("hardware", name)

    def has(self, section: str, name: str) -> bool:
        """Say whether a section has a card that a name means."""
        return self._gpu(name) is not None if section == "hardware" else super().has(section, name)

    def _gpu(self, name: str) -> Hardware | None:
        """Look a GPU up under every spelling of its name; a memory size at its end must be the card's."""
        for spelled in hardware_spellings(name):
            card: Hardware | None = self._index["hardware"].get(spelled)
            sized = MEMORY.fullmatch(spelled)
            if card is None and sized is not None:
                other = self._index["hardware"].get(sized["name"])
                same = other is not None and abs(float(sized["gb"]) / other.memory_gb - 1) < MEMORY_WITHIN
                card = other if same else None
                if other is not None and not same and other.memory_kind == "shared":
                    # A computer's memory is bought in several sizes with one chip.
                    card = stated_hardware(f"{other.name}(memory_gb={sized['gb']})", other)
            if card is not None:
                return card
        return None

    def verifier(self, name: str) -> Verifier:
        """Give the card of a verifier.

        Parameters
        ----------
        name : str
            Name or alias, with or without its organisation, a format at its end, or its training ("-Instruct", "-2507").

        Returns
        -------
        Verifier

        Raises
        ------
        CardError
            With the names nearest by family and size where there is none.
        """
        found = self.model("verifier", name)
        if found is None:
            near = suggest_verifier(name, self.by_section["verifier"])
            raise CardError(
                f"no verifier card is named {name!r}: {near} "
                "(or make one with `card config.json` and name its folder with --models DIR)"
            )
        return found

    def drafter(self, name: str) -> Drafter:
        """Give the card of a drafter; CardError with the nearest names where there is none."""
        return self.model("drafter", name) or self.find("drafter", name)

    def weights_of(self, name: str) -> str | None:
        """Give the weight format that a verifier's name says, or in which its checkpoint is published.

        Parameters
        ----------
        name : str
            As written: ``Qwen3-8B-AWQ``, ``gpt-oss-120b``.

        Returns
        -------
        str or None
            Name of a weight format; None where neither says one (16 bits).
        """
        said = split_format(name)[1]
        card = self.model("verifier", name)
        return said or (None if card is None else card.native_format)

    def stated_or_native(self, stated: object, verifier: str) -> str:
        """Give the number formats that a row means.

        Parameters
        ----------
        stated : object
            Its ``precision``; None, NaN and "" mean not stated.
        verifier : str
            The model served.

        Returns
        -------
        str
            What is stated, else the format of the published checkpoint, else 16 bits.
        """
        text = stated.strip() if isinstance(stated, str) else ""
        text = "" if text.casefold() in OPEN else text
        return text or self.weights_of(verifier) or UNSTATED

    def precision(self, name: str, verifier: str | None = None) -> Precision:
        """Read a precision as a table has it.

        Parameters
        ----------
        name : str
            Such as ``"fp8"`` or ``"w:w4a16 kv:fp8 eager"``.
        verifier : str, optional
            Name of the verifier served with it: its card may say that a format's name means another one there
            ("fp4" of gpt-oss is MXFP4). A verifier without a card changes nothing.

        Returns
        -------
        Precision
            Its name is canonical.

        Raises
        ------
        CardError
            If a format is unknown.
        """
        weights = dict(self._index["weights"])
        if verifier is not None and self.has("verifier", verifier):
            meant = self.verifier(verifier).format_means
            weights |= {key(said): weights[key(means)] for said, means in meant.items()}
        cache, flags = self._index["kv"], self._index["flags"]
        try:
            return parse_precision(name, weights, cache, flags)
        except CardError:
            read = read_formats(name)
            if read in ("", name):
                raise
            return parse_precision(read, weights, cache, flags)

    @cached_property
    def families(self) -> Mapping[str, Family]:
        """Families that have verifiers, by name."""
        verifiers, drafters = self.by_section["verifier"].values(), self.by_section["drafter"].values()
        return {
            name: Family(
                name=name,
                verifiers=tuple(v.name for v in verifiers if v.family == name),
                drafters=tuple(d.name for d in drafters if d.family == name),
            )
            for name in dict.fromkeys(v.family for v in verifiers)
        }

    def verifier_from_row(self, row: Mapping[str, Any] | pd.Series) -> Verifier:
        """Give the verifier of a row: its card, or one estimated from the row's own columns.

        Parameters
        ----------
        row : mapping
            With ``verifier`` and, where there is no card, ``verifier_params_b`` and as far as known
            ``verifier_active_params_b``, ``n_experts``, ``top_k_experts``. None, NaN and "" mean not known.

        Returns
        -------
        Verifier
            ``estimated`` says which.

        Raises
        ------
        CardError
            If there is neither a card nor a parameter count, or the counts contradict each other.
        """
        name = str(row["verifier"])
        params_b = _known(row.get("verifier_params_b"))
        if self.has("verifier", name):
            card = self.verifier(name)
            if params_b is not None and not 1 / SIZE_WITHIN <= params_b / card.params_b <= SIZE_WITHIN:
                raise CardError(
                    f"verifier_params_b is {params_b:g} and the card of {name!r} says {card.params_b:g} (10^9): is it in another "
                    "unit (off by 1000)?"
                )
            return card
        if params_b is None:
            near = suggest_verifier(name, self.by_section["verifier"])
            raise CardError(
                f"no verifier card is named {name!r} and verifier_params_b is blank: {near} "
                "Give its parameters in the table, or make a card with `card config.json` and --models DIR"
            )
        experts, top_k = _known(row.get("n_experts")), _known(row.get("top_k_experts"))
        active_b = _known(row.get("verifier_active_params_b"))
        refuse_half_told_mixture(name, read_flag(row.get("is_moe")), params_b, active_b, (experts, top_k))
        return estimate_verifier(
            name,
            self.by_section["verifier"].values(),
            params_b=params_b,
            active_params_b=active_b,
            n_experts=None if experts is None else int(experts),
            top_k_experts=None if top_k is None else int(top_k),
        )

    def drafter_from_row(self, row: Mapping[str, Any] | pd.Series) -> Drafter | None:
        """Give the drafter of a row: None without speculation, its card, or an estimated one.

        Parameters
        ----------
        row : mapping
            With ``method`` and, where known, ``drafter`` and ``drafter_params_b``; and what
            `verifier_from_row` takes.

        Returns
        -------
        Drafter or None
            ``estimated`` says whether it has a card.

        Raises
        ------
        CardError
            For a draft model with neither a card nor a size.
        """
        method = str(row.get("method") or "none")
        if method == "none":
            return None
        name = str(_known_text(row.get("drafter")) or method)
        found = self.model("drafter", name)
        if found is not None and key(name) in OWN_LAYERS:
            # A name that many checkpoints' own layers go by: the verifier says whose they are.
            verifier = self.verifier_from_row(row)
            found = self._own_layers(verifier.name)
            name = f"{verifier.name}-MTP"
        if found is not None:
            return found
        return estimate_drafter(
            name, method, self.verifier_from_row(row), _known(row.get("drafter_params_b"))
        )

    def _own_layers(self, verifier: str) -> Drafter | None:
        drafters = self.by_section["drafter"].values()
        return next((d for d in drafters if d.method == "mtp" and verifier in d.verifiers), None)

    def _add_folder(self, folder: Path) -> None:
        files = sorted(f for f in folder.glob("*.toml") if not f.name.startswith(NOT_CARDS))
        if not files:
            raise CardError(f"{folder}: no .toml card in it; name a folder that holds cards")
        owner: dict[tuple[str, str], str] = {}
        for file in files:
            for section, card in read_cards(file):
                self.add(file, section, card, owner)

    def _check(self) -> None:
        """Check that what one entry says of another exists."""
        for weights in self.by_section["weights"].values():
            self.must_have("kv", weights.kv, f"[weights.{weights.name}] kv")
        for drafter in self.by_section["drafter"].values():
            for verifier in drafter.verifiers:
                self.must_have("verifier", verifier, f"[drafter.{drafter.name!r}] verifiers")
        for verifier in self.by_section["verifier"].values():
            for meant in verifier.format_means.values():
                self.must_have("weights", meant, f"[verifier.{verifier.name!r}] format_means")


def load_cards(extra_dir: Path | None = None) -> Cards:
    """Read the shipped cards, and a user's own on top of them.

    Parameters
    ----------
    extra_dir : Path or None
        A folder of .toml files of the same form; an entry replaces the shipped one of the same name, whole.

    Returns
    -------
    Cards
        All cards.

    Raises
    ------
    CardError
        For a folder or file that is missing or malformed, an unknown key, a value out of range, or entries
        that contradict each other; the message names file, entry and key.
    """
    cards = _shipped(shipped("models")).overlaid({})
    if extra_dir is not None:
        if not os.path.isdir(extra_dir):
            raise CardError(f"{extra_dir}: no such folder of cards")
        cards._add_folder(Path(extra_dir))
        cards._check()
    return cards


@cache
def _shipped(folder: Path) -> Cards:
    """Read the shipped cards, which stay as they are while a program runs; callers are given copies."""
    cards = Cards()
    cards._add_folder(folder)
    cards._check()
    return cards


def _known(value: Any) -> float | None:
    if value is None or value == "":
        return None
    number = float(value)
    return None if number != number else number  # NaN is the only number that differs from itself


def _known_text(value: Any) -> str:
    return value if isinstance(value, str) else ""
