"""The same seed gives the same draws on one machine, whatever the number of processors a fit may use."""

import os
import subprocess
import sys

import pytest

FIT = """
import hashlib, sys
from bayes_sd.cards import load_cards
from bayes_sd.model.spec import ModelSpec
from bayes_sd.sample.fit import fit_frame, observations
from bayes_sd.sample.settings import SamplerSettings

cards = load_cards()
rows = observations("llama", cards=cards)[0]
rows = rows[rows["hardware"].str.startswith("A100-SXM4-80GB")].iloc[::3].reset_index(drop=True)
settings = SamplerSettings(draws=20, tune=40, chains=2, seed=5, cores=int(sys.argv[1]))
drawn = fit_frame(rows, ModelSpec(family="llama"), settings, cards)[0].tree["posterior"]
print(hashlib.sha256(b"".join(drawn[name].to_numpy().tobytes() for name in sorted(drawn))).hexdigest())
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2, reason="needs two processors"
)
def test_draws_do_not_depend_on_the_number_of_processors():
    one = min(os.sched_getaffinity(0))
    said = [
        subprocess.run(
            [sys.executable, "-c", FIT, str(cores)],
            check=True,
            capture_output=True,
            text=True,
            preexec_fn=limit,
        ).stdout
        for cores, limit in ((1, lambda: os.sched_setaffinity(0, {one})), (2, None))
    ]
    assert said[0] == said[1]
