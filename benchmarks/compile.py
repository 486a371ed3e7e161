"""What compiling the model takes, and what a call of its density and gradient costs, per family.

    uv run python benchmarks/compile.py [--families llama,gpt-oss] [--calls 2000]

Columns: unknowns; nodes of the compiled graph; seconds to turn the table into arrays, to assemble the PyMC model, to rewrite
and translate the graph, and for machine code (compiled anew in an empty cache, else read from disk); microseconds a call,
median of five batches. Families of one structure share a compilation, and show 0 there.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from bayes_sd.cards import load_cards
from bayes_sd.model.build import assemble, model_inputs
from bayes_sd.model.design import build_design
from bayes_sd.model.spec import ModelSpec
from bayes_sd.sample import native
from bayes_sd.sample.fit import observations
from bayes_sd.sample.target import make_target

FAMILIES = "llama,gpt-oss,deepseek,all,llamacpp-cpu"
BATCHES = 5


def seconds(work):
    """Run something; give its seconds and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def timed(function, spent: list[float]):
    """Let a function note how long each of its calls takes."""

    def call(*given):
        took, result = seconds(lambda: function(*given))
        spent.append(took)
        return result

    return call


def microseconds_a_call(target, calls: int) -> float:
    x = target.start()
    batches = [seconds(lambda: [target(x) for _ in range(calls)])[0] for _ in range(BATCHES)]
    return 1e6 * float(np.median(batches)) / calls


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--families", default=FAMILIES)
    parser.add_argument("--calls", type=int, default=1000)
    asked = parser.parse_args()
    cards, spent = load_cards(), []
    native.make_native = timed(native.make_native, spent)  # it is imported where a density is compiled
    columns = ("unknowns", "nodes", "arrays s", "assemble s", "graph s", "code s", "us a call")
    print(f"{'family':14}" + "".join(f"{name:>12}" for name in columns))
    for family in asked.families.split(","):
        design = build_design(observations(family, cards=cards)[0], cards)
        arrays, inputs = seconds(lambda d=design, f=family: model_inputs(d, ModelSpec(family=f)))
        assembling, _ = seconds(lambda i=inputs: assemble(i))
        before = len(spent)
        compiling, target = seconds(lambda i=inputs: make_target(i))
        code = sum(spent[before:])
        values = (arrays, assembling, compiling - code, code)
        print(
            f"{family:14}{target.size:12}{target.compiled.nodes:12}"
            + "".join(f"{value:12.2f}" for value in values)
            + f"{microseconds_a_call(target, asked.calls):12.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
