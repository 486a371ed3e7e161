"""Step loop of a worker that only decodes, compiled."""

import numpy as np
from numba import njit


@njit(cache=True)
def run_decode(ready, prompt, output, survival, fixed, each, t_kv, cap, rng):  # pragma: no cover - compiled
    """Run steps until all requests are done; they join, in order, at the end of a step.

    Parameters
    ----------
    ready : array, shape (n,)
        When each request's cache is there [s], rising.
    prompt, output : int array, shape (n,)
        Lengths [tokens]; the first output token is there already.
    survival : array, shape (k,)
        Probability that positions 1..j of a draft are all accepted.
    fixed, each, t_kv : float
        Seconds of a step: fixed, for each request in it, and for each of its cached tokens.
    cap : int
        Most requests running.
    rng : Generator

    Returns
    -------
    array, shape (n,)
        When each request is done [s].
    """
    n, now, come, running, context = len(ready), 0.0, 0, 0, 0
    done, missing = ready.copy(), output - 1
    active = np.empty(n, np.int64)
    while come < n or running > 0:
        if running == 0:
            now = max(now, ready[come])
        while come < n and ready[come] <= now and running < cap:
            if missing[come] > 0:
                active[running] = come
                running += 1
                context += prompt[come] + 1
            come += 1
        if running == 0:
            continue
        now += fixed + running * each + context * t_kv
        i = 0
        while i < running:
            request = active[i]
            gain, draw = 1, rng.random()
            while gain <= len(survival) and draw < survival[gain - 1]:
                gain += 1
            gain = min(gain, missing[request])
            missing[request] -= gain
            context += gain
            if missing[request] > 0:
                i += 1
                continue
            running -= 1
            active[i] = active[running]
            context -= prompt[request] + output[request]
            done[request] = now
    return done
