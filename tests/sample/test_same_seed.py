"""The same seed gives the same file on one machine, whatever the number of processors a command may use."""

import os
import subprocess
import sys

import pytest

from bayes_sd.files import shipped

SHORT = ("--draws", "20", "--tune", "50", "--chains", "2", "--seed", "5")
COMMANDS = {
    "fit": ("fit", "--family", "llama", "--data", "rows.csv", "--output", "out.nc", *SHORT),
    "acceptance": ("acceptance", "--output", "out.nc", *SHORT),
    "predict": ("predict", "TRACE", "--conditions", "asked.csv", "--output", "out.csv", "--seed", "5"),
    "speedup": ("speedup", "TRACE", "--conditions", "asked.csv", "--loads", "1,4,16", "--output", "out.nc"),
    "simulate": (
        "simulate", "--prompt-tokens", "200", "--output-tokens", "100", "--verify-fixed-s", "0.01", "--concurrency", "1,2,4,8",
        "--n-requests", "500", "--seed", "5", "--output", "out.csv",
    ),
    "report": ("report", "TRACE", "--kind", "model", "--accept-unconverged", "--output", "out.html"),
}  # fmt: skip
"""One of each kind of work: sampling, draws of a posterior, a simulation, and a notebook."""
ASKED = (
    "hardware",
    "verifier",
    "prompt_tokens",
    "output_tokens",
    "load_kind",
    "load_value",
    "k",
    "method",
    "drafter",
    "precision",
    "workload",
    "engine",
    "tp",
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2,
        reason="needs two processors",
    ),
]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Rows to fit, and the conditions of the first of them."""
    import pandas as pd

    folder = tmp_path_factory.mktemp("tables")
    table = pd.read_csv(shipped("data") / "llama.csv", dtype="str")
    rows = table[table["hardware"].str.startswith("A100-SXM4-80GB")].iloc[::3]
    rows.to_csv(folder / "rows.csv", index=False)
    rows[rows["prompt_tokens"].notna()].head(12)[list(ASKED)].to_csv(folder / "asked.csv", index=False)
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_files_do_not_depend_on_the_number_of_processors(tmp_path, tables, small_trace, name):
    allowed = os.sched_getaffinity(0)
    written = []
    for processors in ({min(allowed)}, allowed):
        folder = tmp_path / str(len(processors))
        folder.mkdir()
        for table in tables.iterdir():
            (folder / table.name).symlink_to(table)
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "bayes_sd",
                *(str(small_trace) if a == "TRACE" else a for a in COMMANDS[name]),
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            preexec_fn=lambda few=processors: os.sched_setaffinity(0, few),
        )
        assert done.returncode in (0, 3), done.stderr  # 3: so few draws do not converge
        (found,) = folder.glob("out.*")
        written.append(found.read_bytes())
    assert len(written[0]) > 500
    assert written[0] == written[1]


def test_a_fit_that_compiles_writes_what_the_next_one_writes(tmp_path, tables):
    """The second finds machine code on disk, where functions were compiled one into another."""
    caches = {
        "NUMBA_CACHE_DIR": str(tmp_path / "numba"),
        "PYTENSOR_FLAGS": f"base_compiledir={tmp_path / 'pytensor'}",
    }
    written = []
    for name in ("first", "second"):
        arguments = [str(tmp_path / f"{name}.nc") if a == "out.nc" else a for a in COMMANDS["fit"]]
        done = subprocess.run(
            [sys.executable, "-m", "bayes_sd", *arguments],
            cwd=tables, env=os.environ | caches, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode in (0, 3), done.stderr
        written.append((tmp_path / f"{name}.nc").read_bytes())
    assert written[0] == written[1]
