"""Fits the acceptance model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.acceptance.model import AcceptanceSpec, build_acceptance_model, coords
from bayes_sd.acceptance.posterior import FORMAT_VERSION, AcceptancePosterior, rows_set
from bayes_sd.acceptance.tables import AcceptanceData, read_acceptance_data
from bayes_sd.sample.gate import judge
from bayes_sd.sample.plain import PlainModel
from bayes_sd.sample.settings import SamplerSettings

if TYPE_CHECKING:
    import xarray as xr

SETTINGS = SamplerSettings(draws=1000, tune=700, chains=4, target_accept=0.95)


class CompiledAcceptance:
    """A compiled model of some data, to be sampled with all of its rows or without some.

    Parameters
    ----------
    data : AcceptanceData
    spec : AcceptanceSpec
    """

    def __init__(self, data: AcceptanceData, spec: AcceptanceSpec) -> None:
        self.data, self.spec = data, spec
        self._compiled = PlainModel(build_acceptance_model(data, spec))

    def sample(
        self,
        settings: SamplerSettings = SETTINGS,
        held_out: Mapping[str, np.ndarray] | None = None,
        progress: bool = False,
    ) -> AcceptancePosterior:
        """Draw from the posterior.

        Parameters
        ----------
        settings : SamplerSettings
        held_out : mapping of str to bool array, optional
            True for a row of ``"counts"`` or ``"lengths"`` that is not to be learned from.
        progress : bool
            Show a progress bar.

        Returns
        -------
        AcceptancePosterior
            Its stored rows are those that were learned from.

        Raises
        ------
        KeyboardInterrupt
            If interrupted; nothing is returned then.
        """
        held_out = held_out or {}
        masks = {
            name: np.asarray(held_out.get(name, np.zeros(len(rows))), dtype=bool)
            for name, rows in (("counts", self.data.counts), ("lengths", self.data.lengths))
        }
        kept = {f"{name}_kept": (~mask).astype(float) for name, mask in masks.items() if len(mask)}
        careful = replace(settings, target_accept=settings.target_accept or SETTINGS.target_accept)
        return self._posterior(self._compiled.sample(careful, kept, progress), settings, masks)

    def _posterior(
        self, tree: xr.DataTree, settings: SamplerSettings, masks: dict[str, np.ndarray]
    ) -> AcceptancePosterior:
        gate = judge(tree)
        for name, rows in (("counts", self.data.counts), ("lengths", self.data.lengths)):
            kept = rows[~masks[name]]
            if len(kept):
                tree[name] = _node(rows_set(kept))
        about = {
            "format_version": FORMAT_VERSION,
            "spec": self.spec.to_dict(),
            "sampler": settings.to_dict(),
            "gate": gate.to_dict() | {"failures": gate.failures},
            "coords": coords(self.data),
            "pair_method": self.data.pair_method.tolist(),
            "cell_pair": self.data.cell_pair.tolist(),
        }
        return AcceptancePosterior(tree, about)


def fit_acceptance(
    data: AcceptanceData | str | Path | Sequence[str | Path] | None = None,
    *,
    iid: bool = False,
    spec: AcceptanceSpec | None = None,
    settings: SamplerSettings | None = None,
    progress: bool = False,
) -> AcceptancePosterior:
    """Fit acceptance by position.

    Parameters
    ----------
    data : AcceptanceData, path or sequence of path, optional
        Rows, or tables as :func:`~bayes_sd.acceptance.tables.read_acceptance_data` takes them; default: the shipped ones.
    iid : bool
        One acceptance for all positions of a cell.
    spec : AcceptanceSpec, optional
        Priors and parts of the model; `iid` is ignored where it is given.
    settings : SamplerSettings, optional
    progress : bool
        Show a progress bar.

    Returns
    -------
    AcceptancePosterior
        ``passed`` and ``about["gate"]`` say whether it converged.

    Raises
    ------
    DataError
        If a table cannot be read or contradicts itself.
    """
    rows = data if isinstance(data, AcceptanceData) else read_acceptance_data(data)
    return CompiledAcceptance(rows, spec or AcceptanceSpec(iid=iid)).sample(
        settings or SETTINGS, progress=progress
    )


def _node(rows: Any) -> xr.DataTree:
    import xarray as xr

    return xr.DataTree(rows)
