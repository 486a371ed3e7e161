"""The public names: each there, each usable again after everything else was imported, none hidden by a package."""

import ast
import pkgutil
import re
import subprocess
import sys
import types
from importlib import import_module, resources
from pathlib import Path

import pytest

import bayes_sd as sd

NAMES = sd.__all__


def test_the_names_are_listed_once_and_in_order():
    assert sd.__all__ == sorted(set(sd.__all__))
    assert set(sd.__all__) == set(sd._PUBLIC)
    assert set(sd.__all__) <= set(dir(sd))


def test_type_checkers_see_the_names_that_are_there():
    tree = ast.parse(Path(sd.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {a.asname: (n.module, a.name) for n in block.body for a in n.names}
    said = {name: place.partition(":") for name, place in sd._PUBLIC.items()}
    assert seen == {name: (f"bayes_sd.{m}", own or name) for name, (m, _, own) in said.items()}
    assert resources.files("bayes_sd").joinpath("py.typed").is_file()


def test_no_room_has_the_name_of_a_public_function():
    rooms = {module.name for module in pkgutil.iter_modules(sd.__path__)}
    assert not rooms & set(sd.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_the_same_when_used_again(name):
    """`bayes_sd.predict` once gave a function the first time and a package the second."""
    first = getattr(sd, name)
    module, _, own = sd._PUBLIC[name].partition(":")
    assert getattr(import_module(f"bayes_sd.{module}"), own or name) is first
    assert getattr(sd, name) is first
    assert callable(first)
    assert not isinstance(first, types.ModuleType)


def test_all_names_survive_the_import_of_every_module():
    """In a process of its own: use each name, import every module there is, use each name again."""
    code = """
import importlib, pkgutil, types
import bayes_sd as sd
before = {name: getattr(sd, name) for name in sd.__all__}
for module in pkgutil.walk_packages(sd.__path__, "bayes_sd."):
    if "_shipped" not in module.name and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
after = {name: getattr(sd, name) for name in sd.__all__}
assert all(before[name] is after[name] for name in before)
assert not any(isinstance(value, types.ModuleType) for value in after.values())
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'predictt'"):
        sd.predictt  # noqa: B018


def test_one_page_lists_them_all():
    page = (Path(__file__).parents[1] / "docs" / "api.md").read_text(encoding="utf-8")
    words = set(re.findall(r"`(\w+)", page))
    assert set(sd.__all__) <= words
