"""The command line: one module a command, each imported when it is called."""

import os
import sys
from copy import copy
from functools import wraps
from importlib import import_module

import click

from bayes_sd.cli.caches import place_for_caches
from bayes_sd.cli.output import refuse_output_over_input, shown_output
from bayes_sd.errors import BayesSdError, rendered
from bayes_sd.interrupts import AFTERWARDS

TRACEBACK = "BAYES_SD_TRACEBACK"
"""Environment variable under which a fault of this package shows its traceback."""

# Command, module, help line: stated here so that `--help` imports no command.
COMMANDS = {
    "fit": ("bayes_sd.cli.fit", "Fit a family's measurements and save the posterior."),
    "predict": ("bayes_sd.cli.predict", "Predict latency for a table of conditions."),
    "about": ("bayes_sd.cli.about", "What a trace was fitted to, and so what it can answer."),
    "ask": ("bayes_sd.cli.ask", "Answer a condition said in one line."),
    "bands": ("bayes_sd.cli.bands", "Latency over load: bands, measured points, collapse, stages."),
    "monitor": ("bayes_sd.cli.monitor", "Live numbers against the posterior: p-values, drift, alarms."),
    "advise": ("bayes_sd.cli.advise", "Live metrics into the draft length for the coming minutes."),
    "report": ("bayes_sd.cli.report", "A report of a posterior as one HTML page."),
    "explore": ("bayes_sd.cli.explore", "An interactive page: sliders for load, lengths, k, acceptance."),
    "speedup": ("bayes_sd.cli.speedup", "Speedup of speculation over load, its break-even, and why."),
    "tune": ("bayes_sd.cli.tune", "Best draft length and drafter by load; vLLM's table of it."),
    "tree": ("bayes_sd.cli.tree", "Best tree of drafts by load: tokens to verify, depth, top-k."),
    "plan": ("bayes_sd.cli.plan", "Replicas and cost for a rate within a latency objective."),
    "next": ("bayes_sd.cli.next", "Which runs to measure next for a decision; a plan of them."),
    "update": ("bayes_sd.cli.update", "Bring a posterior up to date with new rows, without a fit."),
    "check": ("bayes_sd.cli.check", "Can this trace be trusted: rows left out, and what priors decide."),
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
        # A command that is called like a function of Python has another name in its module.
        found = copy(getattr(module, f"{name}_command", None) or getattr(module, name))
        found.callback = _checked(found.callback)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def _checked(callback):
    """Check what every command's parameters must hold together before it does anything."""

    @wraps(callback)
    def run(*arguments, **parameters):
        refuse_output_over_input(click.get_current_context())
        return callback(*arguments, **parameters)

    return run


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
    """Run the command line.

    Exit codes: 0 success, 1 a fault of this package, 2 bad input, 3 a fit that did not converge, 4 an alarm, 130 and 143 ended
    by a signal. Whatever goes wrong is told in one line.
    """
    with shown_output(), place_for_caches():
        try:
            status = command.main(standalone_mode=False)
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read the output has seen enough; the interpreter would complain when it closes it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            status = 0
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            status = 2
        except (KeyboardInterrupt, click.Abort):
            print(f"interrupted: {AFTERWARDS}", file=sys.stderr)
            status = 130
        except Exception as error:
            line, status = _told(error)
            print(line, file=sys.stderr)
    sys.exit(status if isinstance(status, int) else 0)


def _told(error: Exception) -> tuple[str, int]:
    """Put an error into one line, with the exit code that goes with it."""
    if isinstance(error, BayesSdError):
        return f"error: {error}", 2
    if isinstance(error, click.ClickException):
        return f"error: {rendered(error.format_message().replace(chr(10), ' '))}{_help(error)}", 2
    if isinstance(error, MemoryError):
        return "error: more memory is needed than there is; give less at once", 2
    if os.environ.get(TRACEBACK):
        raise error
    words = rendered(f"{type(error).__name__}: {error}")
    return f"error: this is a fault of bayes_sd ({words}); please report it; {TRACEBACK}=1 shows where", 1


def _help(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"; see `{context.command_path} --help`" if context is not None else ""
