import os
import stat

import pytest

from bayes_sd import files
from bayes_sd.errors import DataError, OutputError


def test_shipped_folders_exist():
    assert (files.shipped("models") / "hardware.toml").is_file()
    assert (files.shipped("data") / "SOURCES.md").is_file()


def test_an_installed_package_looks_inside_itself_and_not_beside(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "bayes_sd"
    (package.parent / "data").mkdir(parents=True)  # a stranger's
    package.mkdir()
    monkeypatch.setattr(files, "__file__", str(package / "files.py"))
    with pytest.raises(DataError, match="install bayes_sd again"):
        files.shipped("data")
    (package / "_shipped" / "data").mkdir(parents=True)
    assert files.shipped("data") == package / "_shipped" / "data"


def test_writes_and_replaces(tmp_path):
    target = tmp_path / "new" / "out.txt"
    assert files.write_atomically(target, lambda p: p.write_text("one")) == target
    files.write_atomically(target, lambda p: p.write_text("two"))
    assert target.read_text() == "two"
    assert os.listdir(target.parent) == ["out.txt"]


def test_the_writer_gets_the_same_suffix_beside(tmp_path):
    seen = []

    def writer(path):
        seen.append(path)
        path.write_bytes(b"x")

    files.write_atomically(tmp_path / "fit.nc", writer)
    assert seen[0].suffix == ".nc"
    assert seen[0].parent == tmp_path


@pytest.mark.parametrize(
    "error", [ValueError("bad"), OSError(28, "No space left on device"), KeyboardInterrupt()]
)
def test_a_failed_write_leaves_what_stood_there(tmp_path, error):
    target = tmp_path / "out.txt"
    target.write_text("old")

    def writer(path):
        path.write_text("half")
        raise error

    with pytest.raises(OutputError if isinstance(error, OSError) else type(error)):
        files.write_atomically(target, writer)
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["out.txt"]


def test_a_link_survives(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    files.write_atomically(tmp_path / "link.txt", lambda p: p.write_text("new"))
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_a_new_file_has_ordinary_permissions(tmp_path):
    files.write_atomically(tmp_path / "a.txt", lambda p: p.write_text("x"))
    (tmp_path / "b.txt").write_text("x")
    mode = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.txt", "b.txt")]
    assert mode[0] == mode[1]


@pytest.mark.parametrize(
    ("place", "says"),
    [(".", "is a folder"), ("no/such/out.txt", "make the folder first"), ("file/out.txt", "cannot write")],
)
def test_impossible_places(tmp_path, place, says):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match=says) as caught:
        files.write_atomically(tmp_path / place, lambda p: p.write_text("x"))
    assert "\n" not in str(caught.value)
