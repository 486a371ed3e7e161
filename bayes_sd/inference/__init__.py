"""From a model to a posterior: compiled density, sampling, convergence gate, posterior files."""
