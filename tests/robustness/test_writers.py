"""Every write of a file goes through the one mechanism whose faults are injected, or into a folder that is thrown away."""

import ast
from pathlib import Path

from test_fault_injection import SAVES

import bayes_sd

PACKAGE = Path(bayes_sd.__file__).parent
WRITES = {
    "write_text",
    "write_bytes",
    "to_csv",
    "to_netcdf",
    "savefig",
    "copyfile",
    "touch",
    "tofile",
    "save",
    "savez",
    "to_json",
}
OPENS = {"open", "fdopen"}
ELSEWHERE = {
    "files.py": "the mechanism itself",
    "engine/server.py:serve": "the log of a server, which only grows",
    "plots/style.py:figure_bytes": "into memory",
}
"""Writes outside the mechanism, each with its reason."""
INJECTED = {
    "acceptance/profiles.py:write_profiles": "toml",
    "cli/advise.py:_write": "html",
    "cli/card.py:card": "toml",
    "cli/ingest.py:_write_report": "html",
    "decide/schedule.py:write_schedule": "html",
    "decide/tables.py:write_result": "json decision.nc",
    "engine/weights.py:write_model": "gguf",
    "measure/planned.py:write_plan": "plan.json",
    "measurements/csvfile.py:write_csv": "csv",
    "measurements/readers/rows.py:write_table": "measured.csv",
    "plots/style.py:save_figure": "png svg",
    "posterior/file.py:write_tree": "nc",
    "report/build.py:make_report": "html copied.html",
    "report/build.py:write_derived": "html",
    "report/explore.py:make_explorer": "html",
}
"""What uses the mechanism, and the saves of the fault-injection test that fill their file in the same way."""


def named(call):
    """Give the last part of the name that is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def writes(call):
    """Say whether a call writes a file: by its name, or by the mode that it opens one with. Without a place it is memory."""
    name = named(call)
    if name in OPENS:
        modes = [
            a.value for a in (*call.args, *(k.value for k in call.keywords)) if isinstance(a, ast.Constant)
        ]
        return any(isinstance(mode, str) and len(mode) < 4 and set(mode) & set("wax+") for mode in modes)
    return name in WRITES and bool(call.args)


def handed_over(tree):
    """Name the functions of a module that the mechanism is given to call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and named(node) == "write_atomically":
            for given in node.args[1:]:
                yield from (n.id for n in ast.walk(given) if isinstance(n, ast.Name))


def outside(path):
    """Give the writes of a module that are neither inside the mechanism nor in a folder that is thrown away."""
    tree = ast.parse(path.read_text("utf-8"))
    writers = set(handed_over(tree))

    def walk(node, inside, function):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node.name
            inside = inside or node.name in writers
        if isinstance(node, ast.With):
            inside = inside or any("scratch_folder" in ast.unparse(item) for item in node.items)
        if isinstance(node, ast.Call):
            inside = inside or named(node) == "write_atomically"
            if writes(node) and not inside:
                yield f"{path.relative_to(PACKAGE)}:{function}"
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inside, function)

    return list(walk(tree, False, ""))


def test_every_writer_uses_the_mechanism():
    found = {place for path in PACKAGE.rglob("*.py") for place in outside(path)}
    left = {p for p in found if p not in ELSEWHERE and p.partition(":")[0] not in ELSEWHERE}
    assert left == set()


def callers(path):
    """Name the functions of a module that call the mechanism."""
    tree = ast.parse(path.read_text("utf-8"))
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            calls = (n for n in ast.walk(function) if isinstance(n, ast.Call))
            if any(named(call) == "write_atomically" for call in calls):
                yield f"{path.relative_to(PACKAGE)}:{function.name}"


def test_faults_are_injected_into_every_writer():
    assert {place for path in PACKAGE.rglob("*.py") for place in callers(path)} == set(INJECTED)
    assert {save for saves in INJECTED.values() for save in saves.split()} == set(SAVES)


def test_a_writer_outside_would_be_found(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.PACKAGE", tmp_path)
    module = tmp_path / "m.py"
    for line in ("p.write_text('x')", "open(p, 'w')", "p.open('ab')", "figure.savefig(p)", "table.to_csv(p)"):
        module.write_text(f"def f(p, table, figure):\n    {line}\n")
        assert outside(module) == ["m.py:f"], line
        module.write_text(f"def f(p, table, figure):\n    write_atomically(p, lambda p: {line})\n")
        assert outside(module) == [], line
