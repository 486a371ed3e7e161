"""``python -m bayes_sd``."""

from bayes_sd.cli import main

if __name__ == "__main__":
    main()
