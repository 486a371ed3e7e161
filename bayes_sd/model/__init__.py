"""From observations to a PyMC model: what enters (design), what is believed (priors), what is built (build)."""
