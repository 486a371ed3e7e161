"""A real engine on a small machine: seeded models with a known acceptance, served by llama.cpp on the CPU.

For tests and for the project's own sweep; needs the ``engine`` dependency group (``xllamacpp``, ``gguf``).
"""

from bayes_sd.engine.server import Server, ServerSettings, available, serve
from bayes_sd.engine.shapes import DRAFTERS, VERIFIERS, Shape
from bayes_sd.engine.weights import write_model
from bayes_sd.engine.words import WORKLOADS, Workload, known_committed, known_cycles, successors

__all__ = [
    "DRAFTERS",
    "VERIFIERS",
    "WORKLOADS",
    "Server",
    "ServerSettings",
    "Shape",
    "Workload",
    "available",
    "known_committed",
    "known_cycles",
    "serve",
    "successors",
    "write_model",
]
