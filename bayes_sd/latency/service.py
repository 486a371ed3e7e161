"""The service curve: latency of a request when ``b`` requests are always in flight.

Stages are prefill, draft and verify, each with a load-independent and a load-dependent cost (Kong et al. 2026,
arXiv:2605.15051, there as six coefficients). The load-dependent cost of a verify step is split here into what
scales with requests, with tokens in the step and with cached tokens, so that prompt length, output length and
draft length are inputs instead of new coefficients::

    S(b) = c1p + (p − h + o)·n·t_pre + (g/E)·step(n)
    step(n) = [c1v + φ·c1x + n·(t_seq + (1 + u·(V − 1))·w·t_tok + (p + g/2)·t_kv)]·exp(δ) + passes·c1d + k·n·t_dtok + h_c
    n = 1 + (b − 1)/R

with p prompt tokens, h of them found in a prefix cache, o that each prefill costs beside, and g output tokens; k the draft length,
V = k + 1 the tokens that a cycle verifies (more in a tree), u what a further verified token costs beside a plain one, E the tokens
committed per cycle, φ the share of experts that the step touches, w the wait for the busiest of them, δ the kernels' deviation from a
straight line at this batch size, and h_c the host's part of a cycle. Requests are spread over R ranks that do not share attention
(data-parallel replicas, pipeline stages): a request meets n of them, itself and its share of the others.

Every function works alike on numbers, numpy arrays and PyTensor tensors: it uses operators only, so what is sampled
and what is predicted are one formula.
"""

from dataclasses import dataclass
from typing import Any

ASSUMED_STEP_WAIT = 0.5
"""Share of a running step that an arriving request waits for before its prefill starts (uniform arrival in it)."""


@dataclass(frozen=True)
class StageCosts:
    """Costs of the three stages, arrays or tensors of one (broadcastable) shape.

    Attributes
    ----------
    prefill_fixed_s : array
        Load-independent cost of a request's prefill, c1p [s].
    prefill_token_s : array
        Seconds per prompt token per request in flight, t_pre [s/token].
    verify_fixed_s : array
        Load-independent cost of a verify step: dense weights, launches, c1v [s].
    verify_expert_s : array
        Routed-expert weights of a step at full coverage, c1x [s]; 0 for a dense verifier.
    sequence_s : array
        Cost of a step per request in flight that does not grow with its tokens, t_seq [s/request].
    token_s : array
        Cost of a step per token in the verify batch, t_tok [s/token].
    kv_token_s : array
        Cost of a step per cached token, t_kv [s/token].
    draft_fixed_s : array
        Load-independent cost of a draft step, c1d [s].
    draft_token_s : array
        Cost of a draft step per request in flight, t_dtok [s/request].
    draft_extra_steps : array
        Fixed cost of a speculative cycle, in draft steps (sampling, bookkeeping) [draft steps].
    cycle_s : array
        Fixed cost of a speculative cycle beside verifying and drafting, paid by the host [s]; 0 without speculation.
    further_token : array
        Cost of each verified token after a request's first, in those of the first, u.
    prefill_overhead_tokens : array
        Tokens by which every prefill is as if longer, o [tokens].
    """

    prefill_fixed_s: Any
    prefill_token_s: Any
    verify_fixed_s: Any
    verify_expert_s: Any
    sequence_s: Any
    token_s: Any
    kv_token_s: Any
    draft_fixed_s: Any
    draft_token_s: Any
    draft_extra_steps: Any
    cycle_s: Any = 0.0
    further_token: Any = 1.0
    prefill_overhead_tokens: Any = 0.0


@dataclass(frozen=True)
class Work:
    """What a request asks for and how it is decoded.

    Attributes
    ----------
    prompt_tokens, output_tokens : array
        p and g [tokens].
    draft_length : array
        k [tokens per cycle], 0 without speculation.
    committed : array
        E, tokens committed per cycle, the verifier's own included [tokens/cycle]; 1 without speculation.
    draft_passes : array, optional
        Passes of the drafter per cycle: k by default, 1 where one pass proposes all tokens, 0 for lookups.
    verify_tokens : array, optional
        V, tokens that a cycle verifies per request: k + 1 by default, more in a tree.
    cached_tokens : array
        h, prompt tokens that a prefix cache holds already [tokens].
    ranks : array
        R, groups of GPUs that each attend to requests of their own.
    ahead : array, optional
        Probability that a request's next draft, made while this one is verified, is right; None where drafting waits.
    """

    prompt_tokens: Any
    output_tokens: Any
    draft_length: Any
    committed: Any
    draft_passes: Any = None
    verify_tokens: Any = None
    cached_tokens: Any = 0.0
    ranks: Any = 1.0
    ahead: Any = None

    @property
    def context_tokens(self) -> Any:
        """Mean cached tokens of a request while it decodes, p + g/2 [tokens]."""
        return self.prompt_tokens + 0.5 * self.output_tokens

    @property
    def cycles(self) -> Any:
        """Verify steps that a request needs, g/E [cycles]."""
        return self.output_tokens / self.committed

    @property
    def passes(self) -> Any:
        """Passes of the drafter per cycle."""
        return self.draft_length if self.draft_passes is None else self.draft_passes

    @property
    def verified(self) -> Any:
        """Tokens that a cycle verifies per request, V."""
        return self.draft_length + 1.0 if self.verify_tokens is None else self.verify_tokens

    @property
    def read_tokens(self) -> Any:
        """Prompt tokens that prefill works on, p − h [tokens]."""
        return self.prompt_tokens - self.cached_tokens

    def met(self, in_flight: Any) -> Any:
        """Requests in a step of one rank when `in_flight` are spread over all ranks: itself and its share of the others."""
        return met_of(in_flight, self.ranks)


def met_of(in_flight: Any, ranks: Any) -> Any:
    """Count the requests in a step of one of `ranks` ranks that share `in_flight`: a request and its share of the others."""
    return 1.0 + (in_flight - 1.0) / ranks


def prefill_tokens(costs: StageCosts, work: Work) -> Any:
    """Count the tokens that a prefill costs, its overhead included, p − h + o [tokens]."""
    return work.read_tokens + costs.prefill_overhead_tokens


def draft_steps(costs: StageCosts, work: Work) -> Any:
    """Count the draft steps that a cycle costs, the fixed part of speculating included; 0 where k = 0.

    Returns
    -------
    array
        Draft steps per cycle.
    """
    return work.passes + (work.draft_length > 0) * costs.draft_extra_steps


def verify_fixed_s(costs: StageCosts, coverage: Any) -> Any:
    """Load-independent part of a verify step at given expert coverage [s].

    Parameters
    ----------
    costs : StageCosts
    coverage : array
        φ, share of routed experts that the step touches, in [0, 1]; 0 for a dense verifier.
    """
    return costs.verify_fixed_s + coverage * costs.verify_expert_s


def verify_per_request_s(costs: StageCosts, work: Work, wait: Any = 1.0) -> Any:
    """Cost that one more request in flight adds to a verify step, its tokens' work times `wait` [s/request]."""
    tokens = verify_tokens_s(costs, work) * wait
    return costs.sequence_s + tokens + work.context_tokens * costs.kv_token_s


def verify_tokens_s(costs: StageCosts, work: Work) -> Any:
    """Work of one request's verified tokens in a step, which waits for the busiest expert [s]."""
    return (1.0 + costs.further_token * (work.verified - 1.0)) * costs.token_s


def busiest_wait(share: Any, busiest: Any) -> Any:
    """Compute how much longer a step's work per token takes because part of it waits for the busiest expert.

    Parameters
    ----------
    share : array
        Part of the work per token that waits, in [0, 1].
    busiest : array
        Load of the busiest expert over the mean load (:mod:`bayes_sd.latency.expert_load`), at least 1.

    Returns
    -------
    array
        Factor on the cost per token, at least 1.
    """
    return 1.0 + share * (busiest - 1.0)


def step_s(
    costs: StageCosts,
    work: Work,
    in_flight: Any,
    coverage: Any,
    kernel_factor: Any = 1.0,
    wait: Any = 1.0,
) -> Any:
    """Compute the duration of one draft-verify cycle.

    Parameters
    ----------
    costs : StageCosts
    work : Work
    in_flight : array
        Requests that run, b.
    coverage : array
        φ at this b, 0 for a dense verifier.
    kernel_factor : array
        exp(δ), how far kernels deviate from the straight line at this batch size.
    wait : array
        Factor on the work per token, from :func:`busiest_wait`; 1 for a dense verifier.

    Returns
    -------
    array
        Seconds per cycle.
    """
    met = work.met(in_flight)
    verify = verify_fixed_s(costs, coverage) + met * verify_per_request_s(costs, work, wait)
    draft = draft_steps(costs, work) * costs.draft_fixed_s + work.draft_length * met * costs.draft_token_s
    step = verify * kernel_factor + draft + costs.cycle_s
    return step if work.ahead is None else step - hidden_s(costs, work, met, verify * kernel_factor)


def hidden_s(costs: StageCosts, work: Work, met: Any, verify_s: Any) -> Any:
    """Compute the seconds of a cycle in which the next draft is made beside verifying, on average over cycles.

    A batch is spared the shorter of the two where the guess was right for all requests in it; else it waits for those that draft anew.

    Parameters
    ----------
    costs : StageCosts
    work : Work
        With :attr:`Work.ahead`.
    met : array
        Requests in the step.
    verify_s : array
        Of verifying [s].

    Returns
    -------
    array
        Seconds.
    """
    draft = work.passes * costs.draft_fixed_s + work.draft_length * met * costs.draft_token_s
    shorter = 0.5 * (draft + verify_s - abs(draft - verify_s))
    return work.ahead**met * shorter


def service_latency_s(costs: StageCosts, work: Work, in_flight: Any, step: Any) -> Any:
    """Compute S(b), the end-to-end latency with b requests always in flight.

    Parameters
    ----------
    costs : StageCosts
    work : Work
    in_flight : array
        b.
    step : array
        Seconds per cycle at this b, from :func:`step_s`.

    Returns
    -------
    array
        Seconds.
    """
    prefill = (
        costs.prefill_fixed_s + prefill_tokens(costs, work) * work.met(in_flight) * costs.prefill_token_s
    )
    return prefill + work.cycles * step


def first_token_s(costs: StageCosts, work: Work, in_flight: Any, step: Any, overlap: Any) -> Any:
    """Compute the time to first token once a request runs: its own prefill, those it meets, and half a step.

    Parameters
    ----------
    costs, work, in_flight, step
        As in :func:`service_latency_s`.
    overlap : array
        Share of the other requests' prefills that fall before a request's own first token, in [0, 1]: 0 when requests
        arrive spread out, 1 when all of them start together.

    Returns
    -------
    array
        Seconds.
    """
    own = prefill_tokens(costs, work) * costs.prefill_token_s
    others = work.met(in_flight) - 1.0
    return costs.prefill_fixed_s + own * (1.0 + overlap * others) + ASSUMED_STEP_WAIT * step


def linear_coefficients(costs: StageCosts, work: Work, coverage: Any = 0.0) -> tuple[Any, Any]:
    """Give the paper's C1 and C2 of a deployment with a straight service curve: S(b) = C1 + C2·b.

    Parameters
    ----------
    costs : StageCosts
    work : Work
    coverage : array
        Expert coverage held fixed, 0 for a dense verifier.

    Returns
    -------
    c1_s : array
        Load-independent cost of a request [s].
    c2_s : array
        Extra latency per request in flight [s/request].
    """
    draft_fixed = draft_steps(costs, work) * costs.draft_fixed_s
    c1 = costs.prefill_fixed_s + work.cycles * (verify_fixed_s(costs, coverage) + draft_fixed + costs.cycle_s)
    per_step = verify_per_request_s(costs, work) + work.draft_length * costs.draft_token_s
    met = prefill_tokens(costs, work) * costs.prefill_token_s + work.cycles * per_step
    c2 = met / work.ranks
    return c1 + met - c2, c2
