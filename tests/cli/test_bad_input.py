"""Bad input: one line that says what, where and what to do; exit code 2; nothing on disk is harmed."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from bayes_sd.posterior.validate import CHECKSUM, checksum

RUN = [sys.executable, "-m", "bayes_sd"]
HEADER = (
    "source,hardware,tp,engine,verifier,method,drafter,k,mean_accepted_len,prompt_tokens,output_tokens,load_kind,"
    "load_value,mean_e2e_s,precision"
)
ROW = "mine,H100,1,vllm,Llama-3.1-8B-Instruct,none,,,,512,128,concurrency,{load},{latency},fp16"


def run(*args, **more):
    return subprocess.run([*RUN, *map(str, args)], capture_output=True, text=True, **more)


def refused(done, *words):
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in lines[0]


def table(path, *rows):
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def test_help_needs_no_heavy_import():
    code = "import sys, bayes_sd.cli; print([m for m in ('numpy', 'pandas', 'pymc', 'numba') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
    assert "fit" in run("--help").stdout


def test_unknown_family():
    refused(run("fit", "--family", "lama"), "lama", "llama")


def test_missing_and_empty_data(tmp_path):
    out = tmp_path / "t.nc"
    refused(run("fit", "--family", "llama", "--data", tmp_path / "no.csv", "--output", out), "no.csv")
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    refused(run("fit", "--family", "llama", "--data", empty, "--output", out), "empty.csv")
    assert not out.exists()


@pytest.mark.parametrize("latency", ["-1", "0", "nan", "fast"])
def test_a_number_that_is_none(tmp_path, latency):
    data = table(tmp_path / "d.csv", ROW.format(load=1, latency=1.0), ROW.format(load=2, latency=latency))
    done = run("fit", "--family", "llama", "--data", data, "--output", tmp_path / "t.nc")
    refused(done, "d.csv", "3", "mean_e2e_s")


def test_one_row_and_unknown_hardware(tmp_path):
    out = tmp_path / "t.nc"
    one = table(tmp_path / "one.csv", ROW.format(load=1, latency=1.0))
    refused(run("fit", "--family", "llama", "--data", one, "--output", out), "1 observation")
    rows = [ROW.format(load=n, latency=1.0 + n).replace("H100", "H9000") for n in (1, 2, 3)]
    other = table(tmp_path / "other.csv", *rows)
    refused(run("fit", "--family", "llama", "--data", other, "--output", out), "H9000")


def test_speculation_without_any_acceptance(tmp_path):
    rows = [
        f"mine,H100,1,vllm,Llama-3.1-8B-Instruct,eagle3,,4,,512,128,concurrency,{n},{1 + n},fp16"
        for n in (1, 2, 3)
    ]
    data = table(tmp_path / "d.csv", *rows)
    refused(run("fit", "--family", "llama", "--data", data, "--output", tmp_path / "t.nc"), "acceptance")


def test_an_output_that_cannot_be_written(tmp_path):
    refused(run("fit", "--output", tmp_path), "folder")
    refused(run("fit", "--output", "/proc/no/such/place.nc"), "--output")


def test_traces_that_are_none(tmp_path, small_trace):
    conditions = table(tmp_path / "c.csv", ROW.format(load=1, latency=""))
    out = tmp_path / "p.csv"
    refused(run("predict", tmp_path / "no.nc", "--conditions", conditions, "--output", out), "no.nc")
    text = tmp_path / "text.nc"
    text.write_text("not netCDF")
    refused(run("predict", text, "--conditions", conditions, "--output", out), "text.nc")
    short = tmp_path / "short.nc"
    short.write_bytes(small_trace.read_bytes()[:20000])
    refused(run("predict", short, "--conditions", conditions, "--output", out), "short.nc")
    assert not out.exists()


def rewritten(trace, path, **changes):
    import xarray as xr

    with xr.open_datatree(trace, engine="h5netcdf") as opened:
        tree = opened.load()
    about = json.loads(tree.attrs["bayes_sd"]) | changes
    tree.attrs["bayes_sd"] = json.dumps(about)
    tree.attrs[CHECKSUM] = checksum(tree)
    tree.to_netcdf(path, engine="h5netcdf")
    return about


def test_newer_and_unconverged_traces(tmp_path, small_trace):
    conditions = table(tmp_path / "c.csv", ROW.format(load=1, latency="").replace("H100", "A100"))
    out = tmp_path / "p.csv"
    newer = tmp_path / "newer.nc"
    about = rewritten(small_trace, newer, format_version=99)
    refused(run("predict", newer, "--conditions", conditions, "--output", out), "99", "upgrade")
    failed = tmp_path / "failed.nc"
    gate = about["gate"] | {"passed": False, "failures": ["R-hat 1.5"]}
    rewritten(small_trace, failed, gate=gate)
    refused(run("predict", failed, "--conditions", conditions, "--output", out), "--accept-unconverged")
    done = run("predict", failed, "--conditions", conditions, "--output", out, "--accept-unconverged")
    assert done.returncode == 0, done.stderr
    assert "latency_mean_s" in out.read_text()


def test_interrupted_sampling_leaves_the_old_file(tmp_path):
    out = tmp_path / "t.nc"
    out.write_bytes(b"what stood here")
    process = subprocess.Popen(
        [*RUN, "fit", "--output", str(out), "--tune", "20000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    time.sleep(25)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert b"interrupted" in errors
    assert b"Traceback" not in errors
    assert out.read_bytes() == b"what stood here"
