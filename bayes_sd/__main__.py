"""``python -m bayes_sd``, and the program ``bayes_sd``."""

from bayes_sd import interrupts


def main() -> None:
    """Run the command line so that a signal ends it in one line, whenever it comes."""
    interrupts.install()
    from bayes_sd.cli import main as run

    try:
        run()
    except SystemExit as done:
        interrupts.end(done.code if isinstance(done.code, int) else 0)


if __name__ == "__main__":
    main()
