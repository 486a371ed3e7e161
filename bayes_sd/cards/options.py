"""What a row's engine options say of how the model is spread over GPUs, which has columns of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from numbers import Real
from typing import Any

SIZES = {
    "ep": r"(?:--)?(?:ep|moe_ep|ep[-_]size|expert[-_]parallel[-_]size)",
    "dp": r"(?:--)?(?:dp|attention_dp|dp[-_]size|data[-_]parallel[-_]size)",
    "pp": r"(?:--)?(?:pp|pp[-_]size|pipeline[-_]parallel[-_]size)",
}
"""Column to the words for it in recipes and launch commands."""
SLICED = r"(?:--)?moe_tp[= ]\d+"
"""How experts are cut into parts, which follows from the rest."""
RANKS = r"(?:--enable-dp-attention|dp_attn=(?:true|1))"
NO_RANKS = r"dp_attn=(?:false|0)"
EXPERTS = r"--enable-(?:expert-parallel|ep-moe)"
IMAGE = r"image=(\S+)"
DAY = re.compile(r"20\d\d-[01]\d-[0-3]\d")


def read_options(record: Mapping[str, Any]) -> dict[str, Any]:
    """Move what engine options say of a layout and a version to its columns, where these are blank.

    Parameters
    ----------
    record : mapping
        With ``engine_options``, ``engine``, ``tp``; a ``repeat`` that is a day is the day of the run.

    Returns
    -------
    dict
        The columns that change; ``engine_options`` keeps the rest.
    """
    changed: dict[str, Any] = {}
    text = record.get("engine_options")
    if isinstance(text, str) and text:
        changed = _from_text(text, record)
    repeat = record.get("repeat")
    if isinstance(repeat, str) and DAY.fullmatch(repeat) and not record.get("run_date"):
        changed["run_date"] = repeat
    return changed


def _from_text(text: str, record: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, float] = {}
    for column, words in SIZES.items():
        pattern = rf"(?<![\w-]){words}[= ](\d+)(?!\w)"
        for size in re.findall(pattern, text, flags=re.I):
            found[column] = max(found.get(column, 1.0), float(size))
        text = re.sub(pattern, " ", text, flags=re.I)
    image = re.search(IMAGE, text)
    tp = record.get("tp")
    group = float(tp) if isinstance(tp, Real) and tp == tp else None
    if re.search(RANKS, text, flags=re.I) and group is not None:
        found.setdefault("dp", group)
    if re.search(EXPERTS, text) and group is not None:
        found.setdefault("ep", group)
    for pattern in (SLICED, RANKS, NO_RANKS, EXPERTS, IMAGE):
        text = re.sub(pattern, " ", text, flags=re.I)
    changed: dict[str, Any] = {name: size for name, size in found.items() if _blank(record.get(name))}
    if image is not None:
        changed["image"] = image[1]
    rest = " ".join(text.replace(";", " ").split())
    return changed | ({"engine_options": rest} if rest != record["engine_options"] else {})


def _blank(value: object) -> bool:
    return value is None or value == "" or value != value
