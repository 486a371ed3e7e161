"""The language that the small models speak: every word has one successor, and drafter and verifier agree on a known share.

A verifier continues each text along a fixed cycle through the words of a workload. A drafter has a map of its own, which
differs at a chosen share 1 - α of the words of the workload. Greedy verification then accepts a drafted token exactly
where the two maps agree, so the acceptance of every draft length follows from the maps by counting.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BYTES = 256
"""Tokens 0 to 255 are the bytes, as in every byte-level vocabulary."""
SPECIAL = ("<s>", "</s>", "<pad>", "<unk>")
WORDS_EACH = 1276
"""Words of a workload: three workloads, the bytes and the special tokens make 4,088 tokens, a multiple of 8."""


@dataclass(frozen=True)
class Workload:
    """Texts of one kind.

    Attributes
    ----------
    name : str
        Name, as in the column `workload` of a table.
    agreement : float
        Share α of its words after which drafter and verifier continue alike.
    first : int
        Its first token; the others follow.
    """

    name: str
    agreement: float
    first: int

    @property
    def tokens(self) -> range:
        """The tokens of its words."""
        return range(self.first, self.first + WORDS_EACH)


WORKLOADS: dict[str, Workload] = {
    f"agree-{100 * share:.0f}": Workload(
        f"agree-{100 * share:.0f}", share, BYTES + len(SPECIAL) + place * WORDS_EACH
    )
    for place, share in enumerate((0.5, 0.7, 0.9))
}
"""Three workloads by name, with acceptance .5, .7 and .9."""
N_TOKENS = BYTES + len(SPECIAL) + len(WORKLOADS) * WORDS_EACH


def token_texts() -> list[str]:
    """Give the text of every token in the byte-level alphabet of GPT-2 vocabularies.

    Returns
    -------
    list of str, length :data:`N_TOKENS`
        Bytes, special tokens, words.
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in printable}
    rest = [byte for byte in range(BYTES) if byte not in letters]
    letters |= {byte: chr(BYTES + place) for place, byte in enumerate(rest)}
    words = [f"{letters[32]}w{number:04d}" for number in range(N_TOKENS - BYTES - len(SPECIAL))]
    return [letters[byte] for byte in range(BYTES)] + list(SPECIAL) + words


def successors(seed: int, drafter: bool = False) -> np.ndarray:
    """Give the successor of every token.

    Parameters
    ----------
    seed : int
        The same seed gives a verifier and a drafter that belong together.
    drafter : bool
        The drafter's map instead of the verifier's.

    Returns
    -------
    int array, (token,)
        Words of a workload run through all of its words and begin again; every other token leads into the first
        workload. In the drafter's map exactly round((1 - α)·words) words of each workload lead elsewhere.
    """
    rng = np.random.default_rng([seed, 1])
    follow = rng.choice(next(iter(WORKLOADS.values())).tokens, size=N_TOKENS)
    for workload in WORKLOADS.values():
        order = rng.permutation(workload.tokens)
        follow[order] = np.roll(order, -1)
    if not drafter:
        return follow
    own = follow.copy()
    rng = np.random.default_rng([seed, 2])
    for workload in WORKLOADS.values():
        words = np.array(workload.tokens)
        wrong = rng.permutation(words)[: round((1.0 - workload.agreement) * len(words))]
        # Another word of the workload: any offset that is neither 0 nor a whole turn.
        offset = rng.integers(1, len(words), size=len(wrong))
        own[wrong] = words[(follow[wrong] - words[0] + offset) % len(words)]
    return own


def _agreements(seed: int, workload: Workload) -> np.ndarray:
    """Say, along the verifier's cycle, whether the drafter agrees on the step from each word; shape (word,)."""
    follow, own = successors(seed), successors(seed, drafter=True)
    path = [workload.first]
    while len(path) < WORDS_EACH:
        path.append(int(follow[path[-1]]))
    return follow[path] == own[path]


def known_committed(seed: int, workload: Workload, draft_length: int) -> float:
    """Give E, the tokens committed per draft-verify cycle over a long text.

    Parameters
    ----------
    seed : int
        Of the maps.
    workload : Workload
        Texts.
    draft_length : int
        k, tokens drafted per cycle.

    Returns
    -------
    float
        Tokens per cycle, the verifier's own included.
    """
    agree = _agreements(seed, workload)
    at = cycles = committed = 0
    while committed < 50 * len(agree):  # the same places come round; 50 turns average over where cycles begin
        taken = _accepted(agree, at, draft_length) + 1
        at, committed, cycles = (at + taken) % len(agree), committed + taken, cycles + 1
    return committed / cycles


def known_cycles(seed: int, workload: Workload, draft_length: int, output_tokens: int) -> np.ndarray:
    """Give the number of draft-verify cycles of a request, for each word that its prompt may end in.

    The first token comes from the prompt; the last cycle drafts no more than what is still wanted.

    Parameters
    ----------
    seed : int
        Of the maps.
    workload : Workload
        Texts.
    draft_length : int
        k, tokens drafted per cycle.
    output_tokens : int
        g, tokens of the answer.

    Returns
    -------
    int array, (word,)
        Cycles a request, each word being equally likely; (g - 1) over their mean is what a run of such requests shows as
        tokens committed per cycle.
    """
    agree = _agreements(seed, workload)
    cycles = np.zeros(len(agree), dtype=int)
    for start in range(len(agree)):
        left, at = output_tokens - 1, start + 1
        while left > 0:
            taken = _accepted(agree, at, min(draft_length, left - 1)) + 1
            left, at = left - taken, at + taken
            cycles[start] += 1
    return cycles


def _accepted(agree: np.ndarray, at: int, draft_length: int) -> int:
    for step in range(draft_length):
        if not agree[(at + step) % len(agree)]:
            return step
    return draft_length
