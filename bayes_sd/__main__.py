"""``python -m bayes_sd``, and the program ``bayes_sd``."""

from importlib import import_module

from bayes_sd import interrupts


def main() -> None:
    """Run the command line so that a signal ends it in one line, whenever it comes."""
    interrupts.install()
    try:
        import_module("bayes_sd.cli").main()  # not at the top: it takes a while, in which a signal may come
    except SystemExit as done:
        interrupts.end(done.code if isinstance(done.code, int) else 0)


if __name__ == "__main__":
    main()
