"""From a model to draws: coordinates, chains, the convergence gate, and the fit that puts them together."""
