"""The figure of the README: posterior latency bands over load with the measured points, from traces/llama.nc."""

from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt

from bayes_sd.forecast.latency import predict
from bayes_sd.posterior.posterior import load_posterior

HERE = Path(__file__).parent.parent
LOADS = np.unique(np.round(np.geomspace(1, 64, 25)))


def main() -> None:
    posterior = load_posterior(HERE / "traces" / "llama.nc")
    rows = posterior.observed
    rows = rows[(rows["workload"] == "humaneval") & (rows["precision"] == "w:fp16 kv:fp16")]
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    styles = (("none", "#0072B2", "no speculation", "o"), ("eagle3", "#D55E00", "EAGLE-3, k = 5", "s"))
    for method, colour, label, marker in styles:
        measured = rows[rows["method"] == method]
        frame = measured.iloc[[0] * len(LOADS)].assign(load_value=LOADS)
        draws = predict(posterior, frame.reset_index(drop=True)).measured_s
        low, median, high = np.quantile(draws, [0.05, 0.5, 0.95], axis=0)
        axes.fill_between(LOADS, low, high, color=colour, alpha=0.25, linewidth=0)
        axes.plot(LOADS, median, color=colour, label=f"{label}: median and 90 % band of a measurement")
        axes.plot(
            measured["load_value"], measured["latency_s"], marker, color=colour, markeredgecolor="white"
        )
    axes.set(
        xscale="log",
        xlabel="requests in flight (closed loop)",
        ylabel="mean request latency [s]",
        title="Llama-3.1-8B on one A100, humaneval",
        ylim=(0, None),
    )
    axes.set_xticks([1, 2, 4, 8, 16, 32, 64], [1, 2, 4, 8, 16, 32, 64])
    axes.minorticks_off()
    axes.legend(frameon=False, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(HERE / "docs" / "bands.png", dpi=150)


if __name__ == "__main__":
    main()
