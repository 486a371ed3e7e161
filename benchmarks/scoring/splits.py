"""Which rows are held out of which fit, chosen by sorted names before anything is fitted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

ONE_IN_CONFIGURATIONS, ONE_IN_DEPLOYMENTS, CELL_FOLDS, GPU_FOLDS = 8, 6, 2, 3
LEAST_ROWS = 20
"""Rows that a GPU model must have to be held out."""
LONGER = 1.5
"""A prompt is longer than the others of its deployment if it has so many times the tokens of the next longest."""
MOST_OF_ALL = 0.5
"""A source with more of the rows than this is no new source: the rest could not be a fit's whole data."""


@dataclass(frozen=True)
class Split:
    """Rows to hold out of one fit, each labelled by what it tests.

    Attributes
    ----------
    fit : str
        Name of the fit: the split, and what or which fold is held out.
    label : array of str, shape (row,)
        Empty for rows that are fitted.
    """

    fit: str
    label: np.ndarray

    @property
    def usable(self) -> bool:
        """Whether some rows are held out and some are left to fit."""
        return bool((self.label != "").any() and (self.label == "").sum() > 1)


def with_names(frame: pd.DataFrame, cards: Any) -> pd.DataFrame:
    """Add the names that splits go by.

    These are ``deployment``, ``stack``, ``pair`` and ``engine_method`` (empty without speculation), ``configuration``,
    ``shape`` (its last part) and ``hardware_name``.
    """
    from bayes_sd.baseline import configuration_names
    from bayes_sd.baseline.names import SEPARATOR, drafting_names
    from bayes_sd.model.deployments import deployment_of

    deployments = [deployment_of(row, cards) for _, row in frame.iterrows()]
    drafting = drafting_names(frame, cards)
    configuration = configuration_names(frame, cards)
    return frame.assign(
        deployment=[d.key for d in deployments],
        stack=[d.stack for d in deployments],
        pair=[f"{d.key} | {n}" if n else "" for d, n in zip(deployments, drafting, strict=True)],
        engine_method=[
            f"{d.engine_base} {n.split(':')[0]}" if n else ""
            for d, n in zip(deployments, drafting, strict=True)
        ],
        configuration=configuration,
        shape=[name.split(SEPARATOR)[-1] for name in configuration],
        hardware_name=[d.hardware for d in deployments],
    )


def configurations(frame: pd.DataFrame) -> Iterator[Split]:
    """One configuration in eight, and one load of another one in eight."""
    label = np.full(len(frame), "", dtype=object)
    names = sorted(set(frame["configuration"]))
    for name in names[3::ONE_IN_CONFIGURATIONS]:
        own = (frame["configuration"] == name).to_numpy()
        same = (frame["deployment"] == frame.loc[own, "deployment"].iloc[0]).to_numpy()
        if (same & ~own & (label == "")).any():
            label[own] = "a"
    pair = frame["pair"].to_numpy()
    for name in set(pair[label == "a"]) - set(pair[label == ""]):
        label[(pair == name) & (label == "a")] = "pair"
    for name in names[7::ONE_IN_CONFIGURATIONS]:
        own = np.flatnonzero(frame["configuration"] == name)
        ordered = own[np.argsort(frame["load_value"].to_numpy()[own], kind="stable")]
        if len(set(frame["load_value"].iloc[own])) > 2:
            label[ordered[len(ordered) // 2]] = "load"
    yield Split("a", label)


def deployments(frame: pd.DataFrame) -> Iterator[Split]:
    """One deployment in six, of those whose hardware and verifier another deployment has."""
    first = frame.drop_duplicates("deployment").sort_values("deployment")
    stays = first.groupby(["verifier", "hardware"])["deployment"].transform("size") > 1
    label = np.full(len(frame), "", dtype=object)
    for _, row in first[stays].iloc[2::ONE_IN_DEPLOYMENTS].iterrows():
        own = (frame["deployment"] == row["deployment"]).to_numpy()
        same = ((frame["hardware"] == row["hardware"]) & (frame["verifier"] == row["verifier"])).to_numpy()
        if (same & ~own & (label == "")).any():
            label[own] = "b"
    yield Split("b", label)


def cells(frame: pd.DataFrame) -> Iterator[Split]:
    """One cell of each drafting pair that has two or more, another one in each fold."""
    for fold in range(CELL_FOLDS):
        label = np.full(len(frame), "", dtype=object)
        for i, pair in enumerate(sorted(set(frame["pair"]) - {""})):
            own = sorted(set(frame.loc[frame["pair"] == pair, "configuration"]))
            if len(own) > 1:
                label[(frame["configuration"] == own[(i + fold) % len(own)]).to_numpy()] = "c"
        yield Split(f"c{fold + 1}", label)


def sizes(frame: pd.DataFrame) -> Iterator[Split]:
    """All tensor-parallel sizes of each stack but one, another one in each fold."""
    every = {stack: sorted(set(group["tp"])) for stack, group in frame.groupby("stack")}
    ladders = {stack: ladder for stack, ladder in every.items() if len(ladder) > 1}
    for fold in range(max((len(ladder) for ladder in ladders.values()), default=0)):
        label = np.full(len(frame), "", dtype=object)
        for i, (stack, ladder) in enumerate(sorted(ladders.items())):
            kept = ladder[(i + fold) % len(ladder)]
            label[((frame["stack"] == stack) & (frame["tp"] != kept)).to_numpy()] = "t"
        yield Split(f"t{fold + 1}", label)


def prompts(frame: pd.DataFrame) -> Iterator[Split]:
    """The longest prompt of each deployment that has a shorter one."""
    label = np.full(len(frame), "", dtype=object)
    for _, own in frame.groupby("deployment"):
        longest = own["prompt_tokens"].max()
        shorter = own["prompt_tokens"] < longest / LONGER
        if shorter.any():
            label[frame.index.get_indexer(own.index[~shorter])] = "p"
    yield Split("p", label)


def engines(frame: pd.DataFrame) -> Iterator[Split]:
    """The speculating rows of one engine with one method, or of one source, where others speculate still."""
    speculates = (frame["k"] > 0).to_numpy()
    seen: set[bytes] = set()
    for column in ("engine_method", "source"):
        for name in sorted(set(frame.loc[speculates, column])):
            own = speculates & (frame[column] == name).to_numpy()
            if (speculates & ~own).any() and own.tobytes() not in seen:
                seen.add(own.tobytes())
                yield Split(f"e {name}", np.where(own, "e", ""))


def verifiers(frame: pd.DataFrame) -> Iterator[Split]:
    """One verifier."""
    return _each(frame, "verifier", "v", sorted(set(frame["verifier"])))


def gpus(frame: pd.DataFrame) -> Iterator[Split]:
    """One GPU model that has rows enough."""
    rows = frame["hardware_name"].value_counts()
    return _each(frame, "hardware_name", "h", sorted(rows.index[rows >= LEAST_ROWS]))


def gpu_thirds(frame: pd.DataFrame) -> Iterator[Split]:
    """A third of the GPU models that have rows enough, another one in each fold."""
    rows = frame["hardware_name"].value_counts()
    names = sorted(rows.index[rows >= LEAST_ROWS])
    for fold in range(GPU_FOLDS):
        own = frame["hardware_name"].isin(names[fold::GPU_FOLDS]).to_numpy()
        yield Split(f"g{fold + 1}", np.where(own, "g", ""))


def sources(frame: pd.DataFrame, wanted: str = "") -> Iterator[Split]:
    """One source; ``wanted`` names them by commas, those with a + between them together; by default each of the small ones.

    Raises
    ------
    SystemExit
        If no row is of a wanted source.
    """
    share = frame["source"].value_counts(normalize=True)
    chosen = wanted.split(",") if wanted else sorted(share.index[share <= MOST_OF_ALL])
    for name in chosen:
        together = name.split("+")
        missing = sorted(set(together) - set(share.index))
        if missing:
            raise SystemExit(
                f"--sources: no row is of {missing[0]}; the table has {', '.join(sorted(share.index))}"
            )
        own = frame["source"].isin(together).to_numpy()
        yield Split(f"s {name}", np.where(own, "s", ""))


def _each(frame: pd.DataFrame, column: str, label: str, names: list[str]) -> Iterator[Split]:
    for name in names:
        yield Split(f"{label} {name}", np.where(frame[column] == name, label, ""))


MAKERS: dict[str, Callable[[pd.DataFrame], Iterator[Split]]] = {
    "a": configurations,
    "b": deployments,
    "c": cells,
    "t": sizes,
    "p": prompts,
    "e": engines,
    "v": verifiers,
    "s": sources,
    "g": gpu_thirds,
    "h": gpus,
}
"""By the letter that ``--splits`` takes."""
ORDER = ("a", "pair", "load", *list(MAKERS)[1:])
"""Labels, in the order of the tables."""


def make_splits(frame: pd.DataFrame, letters: str, wanted_sources: str = "") -> list[Split]:
    """Make the splits that letters name, leaving out those with nothing held out or nothing to fit.

    Parameters
    ----------
    frame : DataFrame
        From :func:`with_names`, index 0, 1, ...
    letters : str
        By commas.
    wanted_sources : str
        For split ``s``, see :func:`sources`.

    Returns
    -------
    list of Split

    Raises
    ------
    SystemExit
        If a letter is none of a split's.
    """
    splits: list[Split] = []
    for letter in letters.split(","):
        if letter not in MAKERS:
            raise SystemExit(f"--splits: no split is named {letter!r}; there are {', '.join(MAKERS)}")
        made = sources(frame, wanted_sources) if letter == "s" else MAKERS[letter](frame)
        splits += [split for split in made if split.usable]
    return splits
