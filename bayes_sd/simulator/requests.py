"""What requests of a simulated server are like, and how it drafts for them; checked when made."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from bayes_sd.errors import ConditionError
from bayes_sd.latency.policy import drafted_shares, length_at
from bayes_sd.measurements.schema import BY_NAME

LengthLaw = Literal["fixed", "normal", "lognormal"]

MOST_TOKENS = BY_NAME["prompt_tokens"].high


@dataclass(frozen=True)
class TokenLaw:
    """Lengths of prompts or outputs.

    Attributes
    ----------
    mean : float
        Tokens, at least 1.
    std : float
        Standard deviation in tokens; 0 makes every length the mean.
    law : {"fixed", "normal", "lognormal"}
        Shape of the lengths before they are rounded to whole tokens, at least 1; "fixed" wants a std of 0.
    """

    mean: float
    std: float = 0.0
    law: LengthLaw = "lognormal"

    def __post_init__(self) -> None:
        if self.law not in get_args(LengthLaw):
            raise ConditionError(f"unknown length law {self.law!r}: say {', '.join(get_args(LengthLaw))}")
        if not 1 <= self.mean <= MOST_TOKENS:
            raise ConditionError(
                f"a mean length of {self.mean:g} tokens: it must be at least 1, and at most {MOST_TOKENS:g}"
            )
        if not 0 <= self.std <= MOST_TOKENS or (self.law == "fixed" and self.std > 0):
            raise ConditionError(f"a spread of {self.std:g} tokens under the length law {self.law!r}")

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw lengths.

        Parameters
        ----------
        n : int
            How many.
        rng : Generator

        Returns
        -------
        int array, shape (n,)
            Tokens.
        """
        if self.std == 0:
            # A mean that is not whole is split between its neighbours, so that it is kept.
            below = np.floor(self.mean)
            return (below + (rng.random(n) < self.mean - below)).astype(np.int64)
        if self.law == "normal":
            length = rng.normal(self.mean, self.std, n)
        else:
            log_variance = np.log1p((self.std / self.mean) ** 2)
            length = rng.lognormal(np.log(self.mean) - 0.5 * log_variance, np.sqrt(log_variance), n)
        return np.maximum(np.rint(length), 1).astype(np.int64)


@dataclass(frozen=True)
class Drafting:
    """How a server drafts, where that is not a chain of k in every step.

    Attributes
    ----------
    lengths : tuple of (int, int, int)
        Draft length by requests decoding: first, last and k of each range, as vLLM's table has them; batches after the last range
        keep its k. Empty: always the server's.
    confident : tuple of float
        Probability that the drafter is confident of each position; it stops at the first one that it is not. The server's
        acceptance is then that of confident drafts. Empty: it never stops.
    verify_tokens, draft_tokens : int or None
        Of a tree, whose depth is the server's draft length and whose acceptance is that of reaching each depth: tokens that a request
        has verified, and that the drafter reads for it, per cycle.
    ahead : float or None
        The drafter makes the next draft while this one is verified: probability that it guesses the token after a draft of which
        all is accepted. None: it waits for the verifier.
    """

    lengths: tuple[tuple[int, int, int], ...] = ()
    confident: tuple[float, ...] = ()
    verify_tokens: int | None = None
    draft_tokens: int | None = None
    ahead: float | None = None

    def check(self, draft_length: int) -> None:
        """Refuse what does not fit the server's draft length."""
        length_at(self.lengths, np.ones(1), draft_length)
        if self.confident and (
            len(self.confident) != draft_length or not all(0 <= q <= 1 for q in self.confident)
        ):
            raise ConditionError(f"confidence {self.confident}: one probability in [0, 1] a draft position")
        if self.ahead is not None and (not 0 <= self.ahead <= 1 or self != Drafting(ahead=self.ahead)):
            raise ConditionError(
                f"drafting ahead ({self.ahead:g}): a probability in [0, 1], and chains of one length only"
            )
        if self.verify_tokens is None and self.draft_tokens is None:
            return
        least = min(self.verify_tokens or 0, (self.draft_tokens or 0) + 1)
        if least <= draft_length or self.confident or self.lengths:
            raise ConditionError(
                "a tree has its verified and its drafted tokens, and neither a table nor confidence"
            )

    def plan(self, draft_length: int, cap: int) -> np.ndarray:
        """Tabulate positions, passes, verified and read tokens for 0..cap requests decoding, shape (cap + 1, 4)."""
        k = length_at(self.lengths, np.arange(cap + 1), draft_length)
        verified = k + 1 if self.verify_tokens is None else np.full_like(k, self.verify_tokens)
        read = k if self.draft_tokens is None else np.full_like(k, self.draft_tokens)
        return np.stack([k, k, verified, read], axis=1)

    def mean_verified(self, draft_length: int, cap: int) -> np.ndarray:
        """Tabulate the mean number of tokens that a request has verified, shape (cap + 1,)."""
        verified = self.plan(draft_length, cap)[:, 2].astype(float)
        if self.confident:
            verified[verified > 1] = 1.0 + drafted_shares(self.confident).sum()
        return verified


def check_acceptance(acceptance: tuple[float, ...]) -> None:
    """Refuse what is not one probability a draft position."""
    if not all(0 <= alpha <= 1 for alpha in acceptance):
        raise ConditionError(f"acceptance {acceptance}: each position's must lie in [0, 1]")


@dataclass(frozen=True)
class RequestClass:
    """One class of a mixture of requests.

    Attributes
    ----------
    share : float
        Of arrivals, in (0, 1].
    prompt, output : TokenLaw
        Lengths [tokens].
    acceptance : tuple of float
        Conditional acceptance of each draft position; their number is its longest draft.
    lengths : tuple of (int, int, int)
        Its draft length by requests decoding, those of all classes; empty: always the longest.
    """

    share: float
    prompt: TokenLaw
    output: TokenLaw
    acceptance: tuple[float, ...] = ()
    lengths: tuple[tuple[int, int, int], ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ConditionError(f"a class has the share {self.share:g}: it must be above 0, and at most 1")
        check_acceptance(self.acceptance)
        length_at(self.lengths, np.ones(1), len(self.acceptance))
