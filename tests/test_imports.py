"""The order of the rooms, read from the imports: who may use whom, no circles, and what may hide inside a function.

A room is a package or module right under ``bayes_sd``. Each line of :data:`ROOMS` may import only what stands in lines above it,
and of those only what it names. To add a room, give it a line here and in ``docs/architecture.md``.
"""

import ast
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "bayes_sd"
GROUND = "errors files loading cards measurements latency model"
FITTED = f"{GROUND} posterior condition forecast"
ROOMS = {
    "errors": "",
    "interrupts": "",
    "files": "errors interrupts",
    "loading": "errors",
    "cards": "errors files loading",
    "measurements": "errors files loading cards",
    "latency": "errors cards",
    "model": "errors files loading cards measurements latency",
    "posterior": GROUND,
    "condition": f"{GROUND} posterior",
    "sample": f"{GROUND} posterior condition",
    "forecast": f"{GROUND} posterior condition",
    "decide": FITTED,
    "check": FITTED,
    "simulator": "errors files loading measurements latency",
    "measure": "errors interrupts files loading measurements",
    "learn": f"{FITTED} sample check decide measure",
    "acceptance": f"{GROUND} posterior sample",
    "baseline": GROUND,
    "engine": "errors files",
    "plots": "errors files",
    "report": f"{FITTED} interrupts sample check decide plots",
    "cli": f"{FITTED} interrupts sample check decide simulator measure learn acceptance baseline engine plots report",
    "__main__": "interrupts cli",
}
"""Each room, in order, and the rooms that it may import."""

HEAVY = {
    "aiohttp", "arviz", "arviz_stats", "h5py", "ijson", "jupytext", "matplotlib", "nbclient", "nbconvert", "numba", "numpy",
    "nutpie", "orjson", "pandas", "pydantic", "pymc", "pytensor", "rich", "scipy", "xarray",
}  # fmt: skip
"""Libraries that take long to import. Sparing one of them is the only reason for an import inside a function."""


@dataclass(frozen=True)
class Import:
    """One import statement's target, and where it stands: line, inside a function, only for annotations."""

    target: str
    line: int
    hidden: bool
    annotation: bool


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in PACKAGE.rglob("*.py") if "_shipped" not in path.parts}


@cache
def imports_of(name):
    """Read the imports of a module; one of a name out of a package counts as one of the submodule of that name, if any."""
    found = []

    def targets(node):
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names]
        assert node.level == 0, f"{name}, line {node.lineno}: relative import"
        full = [f"{node.module}.{alias.name}" for alias in node.names]
        return [f if f in MODULES else node.module for f in full]

    def walk(node, hidden, annotation):
        hidden = hidden or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        annotation = annotation or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import | ast.ImportFrom):
                found.extend(Import(t, child.lineno, hidden, annotation) for t in targets(child))
            walk(child, hidden, annotation)

    walk(ast.parse(MODULES[name].read_text(encoding="utf-8")), False, False)
    return tuple(found)


def own(name):
    return [i for i in imports_of(name) if i.target.split(".")[0] == "bayes_sd"]


def room(module):
    return module.split(".")[1] if "." in module else ""


@cache
def libraries(name):
    """Give the libraries that importing a module loads, packages above it included."""
    seen, loaded, todo = set(), set(), [name]
    while todo:
        parts = todo.pop().split(".")
        for module in (".".join(parts[: n + 1]) for n in range(len(parts))):
            if module in seen or module not in MODULES:
                continue
            seen.add(module)
            for one in imports_of(module):
                if one.hidden or one.annotation:
                    continue
                if one.target.split(".")[0] == "bayes_sd":
                    todo.append(one.target)
                else:
                    loaded.add(one.target.split(".")[0])
    return loaded


def test_every_room_is_in_the_table():
    assert {room(name) for name in MODULES} - {""} == set(ROOMS)


def test_the_table_points_downwards_only():
    order = list(ROOMS)
    upwards = [(r, u) for r, used in ROOMS.items() for u in used.split() if order.index(u) >= order.index(r)]
    assert not upwards


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_imports_only_what_it_may(name):
    """Imports inside functions and for annotations count too."""
    allowed = {name, *ROOMS[name].split()}
    wrong = [
        f"{module}, line {i.line}: imports {i.target}"
        for module in MODULES
        if room(module) == name
        for i in own(module)
        if room(i.target) not in allowed
    ]
    assert not wrong


def test_the_top_imports_rooms_by_name_only_when_they_are_used():
    assert not [i for i in own("bayes_sd") if not i.annotation]


def test_no_circle_among_modules():
    """Every import counts, whether at the top, inside a function or for annotations."""
    uses = {name: {i.target for i in own(name)} - {name} for name in MODULES}
    while True:
        free = [name for name, targets in uses.items() if not targets & uses.keys()]
        if not free:
            break
        for name in free:
            del uses[name]
    assert not uses, f"these import each other in a circle, or import one that does: {sorted(uses)}"


def test_imports_inside_functions_spare_a_heavy_library():
    """An own module is imported inside a function only where that keeps a heavy library out of the importing module."""
    idle = [
        f"{name}, line {i.line}: {i.target} could be imported at the top"
        for name in MODULES
        for i in own(name)
        if i.hidden and not (libraries(i.target) - libraries(name)) & HEAVY
    ]
    assert not idle


@pytest.mark.parametrize("statement", ["import bayes_sd", "import bayes_sd.cli"])
def test_the_top_and_the_command_line_load_nothing_heavy(statement):
    code = f"{statement}; import sys; print(sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
