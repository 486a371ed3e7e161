"""What is simulated: the server and its requests, and the load on it; checked when made."""

from dataclasses import dataclass, field, fields
from typing import Literal, get_args

import numpy as np

from bayes_sd.errors import ConditionError
from bayes_sd.latency.acceptance import expected_committed
from bayes_sd.latency.coverage import routed_share
from bayes_sd.latency.policy import drafted_shares, length_at
from bayes_sd.latency.queue import Protocol
from bayes_sd.latency.queue.protocol import checked_cap, checked_load, checked_protocol
from bayes_sd.latency.service import StageCosts, Work
from bayes_sd.measurements.schema import BY_NAME, MOST, MOST_REQUESTS

LengthLaw = Literal["fixed", "normal", "lognormal"]

MOST_CLIENTS = 1_000_000
MOST_SKEW = 20.0
"""Spread of the experts' popularity past which one expert takes all tokens, whatever their number."""
MOST_TOKENS = BY_NAME["prompt_tokens"].high
MOST_WORK = 1e10
"""Output tokens of all requests: some minutes' work."""

WARM_UP_SHARE = 0.1
"""Requests that arrive before the measured ones, as a share of those."""

WARM_UP_ROUNDS = 2
"""Rounds of a closed loop before measuring, at least: its clients start together and need to spread."""


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
class Experts:
    """Routing of a mixture of experts.

    Attributes
    ----------
    total, active : int
        Experts in a layer M and experts routed per token m.
    independence : float
        ψ, the probability that a draft token is routed anew instead of like the token before it.
    skew : float
        Spread of the experts' popularity, see :mod:`bayes_sd.latency.coverage`.
    draws : bool
        Whether every token of every step draws its experts. Otherwise a step reads the expected share φ of
        them.
    """

    total: int
    active: int
    independence: float = 1.0
    skew: float = 0.0
    draws: bool = False

    def __post_init__(self) -> None:
        routed_share(self.total, self.active)
        if not 0 <= self.independence <= 1:
            raise ConditionError(f"a routing independence of {self.independence:g}: it must lie in [0, 1]")
        if not 0 <= self.skew <= MOST_SKEW:
            raise ConditionError(f"an expert skew of {self.skew:g}: it must be from 0 to {MOST_SKEW:g}")


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
    """

    lengths: tuple[tuple[int, int, int], ...] = ()
    confident: tuple[float, ...] = ()
    verify_tokens: int | None = None
    draft_tokens: int | None = None

    def check(self, draft_length: int) -> None:
        """Refuse what does not fit the server's draft length."""
        length_at(self.lengths, np.ones(1), draft_length)
        if self.confident and (
            len(self.confident) != draft_length or not all(0 <= q <= 1 for q in self.confident)
        ):
            raise ConditionError(f"confidence {self.confident}: one probability in [0, 1] a draft position")
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


@dataclass(frozen=True)
class ServerSpec:
    """A server, what it serves, and what its requests are like.

    Attributes
    ----------
    costs : StageCosts
        Costs of the stages as plain numbers, in the units of :class:`bayes_sd.latency.service.StageCosts`.
    prompt, output : TokenLaw
        Lengths of prompts and outputs [tokens].
    acceptance : tuple of float
        Conditional acceptance of each draft position; their number is the draft length k (empty: no
        speculation).
    n_max : int, optional
        Cap on running requests; None for no cap.
    prefill_budget : int, optional
        Most tokens in a step, a decoding request's k + 1 included; prompts fill what decoding leaves. None:
        a whole prompt, and as many as wait, in one step.
    experts : Experts, optional
        Routing, for a mixture of experts.
    drafting : Drafting
        How it drafts, where that is not a chain of k in every step.
    labels : dict of str to str
        Text columns of the table row: hardware, verifier, drafter, engine, workload and so on.
    """

    costs: StageCosts
    prompt: TokenLaw
    output: TokenLaw
    acceptance: tuple[float, ...] = ()
    n_max: int | None = None
    prefill_budget: int | None = None
    experts: Experts | None = None
    drafting: Drafting = Drafting()
    labels: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for cost in fields(self.costs):
            value = getattr(self.costs, cost.name)
            if not (np.ndim(value) == 0 and 0 <= value <= MOST["s"]):
                raise ConditionError(
                    f"cost {cost.name} is {value}: it must be one number, not negative, and at most {MOST['s']:g}"
                )
        if self.costs.verify_fixed_s + self.costs.sequence_s + self.costs.token_s <= 0:
            raise ConditionError("a verify step costs nothing: verify_fixed_s or token_s must be above 0")
        if not all(0 <= alpha <= 1 for alpha in self.acceptance):
            raise ConditionError(f"acceptance {self.acceptance}: each position's must lie in [0, 1]")
        self.drafting.check(self.draft_length)
        if self.n_max is not None:
            checked_cap(self.n_max)
        if self.prefill_budget is not None and self.prefill_budget < 1:
            raise ConditionError(f"a prefill budget of {self.prefill_budget} tokens: it must be at least 1")
        if self.costs.verify_expert_s > 0 and self.experts is None:
            raise ConditionError("verify_expert_s is above 0, but how many experts there are is not said")

    @property
    def draft_length(self) -> int:
        """Draft length k in tokens per cycle."""
        return len(self.acceptance)

    @property
    def work(self) -> Work:
        """What a mean request asks for, as the service curve takes it."""
        committed = float(expected_committed(np.array(self.acceptance)))
        return Work(self.prompt.mean, self.output.mean, self.draft_length, committed)


@dataclass(frozen=True)
class LoadSpec:
    """A load and how long to measure under it.

    The first requests are not measured: a tenth of `n_requests` more, and in a closed loop at least two
    rounds of its clients. In an open loop arrivals go on, at most `n_requests` of them, until the last
    measured request has left, so that none is served by an emptying server.

    Attributes
    ----------
    protocol : {"closed", "poisson", "even"}
        Closed loop, or open loop with random or evenly spaced arrivals.
    value : float
        Clients of a closed loop; requests/s of an open one.
    n_requests : int
        Requests measured.
    gap_shape : float
        Shape of the gamma distribution that gaps between random arrivals have: 1 is Poisson, below it burstier.
    """

    protocol: Protocol
    value: float
    n_requests: int = 2000
    gap_shape: float = 1.0

    def __post_init__(self) -> None:
        checked_protocol(self.protocol)
        checked_load(self.value, "clients" if self.protocol == "closed" else "rate_rps")
        if self.protocol == "closed" and self.value != int(self.value):
            raise ConditionError(f"a closed loop of {self.value} clients: it must be a whole number")
        if not 1 <= self.n_requests <= MOST_REQUESTS:
            raise ConditionError(
                f"{self.n_requests} requests to measure: at least 1, and at most {MOST_REQUESTS:,}"
            )
        checked_load(self.gap_shape, "gap_shape")
        if self.gap_shape != 1.0 and self.protocol != "poisson":
            raise ConditionError(
                f"gaps of shape {self.gap_shape:g} under {self.protocol} arrivals: only random ones have a shape"
            )
        if self.value > MOST_CLIENTS:
            raise ConditionError(f"a load of {self.value:g}: at most {MOST_CLIENTS:,} clients or requests/s")

    @property
    def clients(self) -> int:
        """Clients of a closed loop; 0 for an open one."""
        return int(self.value) if self.protocol == "closed" else 0

    @property
    def n_warm_up(self) -> int:
        """Requests before the measured ones."""
        return max(int(np.ceil(WARM_UP_SHARE * self.n_requests)), WARM_UP_ROUNDS * self.clients)

    @property
    def n_total(self) -> int:
        """Requests that may arrive, those after the measured ones included."""
        return self.n_warm_up + 2 * self.n_requests + self.clients

    def arrival_times(self, rng: np.random.Generator) -> np.ndarray:
        """Draw arrival times.

        Parameters
        ----------
        rng : Generator

        Returns
        -------
        array, shape (n_total,)
            Seconds from the start; a closed loop's are not known beforehand and are infinite but for its
            first round.
        """
        if self.gap_shape != 1.0:
            return np.cumsum(rng.gamma(self.gap_shape, 1.0 / (self.gap_shape * self.value), self.n_total))
        if self.protocol == "poisson":
            return np.cumsum(rng.exponential(1.0 / self.value, self.n_total))
        if self.protocol == "even":
            return np.arange(1, self.n_total + 1) / self.value
        arrival = np.full(self.n_total, np.inf)
        arrival[: self.clients] = 0.0
        return arrival
