"""A path with quotes or worse is a path in a report's notebook, and no code."""

from pathlib import Path

import pytest

from bayes_sd.report import build


@pytest.mark.parametrize(
    "name",
    [
        "it's.nc", 'say "it".nc', "'''\"\"\".nc", "'; import os; os._exit(9) #.nc", "a\nTRACE = 'other'.nc", "back\\slash\\'.nc",
        "{x}.nc", "$(x).nc", "ü\u202e\u2028.nc",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["model", "family", "decision"])
def test_paths(tmp_path, monkeypatch, kind, name):
    ran = []
    monkeypatch.setattr(build, "_execute", lambda client: ran.append(client.nb))
    trace = tmp_path / name
    build.run(kind, trace, False)
    cells = [c.source for c in ran[0].cells if build.PARAMETERS in c.metadata.get("tags", [])]
    said = {}
    exec("\n".join(cells), said)
    assert Path(said["TRACE"]) == trace
    assert said["ACCEPT_UNCONVERGED"] is False
    others = [c.source for c in ran[0].cells if build.PARAMETERS not in c.metadata.get("tags", [])]
    assert not any(str(tmp_path) in source for source in others)
