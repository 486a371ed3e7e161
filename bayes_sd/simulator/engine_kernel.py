"""Step loop of the serving engine, compiled."""

import numpy as np
from numba import njit


@njit(cache=True)
def run_engine(  # pragma: no cover - compiled
    arrival,
    prompt,
    output,
    kind,
    survival,
    confident,
    drafting,
    costs,
    phi,
    popularity,
    independence,
    cap,
    budget,
    ahead,
    clients,
    first,
    after,
    rng,
):
    """Run steps until the measured requests have left and one after them has come.

    Requests start in order of arrival, so three counters say where each stands: those below `started` have
    a place, those below `prefilled` have left the prefill stage. Only the decoding ones need a list.

    Parameters
    ----------
    arrival : array, shape (n,)
        Arrival times [s], filled in here for a closed loop.
    prompt, output : int array, shape (n,)
        Lengths [tokens].
    kind : int array, shape (n,)
        Class of each request.
    survival : array, shape (class, k)
        Probability that positions 1..j of a draft are all accepted.
    confident : array, shape (k,) or (0,)
        Probability that the drafter is confident of each position, given that it was of those before: it stops at the first
        one that it is not; empty: it never stops.
    drafting : int array, shape (class, cap + 1, 4)
        With that many requests decoding: draft positions of a request; passes of the drafter; tokens that a request has
        verified; tokens that the drafter reads for it. A batch takes the passes of the class in it that takes most.
    costs : array, shape (10,)
        Setup of a request; prompt token; verify step; experts at full coverage; decoding request in a step; its verified
        token; its cached token; pass of the drafter; token that the drafter reads; what a cycle with drafts costs beside [s].
    phi : array, shape (cap + 1,)
        Share of experts read with that many requests decoding.
    popularity : array, shape (M,)
        Probability that a token is routed to each expert; empty: no draws, `phi` holds.
    independence : float
        Probability that a draft token is routed anew.
    cap, budget : int
        Most requests running, and most tokens in a step.
    ahead : float
        Probability that a draft made during verification guesses the token after one of which all is accepted; negative: drafting
        waits for verification.
    clients : int
        Clients of a closed loop, 0 for an open one.
    first, after : int
        First measured request, and the first after them.
    rng : Generator
        Source of acceptances and routings.

    Returns
    -------
    admitted, first_token, departure : array, shape (n,)
        Times [s]; infinite for requests that the run did not reach.
    cycles : int array, shape (n,)
        Draft-verify cycles of each request.
    accepted : int array, shape (n, k)
        How often each draft position of a request was accepted.
    drafted : int array, shape (n,)
        Draft positions of a request that were verified.
    totals : array, shape (4,)
        Steps in which requests decoded, decoding requests summed over them, coverage summed over them, all
        steps.
    """
    setup, t_pre, c1v, c1x, t_request, t_token, t_kv, c_pass, t_draft, c_cycle = costs
    n = len(arrival)
    admitted = np.full(n, np.inf)
    first_token = np.full(n, np.inf)
    departure = np.full(n, np.inf)
    cycles = np.zeros(n, np.int64)
    accepted = np.zeros((n, survival.shape[1]), np.int64)
    drafted = np.zeros(n, np.int64)
    lengths = np.zeros(min(cap, n), np.int64)
    totals = np.zeros(4)
    missing = output.copy()
    unread = prompt.copy()
    decoding = np.empty(min(cap, n), np.int64)
    touched = np.zeros(len(popularity), np.bool_)
    right = np.zeros(n, np.bool_)
    n_decoding = arrived = started = prefilled = 0
    context = 0
    known = clients if clients > 0 else n
    left = after - first
    now = 0.0
    while left > 0 or arrived <= after:
        while arrived < known and arrival[arrived] <= now:
            arrived += 1
        while started < arrived and n_decoding + started - prefilled < cap:
            admitted[started] = now
            started += 1
        if len(drafting) == 1:
            k, passes, verified, read = drafting[0, n_decoding]
            lengths[:n_decoding] = k
            verified, read = n_decoding * verified, n_decoding * read
        else:
            k, passes, verified, read = _plan_of_classes(decoding[:n_decoding], kind, drafting, lengths)
        room = budget - verified
        reading = prefilled
        tokens_read = 0
        while reading < started and tokens_read < room and admitted[reading] + setup <= now:
            part = min(unread[reading], room - tokens_read)
            unread[reading] -= part
            tokens_read += part
            if unread[reading] > 0:
                break
            reading += 1
        if n_decoding == 0 and tokens_read == 0:
            wait = np.inf
            if arrived < known:
                wait = arrival[arrived]
            if prefilled < started:
                wait = min(wait, admitted[prefilled] + setup)
            if wait == np.inf:
                break
            now = max(wait, now)
            continue
        if k > 0 and len(confident) > 0:
            passes, verified, read = _draw_lengths(lengths[:n_decoding], confident, k, rng)
        coverage = phi[n_decoding]
        if len(popularity) > 0:
            coverage = _draw_coverage(n_decoding, verified, popularity, independence, touched, rng)
        duration = c1v + coverage * c1x + n_decoding * t_request + verified * t_token + context * t_kv
        duration += tokens_read * t_pre
        if n_decoding > 0:
            draft = passes * c_pass + read * t_draft
            if ahead >= 0.0 and right[decoding[:n_decoding]].all():
                draft -= min(
                    draft, c1v + coverage * c1x + n_decoding * t_request + verified * t_token + context * t_kv
                )
            duration += draft + (c_cycle if k > 0 else 0.0)
            totals[0] += 1
            totals[1] += n_decoding
            totals[2] += coverage
        totals[3] += 1
        now += duration
        i = 0
        while i < n_decoding:
            request = decoding[i]
            gain = 1
            if lengths[i] > 0:
                drafted[request] += lengths[i]
                draw = rng.random()
                while gain <= lengths[i] and draw < survival[kind[request], gain - 1]:
                    accepted[request, gain - 1] += 1
                    gain += 1
            cycles[request] += 1
            if ahead >= 0.0:
                right[request] = gain == lengths[i] + 1 and rng.random() < ahead
            gain = min(gain, missing[request])
            missing[request] -= gain
            context += gain
            if missing[request] > 0:
                i += 1
                continue
            n_decoding -= 1
            decoding[i] = decoding[n_decoding]
            lengths[i] = lengths[n_decoding]
            context -= prompt[request] + output[request]
            departure[request] = now
            left -= first <= request < after
            if clients > 0 and known < n:
                arrival[known] = now
                known += 1
        while prefilled < reading:
            request = prefilled
            prefilled += 1
            first_token[request] = now
            missing[request] -= 1
            if missing[request] > 0:
                decoding[n_decoding] = request
                n_decoding += 1
                context += prompt[request] + 1
                continue
            departure[request] = now
            left -= first <= request < after
            if clients > 0 and known < n:
                arrival[known] = now
                known += 1
    return admitted, first_token, departure, cycles, accepted, drafted, totals


@njit(cache=True)
def _plan_of_classes(decoding, kind, drafting, lengths):  # pragma: no cover - compiled
    """Set how many positions each request drafts; return the longest draft, its passes, tokens verified and tokens read."""
    longest = passes = verified = read = 0
    for i in range(len(decoding)):
        plan = drafting[kind[decoding[i]], len(decoding)]
        lengths[i] = plan[0]
        longest = max(longest, plan[0])
        passes = max(passes, plan[1])
        verified += plan[2]
        read += plan[3]
    return longest, passes, verified, read


@njit(cache=True)
def _draw_lengths(lengths, confident, k, rng):  # pragma: no cover - compiled
    """Draw how many positions each request drafts; return the passes of the batch, tokens verified and tokens read."""
    passes = verified = read = 0
    for i in range(len(lengths)):
        length = 0
        while length < k and rng.random() < confident[length]:
            length += 1
        lengths[i] = length
        # The pass that ends the draft is made too: its token is thrown away.
        own = min(length + 1, k)
        passes = max(passes, own)
        verified += length + 1
        read += own
    return passes, verified, read


@njit(cache=True)
def _draw_coverage(
    n_decoding, verified, popularity, independence, touched, rng
):  # pragma: no cover - compiled
    """Draw the experts of every token in a step; return the share of experts that any token went to."""
    touched[:] = False
    for _ in range(n_decoding):
        _route(popularity, touched, rng.random())
    for _ in range(verified - n_decoding):
        if rng.random() < independence:
            _route(popularity, touched, rng.random())
    return touched.mean()


@njit(cache=True)
def _route(popularity, touched, offset):  # pragma: no cover - compiled
    """Choose experts with their exact probabilities, as many as these sum to, by systematic sampling."""
    reached = 0.0
    for expert in range(len(popularity)):
        reached += popularity[expert]
        if reached > offset:
            touched[expert] = True
            offset += 1.0
