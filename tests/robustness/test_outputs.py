"""Destinations of every kind: a file, a link, a pipe, a device, a name that none can have; and faults inside a save."""

import os
import stat
import subprocess
import sys
import threading

import pytest
from bad_cases import contents, run

from bayes_sd import files
from bayes_sd.errors import OutputError


def put(text):
    return lambda path: path.write_text(text)


def test_a_pipe_gets_the_content_and_stays_a_pipe(tmp_path):
    pipe, found = tmp_path / "pipe.csv", []
    os.mkfifo(pipe)
    with pytest.raises(OutputError, match="cannot write"):  # nobody reads: no waiting for ever
        files.write_atomically(pipe, put("lost"))
    reader = threading.Thread(target=lambda: found.append(pipe.read_text()))
    reader.start()
    while not found:
        try:
            files.write_atomically(pipe, put("through"))
        except OutputError:
            continue  # the reader has not opened it yet
        reader.join(10)
    assert found == ["through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert os.listdir(tmp_path) == ["pipe.csv"]


def test_a_device_stays_one(tmp_path):
    link = tmp_path / "link.csv"
    link.symlink_to("/dev/null")
    for place in ("/dev/null", link):
        files.check_writable(place)
        files.write_atomically(place, put("gone"))
    assert link.is_symlink()
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(OutputError, match="No space left"):
        files.write_atomically("/dev/full", put("x"))
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@pytest.mark.parametrize(
    "name", ["mem", "port", "kmsg", "random", "urandom", "ptmx", "kvm", "fuse", "watchdog", "loop-control"]
)
@pytest.mark.parametrize("use", [files.check_writable, lambda p: files.write_atomically(p, put("x"))])
def test_a_device_that_takes_no_text_is_refused(tmp_path, name, use):
    """Never opened: some act on that alone."""
    device = f"/dev/{name}"
    if not os.path.exists(device):
        pytest.skip("no such device here")
    (tmp_path / "link.csv").symlink_to(device)
    for place in (device, tmp_path / "link.csv"):
        with pytest.raises(OutputError, match="it is a device, and no terminal"):
            use(place)


def test_a_terminal_is_written_to(tmp_path):
    leader, follower = os.openpty()
    try:
        name = os.ttyname(follower)
        files.check_writable(name)
        files.write_atomically(name, put("a,b\n"))
        assert os.read(leader, 100) == b"a,b\r\n"
    finally:
        os.close(leader)
        os.close(follower)


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1"])
def test_standard_output(capfd, name):
    files.write_atomically(name, put("a,b\n"))
    assert capfd.readouterr().out == "a,b\n"


def test_a_link_to_nothing_yet_and_a_ring_of_links(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    files.write_atomically(tmp_path / "link", put("x"))
    assert (tmp_path / "real").read_text() == "x"
    assert (tmp_path / "link").is_symlink()
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(OutputError, match="cannot write"):
        files.write_atomically(tmp_path / "a", put("x"))


@pytest.mark.parametrize("length", [230, 255])
def test_a_name_as_long_as_a_name_can_be(tmp_path, length):
    name = "n" * (length - 4) + ".csv"
    files.write_atomically(tmp_path / name, put("x"))
    with files.locked(tmp_path / name):
        assert (tmp_path / name).read_text() == "x"
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", ["x" * 300, "x" * 5000, "with\0nul", "a" * 100 + "/b" * 3000])
@pytest.mark.parametrize(
    "use",
    [
        lambda p: files.write_atomically(p, put("x")),
        files.check_writable,
        lambda p: files.locked(p).__enter__(),
    ],
)
def test_names_that_none_can_have(tmp_path, name, use):
    with pytest.raises(OutputError, match="cannot write") as caught:
        use(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700


def test_permissions_of_what_stood_there_stay(tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("old")
    secret.chmod(0o600)
    files.write_atomically(secret, put("new"))
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs to become another user")
@pytest.mark.parametrize(("name", "mode"), [("shared", 0o1777), ("closed", 0o700), ("readable", 0o755)])
def test_another_user_s_file_is_refused_before_anything_is_computed(tmp_path, name, mode):
    folder = tmp_path / name
    folder.mkdir()
    target = folder / "table.csv"
    target.write_text("old")
    target.chmod(0o666)
    for above in (folder, *folder.parents[:3]):
        above.chmod(mode if above == folder else 0o755)
    os.seteuid(65534)
    try:
        for use in (files.check_writable, lambda p: files.write_atomically(p, put("new"))):
            with pytest.raises(OutputError, match="cannot write"):
                use(target)
    finally:
        os.seteuid(0)
    assert target.read_text() == "old"
    assert os.listdir(folder) == ["table.csv"]


@pytest.mark.parametrize("call", ["open", "fsync", "replace", "mkdir", "copymode"])
@pytest.mark.parametrize("number", [5, 13, 28, 30, 122])
def test_every_call_of_a_save_may_fail(tmp_path, monkeypatch, call, number):
    target = tmp_path / "table.csv"
    target.write_text("old")

    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    places = {"open": (files.Path, "open"), "fsync": (os, "fsync"), "replace": (os, "replace")}
    places |= {"mkdir": (files.Path, "mkdir"), "copymode": (files.shutil, "copymode")}
    with monkeypatch.context() as patch:
        patch.setattr(*places[call], fail)
        with pytest.raises(OutputError, match=os.strerror(number)):
            files.write_atomically(target, lambda path: os.truncate(path, 10))
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_a_result_is_not_written_over_what_the_command_reads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trace.nc").write_bytes(b"of a day's fit")
    (tmp_path / "asked.csv").write_text("verifier\n")
    (tmp_path / "classes.csv").write_text("class,share,prompt_tokens\nshort,0.5,300\nlong,0.5,4000\n")
    (tmp_path / "meta.toml").write_text("")
    os.link("trace.nc", "same.nc")
    os.symlink("asked.csv", "also.csv")
    kept = contents(tmp_path)
    for arguments in (
        ["speedup", "trace.nc", "--output", "trace.nc"],
        ["speedup", "trace.nc", "--output", "same.nc"],
        ["tune", "trace.nc", "--figure", "./trace.nc"],
        ["predict", "trace.nc", "--conditions", "asked.csv", "--output", "also.csv"],
        ["fit", "--family", "llama", "--data", "asked.csv", "--output", "asked.csv"],
        ["next", "trace.nc", "--plan", "trace.nc"],
        ["report", "trace.nc", "--output", "trace.nc"],
        [
            "tune",
            "trace.nc",
            "--conditions",
            "asked.csv",
            "--vllm",
            "asked.json",
        ],  # writes asked.csv beside it
        ["advise", "trace.nc", "--conditions", "asked.csv", "--vllm", "asked.json"],
        ["tune", "trace.nc", "--policy", "--classes", "classes.csv", "--output", "classes.csv"],
        ["ingest", "asked.csv", "--meta", "meta.toml", "--output", "new.csv", "--report", "meta.toml"],
        ["simulate", "meta.toml", "--output", "new.csv", "--requests", "meta.toml"],
        ["monitor", "trace.nc", "--metrics", "asked.csv", "--output", "asked.csv"],
    ):
        done = run(arguments)
        assert done.code == 2
        assert "read by this command: give each its own file to write" in done.errors
        assert contents(tmp_path) == kept


def test_two_results_do_not_share_a_new_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for arguments in (
        ["simulate", "--output", "a.csv", "--requests", "./a.csv"],
        ["advise", "trace.nc", "--prometheus", "a.csv", "--vllm", "a.json"],
        ["ingest", "b.json", "--output", "a.csv", "--report", "a.csv"],
    ):
        done = run(arguments)
        assert done.code == 2
        assert "written already" in done.errors
    assert os.listdir(tmp_path) == []


def test_standard_input_is_not_replaced(tmp_path):
    asked = tmp_path / "asked.csv"
    asked.write_text("old")
    script = "import sys; from bayes_sd.files import *; write_atomically('/dev/stdin', lambda p: p.write_text('new'))"
    with asked.open() as stdin:
        done = subprocess.run([sys.executable, "-c", script], stdin=stdin, stderr=subprocess.PIPE, text=True)
    assert "cannot write /dev/stdin" in done.stderr
    assert asked.read_text() == "old"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_letters_that_a_terminal_lacks(tmp_path, encoding):
    script = "from bayes_sd.cli.output import shown_output\nwith shown_output():\n print('\\u00b1 \\u2265 \\udcff \\U0001f600')"
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\udcff" in done.stdout


@pytest.mark.parametrize(
    "command", ["speedup", "tune", "plan", "tree", "next", "explore", "report", "compare", "update"]
)
def test_a_result_without_a_folder_is_refused_before_anything_is_computed(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    needed = {"update": ["--data", "x.csv"], "plan": ["--slo", "p95<9s", "--rate", "1"]}.get(command, [])
    done = run([command, "no-such-trace.nc", *needed, "--output", "no/such/result.html"])
    assert done.code == 2
    assert "no/such/result.html" in done.errors and "choose another" in done.errors
    assert not (tmp_path / "no").exists()
