"""What a model is, apart from the backend that samples it: terms, levels and priors, frozen and storable."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bayes_sd.errors import ModelError
from bayes_sd.files import shipped
from bayes_sd.loading import exists, load_toml

COEFFICIENTS = ("prefill_token", "verify", "request", "kv", "prefill_fixed", "expert")
"""Stage costs that each deployment has one of; `expert` only where some verifier has routed experts."""
KINDS = ("memory", "hardware", "engine", "version", "precision", "unpacked", "verifier", "parallel", "stack")
"""Levels that move a coefficient away from its roofline, from general to specific."""
PARTS = (
    "prefill_compute",
    "token_compute",
    "link",
    "weights",
    "launch",
    "allreduce_latency",
    "sequence",
    "experts",
    "kv",
    "prefill_fixed",
    "prefill_attention",
)


@dataclass(frozen=True)
class ModelSpec:
    """A model before it meets data.

    Attributes
    ----------
    family : str
        Name of the family that is fitted.
    moe : {"coverage", "dense"}
        Whether expert-weight time follows the share of experts that a step touches, or is always paid in full.
    routed : {"k+1", "k"}
        Whether a verify step routes the draft tokens and the one before them, T = b(1 + ψk), or the draft tokens only,
        T = b(1 + ψ(k − 1)); the paper writes both.
    acceptance : {"position", "iid"}
        Whether the acceptance of a drafted token differs by its position as the method's profile in
        ``models/acceptance.toml`` says, or is the same at every position.
    kernel : bool
        Whether step time may leave the straight line by a deviation per stack and batch size.
    pooled : bool
        Whether deployments share effects of hardware, engine, precision, verifier and stack.
    terms : sequence of str, optional
        Names of the terms that the model has (:mod:`bayes_sd.model.terms`); by default all that there are.
    priors : dict
        Prior tables; by default those of the family, from :func:`family_priors`.
    """

    family: str = "llama"
    moe: Literal["coverage", "dense"] = "coverage"
    routed: Literal["k+1", "k"] = "k+1"
    acceptance: Literal["position", "iid"] = "position"
    kernel: bool = True
    pooled: bool = True
    terms: tuple[str, ...] | list[str] | None = None
    priors: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.priors:
            object.__setattr__(self, "priors", family_priors(self.family))

    def has(self, term: str) -> bool:
        """Say whether the model has a term."""
        return self.terms is None or term in self.terms

    def to_json(self) -> str:
        """Serialise, for a posterior file's attributes."""
        return json.dumps(self.__dict__, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelSpec:
        """Read back what :meth:`to_json` wrote."""
        return cls(**json.loads(text))


def family_priors(family: str, models: Path | None = None) -> dict[str, Any]:
    """Read the prior tables with what a family's own file says otherwise.

    Parameters
    ----------
    family : str
    models : Path, optional
        Folder with further cards, whose ``priors-FAMILY.toml`` goes before the shipped one.

    Returns
    -------
    dict
        As :func:`read_priors`.

    Raises
    ------
    ModelError
        If the file cannot be read, or names a prior that ``priors.toml`` does not have.
    """
    tables = read_priors()
    name = f"priors-{family}.toml"
    found = [folder / name for folder in (models, shipped("models")) if folder and exists(folder / name)]
    if found:
        _override(tables, _read(found[0]), found[0])
    return tables


def _override(tables: dict[str, Any], own: dict[str, Any], file: Path, where: str = "") -> None:
    for name, value in own.items():
        if name not in tables or isinstance(tables[name], dict) != isinstance(value, dict):
            raise ModelError(
                f"{file}: no prior is named {where}{name}; models/priors.toml has those that are"
            )
        if isinstance(value, dict):
            _override(tables[name], value, file, f"{where}{name}.")
        else:
            tables[name] = value


def _read(file: Path) -> dict[str, Any]:
    try:
        return load_toml(file, ModelError)
    except ModelError as error:
        words = str(error).removeprefix(f"{file}: ")
        raise ModelError(f"{file}: priors cannot be read ({words}); mend the file or leave it out") from error


def read_priors(path: Path | None = None) -> dict[str, Any]:
    """Read the prior tables.

    Parameters
    ----------
    path : Path, optional
        A ``priors.toml``; the shipped one by default.

    Returns
    -------
    dict
        Nested tables of numbers and words.

    Raises
    ------
    ModelError
        If the file cannot be read, or names a part or coefficient that the model does not have.
    """
    file = path or shipped("models") / "priors.toml"
    tables = _read(Path(file))
    unknown = set(tables.get("part", {})) ^ set(PARTS)
    spread = {name for name, value in tables.get("spread", {}).items() if isinstance(value, dict)}
    unknown |= spread ^ set(COEFFICIENTS)
    if unknown:
        raise ModelError(
            f"{file}: priors do not match the model at {sorted(unknown)}; copy the shipped file and change numbers only"
        )
    return tables
