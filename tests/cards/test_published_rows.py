"""Names in the published measurements that stand beside this checkout, where they do."""

import csv
from pathlib import Path

import pytest

from bayes_sd.cards import load_cards

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
TABLES = ("measurements.csv", "measurements_2.csv")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the published measurements are not beside this checkout")
@pytest.mark.parametrize("name", TABLES)
def test_every_verifier_drafter_gpu_and_format_has_a_card(name):
    cards = load_cards()
    with (SHARED / name).open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) > 1000
    for row in rows:
        verifier = cards.verifier_from_row({"verifier": row["verifier"]})
        assert not verifier.estimated
        cards.hardware(row["hardware"])
        cards.precision(row["precision"] or "fp16", row["verifier"])
        if row["drafter"]:
            cards.drafter(row["drafter"])
            assert cards.drafter_from_row(row).method == row["method"]
