"""A posterior: draws, and all that is needed to predict from them without the data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.cards import Cards, load_cards
from bayes_sd.cards.stored import changed_cards, with_stored
from bayes_sd.errors import TraceError
from bayes_sd.measurements.schema import COLUMNS, DERIVED, OBSERVED
from bayes_sd.model.arranged import Design, Levels
from bayes_sd.model.deployments import Deployment
from bayes_sd.model.spec import KINDS, ModelSpec
from bayes_sd.model.terms import TERMS
from bayes_sd.posterior.columns import check_rows
from bayes_sd.posterior.file import FileKind, read_tree, require_converged, write_tree
from bayes_sd.posterior.formats import brought_up
from bayes_sd.posterior.validate import DAMAGED

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

FORMAT_VERSION = 6
KEPT_COLUMNS = {column.name: column for column in (*COLUMNS, *DERIVED) if column.name in OBSERVED}
"""Columns of the observations that a posterior keeps, by name."""
KIND = FileKind(
    attribute="bayes_sd",
    version=FORMAT_VERSION,
    noun="posterior file",
    content="posterior",
    command="fit",
    foreign="netCDF, but not written by bayes_sd",
    remedy="fit again with more --tune and --draws, or add --accept-unconverged",
)


@dataclass(frozen=True, repr=False)
class Posterior:
    """Draws and their context.

    Attributes
    ----------
    tree : DataTree
        Groups ``posterior``, ``sample_stats`` and ``observed`` (the observations, dim ``observation``).
    about : dict
        Format version, family, spec, sampler settings, gate, rules' counts, package versions, data fingerprint, the
        design's levels and rooflines, and the cards that its rows use.
    """

    tree: xr.DataTree
    about: dict[str, Any]

    def __repr__(self) -> str:
        sizes, gate = self.tree["posterior"].sizes, self.about.get("gate", {})
        deployments = len(self.about.get("levels", {}).get("deployments", ()))
        verdict = "converged" if gate.get("passed") else "NOT converged"
        return (
            f"<{type(self).__name__} {self.about.get('family', '')}: {deployments} deployments, "
            f"{self.about.get('n_observations', '?')} rows, {sizes['chain']} x {sizes['draw']} draws, {verdict}>"
        )

    def cards(self, others: Cards | None = None) -> Cards:
        """Give the cards to predict with: those that it was fitted with, and others for what it was not fitted to.

        Parameters
        ----------
        others : Cards, optional
            The shipped ones by default. Where they say another thing of what was fitted, the posterior's own are used;
            :meth:`changed_cards` names those.

        Returns
        -------
        Cards
        """
        return with_stored(load_cards() if others is None else others, self.about.get("cards", {}))

    def changed_cards(self, others: Cards | None = None) -> list[str]:
        """Name the cards that have changed since the fit, such as ``"hardware H100-SXM"``."""
        return changed_cards(load_cards() if others is None else others, self.about.get("cards", {}))

    def summary(self, ci: float = 0.9, names: Sequence[str] | None = None) -> pd.DataFrame:
        """Summarise the parameters: one row a number.

        Parameters
        ----------
        ci : float
            Probability of the (equal-tailed) intervals, in (0, 1).
        names : sequence of str, optional
            Parameters to show; all by default.

        Returns
        -------
        DataFrame
            Index: the parameter with its place, as ``log_cost[deployment, coefficient]``. Columns ``mean, sd``, the ends of the
            interval, ``ess_bulk, ess_tail, r_hat, mcse_mean, mcse_sd``, from ArviZ.
        """
        import arviz as az

        wanted = None if names is None else list(names)
        return az.summary(self.tree, var_names=wanted, ci_prob=ci, ci_kind="eti", round_to="none")

    @property
    def spec(self) -> ModelSpec:
        """The model that was fitted."""
        return ModelSpec(**self.about["spec"])

    @property
    def passed(self) -> bool:
        """Whether the fit passed its convergence gate."""
        return bool(self.about["gate"]["passed"])

    @cached_property
    def levels(self) -> Levels:
        """Deployments and the levels that they belong to."""
        stored = self.about["levels"]
        return Levels(
            deployments=[Deployment.stored(d) for d in stored["deployments"]],
            names=stored["names"],
            kind=np.array([KINDS.index(name.partition(":")[0]) for name in stored["names"]], dtype=int),
            member=np.array(stored["member"], dtype=float),
            roofline={k: np.array(v, dtype=float) for k, v in stored["roofline"].items()},
            log2_tp=np.array(stored["log2_tp"], dtype=float),
            age_years=np.array([d["age"]["years"] for d in stored["deployments"]], dtype=float),
        )

    def draws(self, name: str) -> np.ndarray:
        """Give the draws of a parameter, chains joined.

        Parameters
        ----------
        name : str

        Returns
        -------
        array, shape (draw, ...)

        Raises
        ------
        TraceError
            If the posterior has none: a file that was changed.
        """
        if name not in self._drawn:
            raise TraceError(f"the posterior has no draws of {name}; {DAMAGED}")
        values = self._drawn[name].to_numpy().astype(float)
        return values.reshape(values.shape[0] * values.shape[1], *values.shape[2:])

    @property
    def n_draws(self) -> int:
        """Draws over all chains."""
        sizes = self.tree["posterior"].sizes
        return int(sizes["chain"] * sizes["draw"])

    def names(self, dim: str) -> list[str]:
        """Give the names along a dim, empty if the posterior has none."""
        if dim in self.about["coords"]:
            return [str(v) for v in self.about["coords"][dim]]
        coords = self.tree["posterior"].coords
        return [str(v) for v in coords[dim].to_numpy()] if dim in coords else []

    def has(self, name: str) -> bool:
        """Say whether a parameter was fitted."""
        return name in self._drawn

    @cached_property
    def _drawn(self) -> xr.Dataset:
        """The draws, found once: a tree takes longer to look a name up than to copy its draws."""
        return self.tree["posterior"].to_dataset()

    @property
    def observed(self) -> pd.DataFrame:
        """The observations that were fitted, one row a cell."""
        return self._observed.copy(deep=False)  # pandas copies what is written to

    @cached_property
    def _observed(self) -> pd.DataFrame:
        return self.tree["observed"].to_dataset().to_dataframe().reset_index(drop=True)


def describe(design: Design, spec: ModelSpec) -> dict[str, Any]:
    """Collect what a posterior file says of its design.

    Parameters
    ----------
    design : Design
    spec : ModelSpec

    Returns
    -------
    dict
        Plain values, for JSON.
    """
    levels = design.levels
    return {
        "format_version": FORMAT_VERSION,
        "family": spec.family,
        "spec": json.loads(spec.to_json()) | {"terms": [t.name for t in TERMS if spec.has(t.name)]},
        "columns": [str(name) for name in OBSERVED if name in design.frame],
        "coords": {name: list(values) for name, values in design.coords.items()},
        "cell_drafter": design.cell_drafter.tolist(),
        "pair_roofline_s": design.pair_roofline_s.tolist(),
        "levels": {
            "deployments": [asdict(d) for d in levels.deployments],
            "names": levels.names,
            "member": levels.member.tolist(),
            "roofline": {k: v.tolist() for k, v in levels.roofline.items()},
            "log2_tp": levels.log2_tp.tolist(),
        },
        "measured": _ranges(design),
    }


def _ranges(design: Design) -> list[dict[str, list[float]]]:
    """Range of each input that was measured, per deployment."""
    ranges = []
    for d in range(len(design.levels.deployments)):
        own = design.rows["deployment"] == d
        ranges.append(
            {
                name: [float(design.rows[name][own].min()), float(design.rows[name][own].max())]
                for name in ("prompt", "output", "k", "load")
            }
            | {"open_loop": sorted({bool(v) for v in design.rows["open_loop"][own]})}
        )
    return ranges


def observed_set(frame: pd.DataFrame) -> xr.Dataset:
    """Keep the columns of the observations that later commands show, dim ``observation``."""
    import xarray as xr

    columns = {}
    for name in OBSERVED:
        if name in frame:
            column = frame[name]
            numeric = column.dtype.kind in "fiub"
            values = column.to_numpy() if numeric else column.fillna("").astype(str).to_numpy(dtype=object)
            meant = KEPT_COLUMNS[name]
            about = {"long_name": meant.meaning} | ({"units": meant.unit} if meant.unit else {})
            columns[name] = (("observation",), values, about)
    return xr.Dataset(columns)


def save_posterior(posterior: Posterior, path: str | Path) -> Path:
    """Write a posterior file: netCDF-4, written beside and renamed.

    Parameters
    ----------
    posterior : Posterior
    path : path

    Returns
    -------
    Path

    Raises
    ------
    OutputError
        If the place cannot be written; what stood there stays.
    """
    return write_tree(posterior.tree, posterior.about, path, KIND)


def load_posterior(path: str | Path, accept_unconverged: bool = False) -> Posterior:
    """Read a posterior file.

    Parameters
    ----------
    path : path
    accept_unconverged : bool
        Take a fit that did not pass its convergence gate.

    Returns
    -------
    Posterior
        Loaded into memory; the file is closed.

    Raises
    ------
    TraceError
        If the file is missing, truncated, not a posterior of this package, of a newer format, or of a model that this
        version does not build.
    ConvergenceError
        If the fit did not pass its gate and is not accepted.
    """
    tree, about = read_tree(path, KIND)
    if not accept_unconverged:
        require_converged(about, path, KIND)
    try:
        posterior = Posterior(*brought_up(tree, about, path))
        _ = posterior.levels
    except (KeyError, TypeError, ValueError) as error:
        raise TraceError(
            f"{path}: not what its format, {about['format_version']}, holds; {DAMAGED}"
        ) from error
    _require_known_model(posterior, path)
    try:
        check_rows(posterior.tree["observed"].to_dataset(), KEPT_COLUMNS)
    except TraceError as error:
        raise TraceError(f"{path}: {error}") from error
    return posterior


def _require_known_model(posterior: Posterior, path: str | Path) -> None:
    """Refuse a file whose model this version does not build, naming the version that does."""
    try:
        _ = posterior.spec
    except TypeError as error:
        wrote = posterior.about.get("versions", {}).get("bayes_sd", "an older one")
        part = str(error).rpartition("argument ")[2]
        raise TraceError(
            f"{Path(path)}: format {posterior.about['format_version']}, of a model that this version does not build "
            f"({part}); read it with the bayes_sd that wrote it ({wrote}), or fit again"
        ) from error
