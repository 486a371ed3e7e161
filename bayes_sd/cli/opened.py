"""Opens a posterior with the cards to ask it with, for the commands that do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bayes_sd.cards import Cards
    from bayes_sd.posterior import Posterior


def open_trace(trace: Path, models: Path | None, accept_unconverged: bool) -> tuple[Posterior, Cards]:
    """Read a posterior, and its cards with those of now for what it was not fitted to.

    A card that has changed since the fit is named on standard error; the posterior's own is used.

    Parameters
    ----------
    trace : Path
    models : Path or None
        Folder with further cards.
    accept_unconverged : bool

    Returns
    -------
    posterior : Posterior
    cards : Cards

    Raises
    ------
    CardError, TraceError, ConvergenceError
        If cards or posterior cannot be read or used.
    """
    from bayes_sd.cards import load_cards
    from bayes_sd.posterior import load_posterior

    now = load_cards(models)
    posterior = load_posterior(trace, accept_unconverged)
    changed = posterior.changed_cards(now)
    if changed:
        click.echo(
            f"note: changed since {trace} was fitted, which goes on with its own: {', '.join(changed)} (fit again to use "
            "those of now)",
            err=True,
        )
    return posterior, posterior.cards(now)
