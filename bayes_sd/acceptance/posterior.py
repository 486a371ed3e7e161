"""A fit of the acceptance model: draws, the rows that were fitted, and its file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.acceptance.fields import COUNT_FIELDS, LENGTH_FIELDS, empty_rows
from bayes_sd.acceptance.model import AcceptanceSpec
from bayes_sd.acceptance.tables import assemble
from bayes_sd.posterior.file import FileKind, read_tree, require_converged, write_tree
from bayes_sd.posterior.posterior import Posterior

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.acceptance.tables import AcceptanceData

FORMAT_VERSION = 1
KIND = FileKind(
    attribute="bayes_sd_acceptance",
    version=FORMAT_VERSION,
    noun="file",
    content="fit",
    command="acceptance",
    foreign="not a fit of acceptance",
    remedy="fit again with more --tune and --draws",
)


class AcceptancePosterior(Posterior):
    """Draws of the acceptance model and their context; ``draws``, ``names``, ``n_draws`` and ``passed`` as a latency posterior's.

    Attributes
    ----------
    tree : DataTree
        Groups ``posterior``, ``sample_stats``, ``counts`` and ``lengths`` (the rows fitted).
    about : dict
        Format version, spec, gate, names, and which method, pair and cell belong together.
    """

    def __repr__(self) -> str:
        sizes, coords = self.tree["posterior"].sizes, self.about["coords"]
        verdict = "converged" if self.passed else "NOT converged"
        return (
            f"<{type(self).__name__}: {len(coords['cell'])} workloads of {len(coords['method'])} methods, "
            f"{sizes['chain']} x {sizes['draw']} draws, {verdict}>"
        )

    @property
    def spec(self) -> Any:
        """The model that was fitted, an :class:`~bayes_sd.acceptance.model.AcceptanceSpec`."""
        return AcceptanceSpec(**self.about["spec"])

    @property
    def data(self) -> AcceptanceData:
        """The rows that were fitted."""
        return assemble(_frame(self.tree, "counts"), _frame(self.tree, "lengths"))


def _frame(tree: Any, name: str) -> pd.DataFrame:
    if name not in tree.children:
        return empty_rows(COUNT_FIELDS if name == "counts" else LENGTH_FIELDS)
    return tree[name].to_dataset().to_dataframe().reset_index(drop=True)


def rows_set(frame: pd.DataFrame) -> Any:
    """Store rows, dim ``row``."""
    import xarray as xr

    def column(name: str) -> np.ndarray:
        numeric = frame[name].dtype.kind in "fiu"
        return frame[name].to_numpy() if numeric else frame[name].astype(str).to_numpy(dtype=object)

    return xr.Dataset({name: (("row",), column(name)) for name in map(str, frame.columns)})


def save_acceptance(posterior: AcceptancePosterior, path: str | Path) -> Path:
    """Write a fit: netCDF-4, written beside and renamed.

    Parameters
    ----------
    posterior : AcceptancePosterior
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


def load_acceptance(path: str | Path, accept_unconverged: bool = False) -> AcceptancePosterior:
    """Read a fit of acceptance.

    Parameters
    ----------
    path : path
    accept_unconverged : bool
        Take a fit that did not pass its convergence gate.

    Returns
    -------
    AcceptancePosterior

    Raises
    ------
    TraceError
        If the file is missing, truncated, no fit of acceptance, or of a newer format.
    ConvergenceError
        If the fit did not pass its gate and is not accepted.
    """
    tree, about = read_tree(path, KIND)
    if not accept_unconverged:
        require_converged(about, path, KIND)
    return AcceptancePosterior(tree, about)
