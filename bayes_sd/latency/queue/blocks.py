"""Moments and quantiles of birth-death laws by blocks of states: many laws at once, without overflow.

The weight of state n is w_n = Π_{j≤n} r_j. Blocks of `WIDTH` states are multiplied out directly, and only
the products of whole blocks go through a logarithm: as safe from overflow as logarithms state by state, and
several times faster. States stand on the first axes and laws on the last, so that NumPy's inner loops run
over laws.
"""

from dataclasses import dataclass, field

import numpy as np

WIDTH = 16
_STRIDE = 4 * WIDTH
LANES = 128
_POSITION = np.arange(1.0, WIDTH + 1)
_POWERS = np.stack([np.ones(WIDTH), _POSITION, _POSITION**2])
_TINY = 1e-300
# Within a block up to 16 ratios are multiplied: beyond these bounds the product leaves double precision. A
# ratio is rate × latency / number in flight, so no server comes near them.
_LEAST_RATIO, _LARGEST_RATIO = 1e-18, 1e18
_NEGLIGIBLE_LOG_WEIGHT = -40.0


@dataclass
class Workspace:
    """Scratch arrays that outlive a batch: fresh memory costs more than the arithmetic done in it."""

    buffers: dict[str, np.ndarray] = field(default_factory=dict)

    def array(self, name: str, *shape: int) -> np.ndarray:
        """Give an array of this shape with whatever content; valid until the name is asked for again.

        Parameters
        ----------
        name : str
        *shape : int

        Returns
        -------
        array
        """
        size = int(np.prod(shape))
        if name not in self.buffers or self.buffers[name].size < size:
            self.buffers[name] = np.empty(size)
        return self.buffers[name][:size].reshape(shape)


@dataclass(frozen=True)
class BirthDeath:
    """A batch of laws on 0, 1, 2, ... with explicit weights up to a last state and a geometric tail after it.

    Attributes
    ----------
    first : int
        State that the first block follows; those below it have no weight to speak of.
    within : array, shape (batch, WIDTH, block, lane)
        Products of ratios from the start of each block; law i stands in batch i // LANES, lane i % LANES.
    scale : array, shape (block, law)
        Weight of the state before each block, relative to the largest of them.
    reached : array, shape (block + 1, law)
        Weight of the first state, and of all states up to the end of each block.
    last : int array, shape (law,)
        Last state with an explicit weight.
    weight_last : array, shape (law,)
        Its weight.
    ratio : array, shape (law,)
        Ratio of the tail's weights, in [0, 1).
    total : array, shape (law,)
        Weight of all states.
    moments : array, shape (2, law)
        Sums of weight·n and weight·n² over states 0..last.
    """

    first: int
    within: np.ndarray
    scale: np.ndarray
    reached: np.ndarray
    last: np.ndarray
    weight_last: np.ndarray
    ratio: np.ndarray
    total: np.ndarray
    moments: np.ndarray

    @property
    def empty_probability(self) -> np.ndarray:
        """Probability of state 0, shape (law,)."""
        return self.reached[0] / self.total if self.first == 0 else np.zeros(len(self.total))

    def mean_and_sd(self) -> tuple[np.ndarray, np.ndarray]:
        """Compute mean and standard deviation of the state.

        Returns
        -------
        mean, sd : array, shape (law,)
        """
        tail = 1.0 - self.ratio
        zeroth = self.weight_last * self.ratio / tail
        first = zeroth / tail
        second = first * (1.0 + self.ratio) / tail
        mean = (self.moments[0] + self.last * zeroth + first) / self.total
        square = (self.moments[1] + self.last**2 * zeroth + 2 * self.last * first + second) / self.total
        return mean, np.sqrt(np.maximum(square - mean**2, 0.0))

    def mean_and_sd_held(self) -> tuple[np.ndarray, np.ndarray]:
        """Compute mean and standard deviation of min(state, last).

        Returns
        -------
        mean, sd : array, shape (law,)
        """
        zeroth = self.total - self.reached[-1]
        mean = (self.moments[0] + self.last * zeroth) / self.total
        square = (self.moments[1] + self.last**2 * zeroth) / self.total
        return mean, np.sqrt(np.maximum(square - mean**2, 0.0))

    def quantile(self, level: float) -> np.ndarray:
        """Find the smallest state with at least this much probability at or below it.

        Parameters
        ----------
        level : float
            Probability in (0, 1).

        Returns
        -------
        array, shape (law,)
        """
        target = level * self.total
        below = (self.reached < target).sum(axis=0)
        block = np.clip(below - 1, 0, len(self.scale) - 1)
        law = np.arange(len(target))
        inside = np.ascontiguousarray(self.within[law // LANES, :, block, law % LANES].T)
        inside *= self.scale[block, law]
        _accumulate(inside)
        state = self.first + block * WIDTH + 1 + (inside < target - self.reached[block, law]).sum(axis=0)
        state = np.where(below == 0, self.first, np.minimum(state, self.last))
        in_tail = target > self.reached[-1]
        return np.where(in_tail, self._tail_quantile(target), state) if in_tail.any() else state

    def _tail_quantile(self, target: np.ndarray) -> np.ndarray:
        # P(state > last + i) ∝ weight_last·ratio^(i + 1)/(1 − ratio)
        above = np.maximum(self.total - target, _TINY) * (1.0 - self.ratio)
        steps = np.log(np.maximum(above, _TINY) / np.maximum(self.weight_last, _TINY))
        steps = steps / np.log(np.maximum(self.ratio, _TINY)) - 1.0
        # Slightly less before rounding up: the target may be exactly the probability of a state.
        return self.last + np.maximum(np.ceil(steps - 1e-9), 1.0)


def birth_death(
    service_s: np.ndarray,
    rate: np.ndarray,
    last: np.ndarray,
    wait_factor: np.ndarray | float = 1.0,
    workspace: Workspace | None = None,
) -> BirthDeath:
    """Build the laws of the number in flight under Poisson arrivals, r_n = λ·S(n)/n.

    Parameters
    ----------
    service_s : array, shape (law, state)
        S(1..n) in seconds.
    rate : array, shape (law,)
        λ in requests/s, below last/S(last).
    last : int array, shape (law,)
        Last explicit state, at least 1 and at most the number of states; the tail repeats its ratio.
    wait_factor : array, shape (law,), optional
        Mean excess over the last state, relative to the one that repeating the ratio gives; the probability
        of the last state and more stays the same, and the tail stays geometric.
    workspace : Workspace, optional
        Where to put large arrays; the result is valid until it is used again.

    Returns
    -------
    BirthDeath
    """
    begin, end = _states_needed(service_s, rate, last)
    service_s, last = service_s[:, begin:end], np.minimum(last, end)
    workspace = workspace or Workspace()
    within, sums = _products(service_s, rate, begin, last, workspace)
    _, n_blocks, n_laws = sums.shape
    scale = workspace.array("scale", n_blocks, n_laws)
    scale[0] = 0.0
    whole_blocks = (
        within[:, -1, :-1].transpose(1, 0, 2).reshape(n_blocks - 1, len(within) * LANES)[:, :n_laws]
    )
    np.log(np.maximum(whole_blocks, _TINY), out=scale[1:])
    _accumulate(scale)
    peak = scale.max(axis=0)
    scale -= peak
    np.exp(scale, out=scale)
    sums *= scale
    reached = workspace.array("reached", n_blocks + 1, n_laws)
    reached[0] = np.exp(-peak)
    reached[1:] = sums[0]
    _accumulate(reached)
    start = begin + WIDTH * np.arange(n_blocks)
    mean_sum = sums[1].sum(axis=0) + start @ sums[0] + begin * reached[0]
    square_sum = sums[2].sum(axis=0) + 2 * start @ sums[1] + start**2 @ sums[0] + begin**2 * reached[0]
    law = np.arange(n_laws)
    block, place = np.divmod(last - 1 - begin, WIDTH)
    at_last = (law // LANES, place, block, law % LANES)
    weight_last = within[at_last] * scale[block, law]
    ratio = rate * service_s[law, last - 1 - begin] / last
    total = reached[-1] + weight_last * ratio / (1.0 - ratio)
    if np.any(wait_factor != 1.0):
        ratio, moved = _stretched_tail(ratio, weight_last, wait_factor)
        in_scale = scale[block, law] > 0.0
        step = np.divide(moved, scale[block, law], out=np.zeros(n_laws), where=in_scale)
        within[at_last] += step
        reached[1:] += np.where(np.arange(n_blocks)[:, None] >= block, moved, 0.0)
        weight_last = weight_last + moved
        mean_sum, square_sum = mean_sum + moved * last, square_sum + moved * last**2
    moments = np.stack([mean_sum, square_sum])
    return BirthDeath(begin, within, scale, reached, last, weight_last, ratio, total, moments)


def _stretched_tail(
    ratio: np.ndarray, weight_last: np.ndarray, factor: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Give the ratio of a tail with `factor` times the mean excess, and the last state's gain in weight."""
    stretched = factor * ratio / (1.0 - ratio + factor * ratio)
    return stretched, weight_last * ((1.0 - stretched) / (1.0 - ratio) - 1.0)


def _products(
    service_s: np.ndarray, rate: np.ndarray, begin: int, last: np.ndarray, workspace: Workspace
) -> tuple[np.ndarray, np.ndarray]:
    """Products of ratios from the start of each block, 0 past the last state, and their moments in each block.

    The curves are those of states begin + 1, begin + 2, ...

    Returns
    -------
    within : array, shape (batch, WIDTH, block, lane)
    moments : array, shape (3, block, law)
        Sums over a block of the products, times the position in it to the power 0, 1 and 2.
    """
    n_laws, n_states = service_s.shape
    n_blocks = -(-n_states // WIDTH)
    state = np.arange(begin + 1, begin + n_states + 1)
    same = np.all(rate == rate[0])
    factor = (rate[0] if same else 1.0) / state
    ends = np.any(last < state[-1])
    overflows = _may_overflow(service_s, rate)
    n_batches = -(-n_laws // LANES)
    within = workspace.array("products", n_batches, WIDTH, n_blocks, LANES)
    moments = workspace.array("moments", 3, n_blocks, n_batches, LANES)
    # Rows are 64 bytes longer than needed: at a power of two their columns would fight for the same cache lines.
    rows = workspace.array("rows", LANES, n_blocks * WIDTH + 8)[:, : n_blocks * WIDTH]
    rows[:] = 0.0
    sums = np.empty((3, n_blocks * LANES))
    for batch in range(n_batches):
        laws = slice(batch * LANES, min((batch + 1) * LANES, n_laws))
        ratios = rows[: laws.stop - laws.start, :n_states]
        np.multiply(service_s[laws], factor, out=ratios)
        if not same:
            ratios *= rate[laws, None]
        if overflows:
            np.clip(ratios, _LEAST_RATIO, _LARGEST_RATIO, out=ratios)
        if ends:
            ratios *= state <= last[laws, None]
        products = within[batch]
        for i in range(WIDTH):
            products[i] = rows.T[i::WIDTH]
        for i in range(1, WIDTH):
            products[i] *= products[i - 1]
        np.matmul(_POWERS, products.reshape(WIDTH, -1), out=sums)
        moments[:, :, batch] = sums.reshape(3, n_blocks, LANES)
    return within, moments.reshape(3, n_blocks, -1)[:, :, :n_laws]


def _may_overflow(service_s: np.ndarray, rate: np.ndarray) -> bool:
    """Tell whether some ratio may lie out of bounds, from the curves' ends and a factor of a million.

    Latency does not fall with the number in flight by much, nor grow faster than in proportion by much.
    """
    largest = rate.max() * service_s[:, -1].max() * 1e6
    least = rate.min() * service_s[:, 0].min() / 1e6 * 1e-6
    return bool(largest > _LARGEST_RATIO or least < _LEAST_RATIO)


def _states_needed(service_s: np.ndarray, rate: np.ndarray, last: np.ndarray) -> tuple[int, int]:
    """Find the states that have weight to speak of in any law of the batch: those after `begin`, up to `end`.

    Looks at every 64th state only: with ratio r there, the weight changes by about r^64 on the way. States
    whose weight is below e^-40 of the peak's, for every law, are left out at the beginning; and at the end
    if all later ratios are below 1, in favour of the geometric tail.
    """
    n_states = service_s.shape[1]
    ends = np.arange(_STRIDE, n_states, _STRIDE)
    if len(ends) < 2:
        return 0, n_states
    ratio = service_s[:, ends - 1].T * (rate / ends[:, None])
    # Past a law's last state only its tail remains.
    ratio = np.where(ends[:, None] < last, ratio, _TINY)
    log_weight = _STRIDE * np.log(ratio)
    _accumulate(log_weight)
    peak = np.maximum(log_weight.max(axis=0), 0.0)
    weighty = (log_weight - peak > _NEGLIGIBLE_LOG_WEIGHT).any(axis=1)
    first_weighty = np.flatnonzero(weighty)[0] if weighty.any() else 0
    if np.any(peak < -_NEGLIGIBLE_LOG_WEIGHT):
        first_weighty = 0
    rising = np.flatnonzero(weighty | (ratio.max(axis=1) >= 1.0))
    last_weighty = rising[-1] if len(rising) else -1
    # Two strides more: ratios fall within a stride, so the weight at its end is too low an estimate.
    return int(max(first_weighty - 2, 0) * _STRIDE), int(min((last_weighty + 3) * _STRIDE, n_states))


def _accumulate(values: np.ndarray) -> None:
    """Sum along the first axis in place; a loop over its few entries is faster than cumsum across rows."""
    for i in range(1, len(values)):
        values[i] += values[i - 1]
