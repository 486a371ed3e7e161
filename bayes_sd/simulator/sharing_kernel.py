"""Event loop of the shared processor, compiled."""

import heapq

import numpy as np
from numba import njit


@njit(cache=True)
def run_sharing(arrival, work, service, cap, clients, first, after):  # pragma: no cover - compiled
    """Run until the measured requests have left and one after them has come.

    Time is kept twice: as seconds, and as the progress that every running request has made since the start.
    A request then departs at a progress known when it starts, whatever happens in between, and a heap finds
    the next.

    Parameters
    ----------
    arrival : array, shape (n,)
        Arrival times [s], filled in here for a closed loop.
    work : array, shape (n,)
        Work of each request, in units of the service latency.
    service : array, shape (cap,)
        S(1..cap) [s].
    cap : int
        Most requests running.
    clients : int
        Clients of a closed loop, 0 for an open one.
    first, after : int
        First measured request, and the first after them.

    Returns
    -------
    admitted, departure : array, shape (n,)
        Times [s]; infinite for requests that the run did not reach.
    """
    n = len(arrival)
    admitted = np.full(n, np.inf)
    departure = np.full(n, np.inf)
    heap = [(0.0, 0)]
    heap.pop()
    now = 0.0
    progress = 0.0
    arrived = 0
    started = 0
    known = clients if clients > 0 else n
    left = after - first
    while left > 0 or arrived <= after:
        running = len(heap)
        to_arrival = arrival[arrived] - now if arrived < known else np.inf
        to_departure = np.inf
        if running > 0:
            to_departure = max(heap[0][0] - progress, 0.0) * service[running - 1]
        if to_departure <= to_arrival:
            now += to_departure
            progress, request = heapq.heappop(heap)
            departure[request] = now
            if first <= request < after:
                left -= 1
            if clients > 0 and known < n:
                arrival[known] = now
                known += 1
        else:
            if running > 0:
                progress += to_arrival / service[running - 1]
            now = arrival[arrived]
            arrived += 1
        while started < arrived and len(heap) < cap:
            heapq.heappush(heap, (progress + work[started], started))
            admitted[started] = now
            started += 1
    return admitted, departure
