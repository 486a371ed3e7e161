"""Prompts of a wanted length: tokens by number, made-up words, or a file of a user's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bayes_sd.errors import DataError
from bayes_sd.loading import parse_json, read_text

SYLLABLES = ("ba", "de", "fi", "go", "hu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "zu")
MOST_VOCABULARY = 10_000_000
TOKENS_PER_WORD = 3.0
"""First guess for made-up words; corrected by what the server counts."""


@dataclass(frozen=True)
class Prompts:
    """Where prompts come from; the first that is set.

    Attributes
    ----------
    texts : tuple of str
        A user's own, sent in random order, whatever their length.
    vocabulary : range or None
        Token numbers to draw from: lengths are then exact.
    """

    texts: tuple[str, ...] = ()
    vocabulary: range | None = None

    @property
    def kind(self) -> str:
        """What they are called in the column `workload` where the user names none."""
        return "own-prompts" if self.texts else "random-tokens" if self.vocabulary else "random-words"

    def stream(
        self, prompt_tokens: int, seed: Sequence[int], tokens_per_word: float = TOKENS_PER_WORD
    ) -> Iterator[str | list[int]]:
        """Give prompts without end, no two alike.

        Parameters
        ----------
        prompt_tokens : int
            Length wanted.
        seed : sequence of int
            Same seed, same prompts.
        tokens_per_word : float
            Of made-up words, as measured.

        Yields
        ------
        str or list of int
        """
        rng = np.random.default_rng(list(seed))
        while True:
            if self.texts:
                yield self.texts[int(rng.integers(len(self.texts)))]
            elif self.vocabulary:
                yield rng.integers(self.vocabulary.start, self.vocabulary.stop, size=prompt_tokens).tolist()
            else:
                words = max(1, round(prompt_tokens / tokens_per_word))
                chosen = rng.integers(len(SYLLABLES), size=(words, 3))
                yield " ".join("".join(SYLLABLES[i] for i in word) for word in chosen)


def read_prompts(path: str | Path) -> tuple[str, ...]:
    """Read a user's prompts.

    Parameters
    ----------
    path : path-like
        JSON lines with a member ``prompt`` (or JSON texts), or plain text with a prompt on each line.

    Returns
    -------
    tuple of str

    Raises
    ------
    DataError
        If it cannot be read or holds no prompt.
    """
    file = Path(path)
    lines = read_text(file).splitlines()
    found = [_prompt(file, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not found:
        raise DataError(f"{file}: no prompt in it; give one a line")
    return tuple(found)


def _prompt(file: Path, number: int, line: str) -> str:
    if not line.lstrip().startswith(("{", '"')):
        return line
    try:
        entry = parse_json(line, "")
    except DataError:
        return line  # a prompt may look like JSON
    prompt = entry.get("prompt") if isinstance(entry, dict) else entry
    if not isinstance(prompt, str) or not prompt:
        raise DataError(f"{file}, line {number}: no member 'prompt' with a text; add it or remove the line")
    return prompt


def parse_vocabulary(text: str) -> range:
    """Read FIRST-LAST or SIZE into a range of token numbers.

    Raises
    ------
    DataError
        If it is neither.
    """
    low, dash, high = text.partition("-")
    try:
        found = range(int(low), int(high) + 1) if dash else range(int(text))
    except ValueError as error:
        raise DataError(f"vocabulary {text!r}: give a size, or FIRST-LAST token numbers") from error
    if found.start < 0 or not 2 <= found.stop - found.start <= MOST_VOCABULARY:
        raise DataError(
            f"vocabulary {text!r}: needs at least two tokens, from 0 up, {MOST_VOCABULARY:,} at most"
        )
    return found
