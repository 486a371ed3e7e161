"""A clock that is set back or forward changes nothing: durations are read from a clock that nobody sets."""

import ast
from pathlib import Path

import pytest

import bayes_sd

SET_BY_PEOPLE = {
    "time.time",
    "time.time_ns",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
}
MODULES = sorted(Path(bayes_sd.__file__).parent.rglob("*.py"))


def read_clocks(tree):
    """Name the clocks that a module reads, and those it imports by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            yield f"{owner}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (f"time.{name.name}" for name in node.names)


def test_no_module_reads_a_clock_that_can_be_set():
    assert len(MODULES) > 100
    found = {str(m): SET_BY_PEOPLE & set(read_clocks(ast.parse(m.read_text("utf-8")))) for m in MODULES}
    assert {module: clocks for module, clocks in found.items() if clocks} == {}


@pytest.mark.parametrize("jump_s", [-86_400.0, -1.0, 3_600.0, 1e9])
def test_a_sweep_while_the_clock_jumps(tmp_path, monkeypatch, jump_s):
    import time

    from test_servers import ABOUT, Hostile, done, event, http

    from bayes_sd.measure import Length, Plan, Shape, Sweep, measure
    from bayes_sd.measurements import read_table

    server = Hostile(http(done(usage={"prompt_tokens": 8, "completion_tokens": 4}) + event(b"[DONE]")))
    plain, calls = time.time, [0]

    def jumping():
        calls[0] += 1
        return plain() + jump_s * (calls[0] % 2)

    monkeypatch.setattr(time, "time", jumping)
    plan = Plan(shapes=(Shape(8, 4),), clients=(1, 2), rates=(), shares=(), repeats=1)
    sweep = Sweep(
        target=f"http://127.0.0.1:{server.server_address[1]}",
        about=ABOUT,
        plan=plan,
        length=Length(0.5, 1, 2, 4, 5.0),
        timeout_s=5.0,
    )
    try:
        measure(sweep, tmp_path / "out.csv")
    finally:
        server.shutdown()
        server.server_close()
    table = read_table(tmp_path / "out.csv")
    assert len(table) == 2
    assert table["latency_s"].between(0.0, 60.0).all()
