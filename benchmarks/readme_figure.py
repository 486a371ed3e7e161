"""The figure of the README: posterior latency bands over load with the measured points, from traces/llama.nc."""

from pathlib import Path

import click

from bayes_sd.decide.bands import latency_bands
from bayes_sd.decide.configurations import measured_configurations, select
from bayes_sd.forecast.mixture import thinned
from bayes_sd.plots.bands import plot_bands
from bayes_sd.plots.style import save_figure
from bayes_sd.posterior.posterior import load_posterior

HERE = Path(__file__).parent.parent
DRAWS = 1000
"""Draws that bands are made of, as many as the command takes."""
SHOWN = "A100-SXM-80GB w:fp16 kv:fp16 humaneval"


@click.command()
@click.option("--accept-unconverged", is_flag=True, help="Use a fit that did not pass its convergence gate.")
def main(accept_unconverged: bool) -> None:
    """Draw it as the command ``bands`` does."""
    posterior = thinned(load_posterior(HERE / "traces" / "llama.nc", accept_unconverged), DRAWS)
    cards = posterior.cards()
    chosen = select(measured_configurations(posterior, cards), SHOWN)
    bands = [latency_bands(posterior, one, cards) for one in chosen]
    save_figure(plot_bands(bands), HERE / "docs" / "bands.png")


if __name__ == "__main__":
    main()
