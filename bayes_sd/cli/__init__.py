"""The command line: one module a command, each imported when it is called."""

import sys
from importlib import import_module

import click

from bayes_sd.errors import BayesSdError

# Command, module, help line: stated here so that `--help` imports no command.
COMMANDS = {
    "fit": ("bayes_sd.cli.fit", "Fit a family's measurements and save the posterior."),
    "predict": ("bayes_sd.cli.predict", "Predict latency for a table of conditions."),
    "ask": ("bayes_sd.cli.ask", "Answer a condition said in one line."),
    "bands": ("bayes_sd.cli.bands", "Latency over load: bands, measured points, collapse, stages."),
    "monitor": ("bayes_sd.cli.monitor", "Live numbers against the posterior: p-values, drift, alarms."),
    "report": ("bayes_sd.cli.report", "A report of a posterior as one HTML page."),
    "speedup": ("bayes_sd.cli.speedup", "Speedup of speculation over load, its break-even, and why."),
    "tune": ("bayes_sd.cli.tune", "Best draft length and drafter by load; vLLM's table of it."),
    "plan": ("bayes_sd.cli.plan", "Replicas and cost for a rate within a latency objective."),
    "compare": ("bayes_sd.cli.compare", "Compare fits of the same rows by left-out rows."),
    "acceptance": ("bayes_sd.cli.acceptance", "Fit acceptance by draft position; tokens per cycle at any k."),
    "ingest": ("bayes_sd.cli.ingest", "Read what benchmark tools wrote into a measurement table."),
    "measure": ("bayes_sd.cli.measure", "Measure a server: a sweep of loads into a measurement table."),
    "cards": ("bayes_sd.cli.cards", "List and search the known verifiers, drafters and GPUs."),
    "card": ("bayes_sd.cli.card", "Count a card from a checkpoint's config.json or a GGUF file."),
    "simulate": ("bayes_sd.cli.simulate", "Simulate a continuous-batching server with speculation."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the commands in the order that people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        if name not in COMMANDS:
            return None
        module = import_module(COMMANDS[name][0])
        return getattr(module, name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="bayes_sd")
def command() -> None:
    """Bayesian latency models of speculative decoding in LLM serving.

    Fit measurements, then ask the posterior: what will latency be at my load, with and without speculation, and how
    sure is that?
    """


def main() -> None:
    """Run the command line: 0 success, 2 bad input, 3 a fit that did not converge, 130 interrupted."""
    try:
        status = command.main(standalone_mode=False)
    except BayesSdError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        print("interrupted: nothing was written", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    sys.exit(status if isinstance(status, int) else 0)
