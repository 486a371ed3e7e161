"""What is simulated: the server and its requests, and the load on it; checked when made."""

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from bayes_sd.errors import ConditionError
from bayes_sd.latency.acceptance import expected_committed, survival_by_position
from bayes_sd.latency.coverage import routed_share
from bayes_sd.latency.queue import Protocol
from bayes_sd.latency.queue.protocol import checked_cap, checked_load, checked_protocol
from bayes_sd.latency.service import StageCosts, Work
from bayes_sd.measurements.schema import MOST, MOST_REQUESTS
from bayes_sd.simulator.requests import Drafting, RequestClass, TokenLaw, check_acceptance

MOST_CLIENTS = 1_000_000
MOST_SKEW = 20.0
"""Spread of the experts' popularity past which one expert takes all tokens, whatever their number."""
MOST_WORK = 1e10
"""Output tokens of all requests: some minutes' work."""

WARM_UP_SHARE = 0.1
"""Requests that arrive before the measured ones, as a share of those."""

WARM_UP_ROUNDS = 2
"""Rounds of a closed loop before measuring, at least: its clients start together and need to spread."""


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
    classes : tuple of RequestClass
        Classes of a mixture, with shares that sum to 1; their lengths, acceptance and draft lengths then hold in place of the
        server's (:meth:`of_classes` gives it their means).
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
    drafting: Drafting = field(default_factory=Drafting)
    classes: tuple[RequestClass, ...] = ()
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
        check_acceptance(self.acceptance)
        self.drafting.check(self.draft_length)
        self._check_classes()
        if self.n_max is not None:
            checked_cap(self.n_max)
        if self.prefill_budget is not None and self.prefill_budget < 1:
            raise ConditionError(f"a prefill budget of {self.prefill_budget} tokens: it must be at least 1")
        if self.costs.verify_expert_s > 0 and self.experts is None:
            raise ConditionError("verify_expert_s is above 0, but how many experts there are is not said")

    @classmethod
    def of_classes(cls, costs: StageCosts, classes: tuple[RequestClass, ...], **more: Any) -> "ServerSpec":
        """Make the server of a mixture of classes; `more` are further attributes."""
        prompt, output = (
            sum(c.share * mean for c, mean in zip(classes, means, strict=True))
            for means in ([c.prompt.mean for c in classes], [c.output.mean for c in classes])
        )
        longest = max((c.acceptance for c in classes), key=len)
        return cls(costs, TokenLaw(prompt), TokenLaw(output), longest, classes=classes, **more)

    def _check_classes(self) -> None:
        if not self.classes:
            return
        total = sum(c.share for c in self.classes)
        if abs(total - 1.0) > 1e-6:
            raise ConditionError(f"the shares of the classes sum to {total:g}: they must sum to 1")
        if self.drafting != Drafting() or max(len(c.acceptance) for c in self.classes) != self.draft_length:
            raise ConditionError(
                "classes have draft lengths of their own: leave drafting out, and k at the longest"
            )
        if self.experts is not None and not self.experts.draws:
            raise ConditionError(
                "the experts of a mixture of classes are drawn token by token: say draws = true"
            )

    def plans(self, cap: int) -> np.ndarray:
        """Tabulate how each class drafts, shape (class, cap + 1, 4), as :meth:`Drafting.plan`."""
        if not self.classes:
            return self.drafting.plan(self.draft_length, cap)[None]
        each = ((Drafting(lengths=c.lengths), len(c.acceptance)) for c in self.classes)
        return np.stack([drafting.plan(k, cap) for drafting, k in each])

    @property
    def survival(self) -> np.ndarray:
        """Probability that positions 1..j of a draft are all accepted, shape (class, k); 0 past a class's longest draft."""
        curves = [c.acceptance for c in self.classes] or [self.acceptance]
        table = np.zeros((len(curves), self.draft_length))
        for row, curve in zip(table, curves, strict=True):
            row[: len(curve)] = survival_by_position(curve)
        return table

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
