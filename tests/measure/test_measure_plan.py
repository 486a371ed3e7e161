"""Which points a sweep takes."""

import pytest

from bayes_sd.errors import DataError
from bayes_sd.measure.plan import Done, Plan, Shape, next_point, points_expected

SHAPE = Shape(16, 8)


def follow(plan, throughput, stop=None):
    """Give the names of all points, with a throughput for each number of clients."""
    done, names = Done(), []
    while (point := next_point(plan, done)) is not None and len(names) != stop:
        names.append((point.load.label, point.load.value, point.repeat))
        done.add(
            point, throughput(point.load.value) if point.load.kind == "concurrency" else point.load.value
        )
    return names, done


def test_clients_double_while_throughput_grows_and_rates_stay_below_it():
    plan = Plan((SHAPE,), shares=(0.5, 0.9), repeats=1)
    names, _ = follow(plan, lambda n: min(n, 5.0))
    assert [name for name, _, _ in names[:4]] == ["1 client", "2 clients", "4 clients", "8 clients"]
    assert names[4][1:] == (5.0, 1) or names[4][0] == "16 clients"
    rates = [value for name, value, _ in names if "capacity" in name]
    assert rates == [2.5, 4.5]


def test_repeats_come_after_all_loads_and_take_the_same_ones():
    plan = Plan((SHAPE, Shape(8, 8)), clients=(1, 3), shares=(0.5,), repeats=2)
    names, _ = follow(plan, lambda n: float(n))
    assert [repeat for _, _, repeat in names] == [1] * 6 + [2] * 6
    assert names[:6] == [(n, v, 1) for n, v, _ in names[6:]]
    assert len(names) == points_expected(plan)


def test_a_stopped_sweep_goes_on_where_it_was():
    plan = Plan((SHAPE,), shares=(0.5, 0.9), repeats=2)
    whole, _ = follow(plan, lambda n: min(n, 5.0))
    for stop in range(1, len(whole)):
        _, done = follow(plan, lambda n: min(n, 5.0), stop)
        point = next_point(plan, done)
        assert (point.load.label, point.load.value, point.repeat) == whole[stop]


@pytest.mark.parametrize(
    "wrong",
    [
        {"clients": (), "shares": (0.5,)},
        {"clients": (), "shares": (), "rates": ()},
        {"shares": (1.0,)},
        {"clients": (0,)},
        {"rates": (-1.0,)},
        {"shapes": ()},
    ],
)
def test_plans_that_are_none(wrong):
    with pytest.raises(DataError):
        Plan(**wrong)
