"""Cards from checkpoints: parameters and cache counted from ``config.json``, a weights index or GGUF metadata."""

from bayes_sd.cards.checkpoint.card import Derived, derive
from bayes_sd.cards.checkpoint.config import Config, read_config
from bayes_sd.cards.checkpoint.gguf import derive_gguf
from bayes_sd.cards.checkpoint.index import check_index, read_index
from bayes_sd.cards.checkpoint.write import as_toml

__all__ = [
    "Config",
    "Derived",
    "as_toml",
    "check_index",
    "derive",
    "derive_gguf",
    "read_config",
    "read_index",
]
