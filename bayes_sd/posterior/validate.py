"""A file of a fit is untrusted input: its context is checked by a schema, its groups for their shape, both by a checksum."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bayes_sd.errors import TraceError
from bayes_sd.loading import parse_json

if TYPE_CHECKING:
    import xarray as xr

CHECKSUM = "checksum"
"""Attribute of the tree that holds :func:`checksum`."""
MOST_CONTEXT = 64 << 20
"""Characters of the context."""
MOST_BYTES = 1 << 30
"""Of all groups, unpacked: a fit of all families has a tenth of it."""
DAMAGED = "the file is damaged or was changed by hand; fit again"

PRIORS = (
    ("noise", "tails"), ("kernel", "length_doublings"), ("acceptance", "drafter_sd"), ("part", ""), ("spread", ""), ("cache", ""),
    ("popularity", ""), ("overlap", ""), ("misfit", ""), ("draft", ""),
)  # fmt: skip
"""Tables of priors, and keys of them, that predictions read."""

Finite = Annotated[float, Field(allow_inf_nan=False)]
Names = list[Annotated[str, Field(max_length=4096)]]


class _Part(BaseModel):
    """A part of the context: types are not converted, further keys are left alone."""

    model_config = ConfigDict(extra="allow", strict=True)


class Gate(_Part):
    """Whether the fit converged."""

    passed: bool
    failures: Names


class Spec(_Part):
    """The model that was fitted, as far as every format has it."""

    family: str
    priors: dict[str, Any]
    moe: Literal["coverage", "dense"] = "coverage"
    routed: Literal["k+1", "k"] = "k+1"
    acceptance: Literal["position", "iid"] = "position"
    kernel: bool = True
    pooled: bool = True
    terms: Names | None = None

    @model_validator(mode="after")
    def _numbers(self) -> Self:
        for table, key in PRIORS:
            value = self.priors.get(table)
            if not isinstance(value, dict) or not isinstance(value.get(key) if key else 1.0, int | float):
                raise ValueError(f"priors.{table}{'.' + key if key else ''} is missing, or of another type")
        level: list[Any] = [self.priors]
        while level:
            value = level.pop()
            if isinstance(value, dict | list):
                level += value.values() if isinstance(value, dict) else value
            elif isinstance(value, float) and not np.isfinite(value):
                raise ValueError(f"a prior says {value}")
        return self


Size = Annotated[int, Field(ge=1, le=100_000)]


class Aged(_Part):
    """An engine's version in time."""

    version: str = ""
    years: Finite = 0.0
    known: bool = False


class Deployed(_Part):
    """Names of one deployment."""

    verifier: str
    hardware: str
    precision: str
    engine: str
    tp: Size
    layout: dict[Literal["tp", "dp", "pp", "ep", "nodes"], Size] | None = None
    memory: Literal["hbm", "gddr", "shared"] = "hbm"
    age: Aged = Aged()


class Levels(_Part):
    """Deployments and the levels that they belong to; all lists are as long as the names that they go with."""

    deployments: Annotated[list[Deployed], Field(min_length=1)]
    names: Names
    member: list[list[Finite]]
    roofline: dict[str, list[Finite]]
    log2_tp: list[Finite]

    @model_validator(mode="after")
    def _lengths(self) -> Self:
        n, m = len(self.deployments), len(self.names)
        per_deployment: list[list[Any]] = [self.member, self.log2_tp, *self.roofline.values()]
        if any(len(values) != n for values in per_deployment):
            raise ValueError(f"a list is not as long as there are deployments, {n}")
        if any(len(row) != m for row in self.member):
            raise ValueError(f"a list is not as long as there are levels, {m}")
        return self


class Measured(_Part):
    """Ranges that were measured of a deployment."""

    prompt: list[Finite]
    output: list[Finite]
    k: list[Finite]
    load: list[Finite]
    open_loop: list[bool]


class Context(_Part):
    """What every fit says of itself."""

    format_version: Annotated[int, Field(ge=1, le=1_000_000)]
    gate: Gate
    coords: dict[str, list[Any]]


class PosteriorContext(Context):
    """What a latency posterior says of itself."""

    family: Annotated[str, Field(max_length=200)]
    spec: Spec
    columns: Names = []
    cards: dict[str, dict[str, Any]] = {}
    levels: Levels
    cell_drafter: list[int]
    pair_roofline_s: list[Finite]
    measured: list[Measured]
    n_observations: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _lengths(self) -> Self:
        for name, values in (("pair", self.pair_roofline_s), ("cell", self.cell_drafter)):
            if len(values) != len(self.coords.get(name, [])):
                raise ValueError(f"a list is not as long as there are names of {name}")
        if len(self.measured) != len(self.levels.deployments):
            raise ValueError("measured ranges are not given for each deployment")
        drafters = len(self.coords.get("drafter", []))
        if any(not -1 <= i < drafters for i in self.cell_drafter):
            raise ValueError("a cell names a drafter that there is none of")
        return self


class AcceptanceContext(Context):
    """What a fit of acceptance says of itself."""

    spec: dict[str, Any]


CONTEXTS: dict[str, type[Context]] = {"bayes_sd": PosteriorContext, "bayes_sd_acceptance": AcceptanceContext}
"""Attribute that holds the context to its schema."""


def validated_context(text: str, attribute: str = "bayes_sd", newest: int | None = None) -> dict[str, Any]:
    """Read the context of a fit.

    Parameters
    ----------
    text : str
        JSON.
    attribute : str
        Name of the attribute that it stood in, which says what kind of fit it is.
    newest : int, optional
        Newest format that is read: a newer one is not checked further, since nothing is known of it.

    Returns
    -------
    dict

    Raises
    ------
    TraceError
        Without the file's name: if it is no JSON object, or not what a fit says of itself.
    """
    if len(text) > MOST_CONTEXT:
        raise TraceError(f"its context has more than {MOST_CONTEXT:,} characters; {DAMAGED}")
    about = parse_json(text, "its context", TraceError)
    if not isinstance(about, dict):
        raise TraceError(f"its context is no JSON object; {DAMAGED}")
    version = about.get("format_version")
    if newest is not None and type(version) is int and version > newest:
        raise TraceError(f"format {version} is newer than this package reads ({newest}); upgrade bayes_sd")
    try:
        CONTEXTS[attribute].model_validate(about)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        words = first["msg"].removeprefix("Value error, ")
        raise TraceError(f"its context{', ' + place if place else ''}: {words}; {DAMAGED}") from error
    return about


def check_size(tree: xr.DataTree) -> None:
    """Refuse groups that are larger unpacked than any fit, before they are read into memory.

    Raises
    ------
    TraceError
    """
    check_bytes(sum(v.nbytes for node in tree.subtree for v in node.to_dataset().variables.values()))


def check_bytes(size: int) -> None:
    """Refuse so many bytes, if they are more than any fit has.

    Raises
    ------
    TraceError
    """
    if size > MOST_BYTES:
        raise TraceError(f"its groups unpack to {size / 2**30:,.0f} GiB; {DAMAGED}")


def check_groups(tree: xr.DataTree, about: dict[str, Any]) -> None:
    """Check that a tree has draws, of the dims that its context names, all of them numbers.

    Parameters
    ----------
    tree : DataTree
        In memory.
    about : dict
        From :func:`validated_context`.

    Raises
    ------
    TraceError
        Without the file's name.
    """
    if "posterior" not in tree.children:
        raise TraceError(f"it has no group posterior; {DAMAGED}")
    draws = tree["posterior"].to_dataset()
    if not {"chain", "draw"} <= draws.sizes.keys() or not draws.sizes["chain"] * draws.sizes["draw"]:
        raise TraceError(f"its group posterior has no draws; {DAMAGED}")
    for name, values in draws.data_vars.items():
        if values.dims[:2] != ("chain", "draw"):
            raise TraceError(f"its draws of {name} lack the dims chain and draw; {DAMAGED}")
        if values.dtype.kind not in "fiu" or not np.isfinite(values.to_numpy()).all():
            raise TraceError(f"its draws of {name} are not all numbers; {DAMAGED}")
    for name, names in about["coords"].items():
        if name in draws.sizes and draws.sizes[name] != len(names):
            raise TraceError(f"its draws and its context disagree on how many {name} there are; {DAMAGED}")
    if "levels" in about and "observed" not in tree.children:
        raise TraceError(f"it has no group observed; {DAMAGED}")


def checksum(tree: xr.DataTree) -> str:
    """Hash all groups of a tree and its attributes, the checksum's own left out.

    Parameters
    ----------
    tree : DataTree

    Returns
    -------
    str
        The same before a tree is written and after it is read.
    """
    found = hashlib.blake2b(digest_size=16)
    for name in sorted(map(str, tree.attrs)):
        if name != CHECKSUM:
            found.update(f"@{name}={tree.attrs[name]}\n".encode("utf-8", "surrogatepass"))
    for node in sorted(tree.subtree, key=lambda node: node.path):
        variables = node.to_dataset(inherit=False).variables
        for name in sorted(map(str, variables)):
            values = variables[name]
            found.update(f"{node.path}/{name}{values.dims}{values.shape}".encode())
            found.update(_bytes(values.to_numpy()))
    return found.hexdigest()


def _bytes(values: np.ndarray) -> bytes:
    """Give an array as bytes that do not depend on how a file or a library holds it."""
    if not values.size:  # a file keeps no type of nothing
        return b""
    if values.dtype.kind in "fiub":
        little = values.dtype.newbyteorder("<")
        return values.dtype.kind.encode() + np.ascontiguousarray(values, dtype=little).tobytes()
    return "\0".join(str(value) for value in values.ravel()).encode("utf-8", "surrogatepass")
