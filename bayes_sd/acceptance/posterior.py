"""A fit of the acceptance model: draws, the rows that were fitted, and its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.acceptance.model import AcceptanceSpec
from bayes_sd.errors import ConvergenceError, OutputError, TraceError
from bayes_sd.files import write_atomically
from bayes_sd.inference.posterior import Posterior

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.acceptance.tables import AcceptanceData

FORMAT_VERSION = 1
ATTRIBUTE = "bayes_sd_acceptance"


class AcceptancePosterior(Posterior):
    """Draws of the acceptance model and their context; ``draws``, ``names``, ``n_draws`` and ``passed`` as a latency posterior's.

    Attributes
    ----------
    tree : DataTree
        Groups ``posterior``, ``sample_stats``, ``counts`` and ``lengths`` (the rows fitted).
    about : dict
        Format version, spec, gate, names, and which method, pair and cell belong together.
    """

    @property
    def spec(self) -> Any:
        """The model that was fitted, an :class:`~bayes_sd.acceptance.model.AcceptanceSpec`."""
        return AcceptanceSpec(**self.about["spec"])

    @property
    def data(self) -> AcceptanceData:
        """The rows that were fitted."""
        from bayes_sd.acceptance.tables import assemble

        return assemble(_frame(self.tree, "counts"), _frame(self.tree, "lengths"))


def _frame(tree: Any, name: str) -> pd.DataFrame:
    from bayes_sd.acceptance.tables import COUNT_FIELDS, LENGTH_FIELDS, empty_rows

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
    tree = posterior.tree.copy()
    tree.attrs = {ATTRIBUTE: json.dumps(posterior.about, sort_keys=True)}

    def write(beside: Path) -> None:
        try:
            tree.to_netcdf(beside, engine="h5netcdf")
        except OSError:
            raise
        except Exception as error:
            raise OutputError(f"{path}: cannot write the fit ({error}); choose another --output") from error

    return write_atomically(Path(path), write)


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
    import xarray as xr

    file = Path(path)
    if not file.is_file():
        raise TraceError(
            f"{file}: no such file; make one with `python -m bayes_sd acceptance --output {file}`"
        )
    try:
        with xr.open_datatree(file, engine="h5netcdf") as opened:
            tree = opened.load()
        text = tree.attrs.get(ATTRIBUTE)
    except Exception as error:
        raise TraceError(
            f"{file}: not a readable file ({type(error).__name__}); it may be truncated: fit again"
        ) from error
    if text is None:
        raise TraceError(f"{file}: not a fit of acceptance; give a file that `acceptance` wrote")
    about = json.loads(str(text))
    if about.get("format_version", 0) > FORMAT_VERSION:
        raise TraceError(
            f"{file}: format {about['format_version']} is newer than this package reads ({FORMAT_VERSION}); "
            "upgrade bayes_sd"
        )
    posterior = AcceptancePosterior(tree, about)
    if not posterior.passed and not accept_unconverged:
        raise ConvergenceError(
            f"{file}: the fit did not pass its convergence gate ({'; '.join(about['gate']['failures'])}); "
            "fit again with more --tune and --draws"
        )
    return posterior
