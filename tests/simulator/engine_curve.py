"""The service curve of the simulated engine, for the tests that hold a law against it."""

import numpy as np

from bayes_sd.latency.service import Work, service_latency_s, step_s


def engine_curve(costs, asked, cycles, n, ahead=None):
    """S(n) [s], and the mean duration of the steps that a request meets [s].

    A request stays for the step that reads its prompt and for its verify steps. In the first it verifies and drafts nothing, and so
    do, in each step, those that are in their first: a share of 1/(cycles + 1). Counted as verifying, they made the law up to 4 % too
    slow at three quarters of the stability limit, most where a step verifies many tokens.

    Parameters
    ----------
    costs : StageCosts
    asked : dict
        Fields of a Work, without `committed`.
    cycles : float
        Verify steps of a request.
    n : array
        Requests in flight.
    ahead : float, optional
        As of a Work.
    """
    stays = cycles + 1.0
    work = Work(**asked, committed=asked["output_tokens"] / stays, ahead=ahead)
    others = (n - 1.0) * cycles / stays
    verifying, reading = (step_s(costs, work, at, 0.0) * np.ones_like(n) for at in (1.0 + others, others))
    step = (cycles * verifying + reading) / stays
    return service_latency_s(costs, work, n, step), step
