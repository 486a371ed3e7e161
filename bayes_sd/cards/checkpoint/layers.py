"""Which layers of a checkpoint do what: what each one remembers, and whether its feed-forward part is sparse."""

from __future__ import annotations

import re
from collections.abc import Sized

from bayes_sd.cards.checkpoint.blocks import blocks_of
from bayes_sd.cards.checkpoint.config import Config
from bayes_sd.errors import CardError

FULL, WINDOW, LINEAR, MAMBA, NOTHING = "full", "window", "linear", "mamba", "nothing"
COMPRESSED, HEAVY = "compressed", "heavily compressed"
"""Attention of DeepSeek-V4: a cache of one entry for several tokens, of which an index chooses, or for very many."""
GROWING = (FULL, COMPRESSED, HEAVY)
"""Kinds of layers whose cache grows with the context."""
DENSE, SPARSE = "dense", "sparse"
WORDS = {
    "full_attention": FULL,
    "attention": FULL,
    "global_attention": FULL,
    "sparse_attention": FULL,
    "deepseek_sparse_attention": FULL,
    "indexed_attention": FULL,
    "compressed_sparse_attention": COMPRESSED,
    "heavily_compressed_attention": HEAVY,
    "sliding_attention": WINDOW,
    "local_attention": WINDOW,
    "chunked_attention": WINDOW,
    "linear_attention": LINEAR,
    "mamba": MAMBA,
    "mamba2": MAMBA,
    "mlp": NOTHING,
    "moe": NOTHING,
}
BLOCKS = {
    "mamba": "M",
    "linear_attention": "M",
    "attention": "*",
    "full_attention": "*",
    "moe": "E",
    "mlp": "-",
}
"""The same as words, in configs that transformers 5 wrote."""
PATTERN = {"M": MAMBA, "*": FULL, "E": NOTHING, "-": NOTHING}
"""Letters of Nemotron-H's ``hybrid_override_pattern``: Mamba, attention, experts, dense feed-forward."""
MOST_CHOSEN_FROM = 16
"""Tokens an entry up to which DeepSeek-V4 chooses among entries; with more of them it reads all."""
WINDOW_EVERY = {
    "gemma2": 2,
    "gemma3": 6,
    "gemma4": 6,
    "gpt_oss": 2,
    "cohere2": 4,
    "llama4": 4,
    "muse_glimmer": 4,
}
"""Every so many layers one attends to everything, where a config does not say which."""


def pattern_of(config: Config) -> str | None:
    """Give Nemotron-H's pattern, a letter a layer; None for other architectures."""
    blocks = config.words("layers_block_type") if config.model_type == "nemotron_h" else None
    words = None if blocks is None else "".join(BLOCKS.get(word, "?") for word in blocks)
    pattern = config.raw("hybrid_override_pattern", words)
    if pattern is None:
        return None
    if not isinstance(pattern, str) or set(pattern) - set(PATTERN):
        raise CardError(
            f"{config.where}: hybrid_override_pattern is {pattern!r}: its letters are {' '.join(PATTERN)}"
        )
    return pattern


def layer_count(config: Config) -> int:
    """Give the number of layers, at least 1.

    Raises
    ------
    CardError
        If it is missing, 0, or contradicted by a pattern of layers.
    """
    pattern = pattern_of(config)
    layers = config.whole("num_hidden_layers", None if pattern is None else len(pattern))
    if layers < 1:
        raise CardError(f"{config.where}: num_hidden_layers is 0")
    if pattern is not None:
        _one_a_layer(config, "hybrid_override_pattern", pattern, layers)
    return layers


def _one_a_layer[T: Sized](config: Config, name: str, given: T, layers: int) -> T:
    """Refuse a list that has not an entry a layer."""
    if len(given) != layers:
        raise CardError(f"{config.where}: {name} names {len(given)} layers, num_hidden_layers {layers}")
    return given


def attention_kinds(config: Config) -> list[str]:
    """Say for each layer what it remembers of the context.

    Parameters
    ----------
    config : Config

    Returns
    -------
    list of str
        ``full``, ``compressed`` or ``heavily compressed`` (its cache grows with the context), ``window`` (it stops growing),
        ``linear`` or ``mamba`` (a state of fixed size) or ``nothing`` (no token mixing in this layer).

    Raises
    ------
    CardError
        If the config contradicts itself or names a kind of layer that is not known.
    """
    layers = layer_count(config)
    pattern, blocks = pattern_of(config), blocks_of(config)
    if pattern is not None:
        return [PATTERN[letter] for letter in pattern]
    if blocks:
        return [FULL if block.cached_heads else NOTHING for block in blocks]
    listed = "layer_types" if config.has("layer_types") else "layers_block_type"
    named = config.words(listed)
    if named is not None:
        _one_a_layer(config, listed, named, layers)
        unknown = next((word for word in named if word not in WORDS), None)
        if unknown is not None:
            raise CardError(
                f"{config.where}: {listed} has {unknown!r}, which is not known: {', '.join(sorted(WORDS))}"
            )
        # transformers 5 calls state spaces linear attention too.
        linear = MAMBA if config.has("mamba_num_heads") else LINEAR
        return [linear if WORDS[word] == LINEAR else WORDS[word] for word in named]
    ratios = config.numbers("compress_ratios")[:layers]  # those past the layers belong to the ones that draft
    if ratios:
        _one_a_layer(config, "compress_ratios", ratios, layers)
        return [WINDOW if not r else HEAVY if r > MOST_CHOSEN_FROM else COMPRESSED for r in ratios]
    every = config.whole("full_attention_interval", 0)
    if every:
        return [FULL if (i + 1) % every == 0 else LINEAR for i in range(layers)]
    return _listed_linear(config, layers) or _windows(config, layers)


def _listed_linear(config: Config, layers: int) -> list[str] | None:
    """Layers of architectures that list them by number: Bamba, Kimi-Linear from 1, MiniMax-01 by type."""
    if config.has("mamba_num_heads"):
        attending = config.numbers("attn_layer_indices")
        return [FULL if i in attending else MAMBA for i in range(layers)]
    kinds = config.numbers("attn_type_list")  # MiniMax: 0 linear, 1 softmax
    if kinds:
        return [
            FULL if kind == 1 else LINEAR for kind in _one_a_layer(config, "attn_type_list", kinds, layers)
        ]
    listed = config.mapping("linear_attn_config").get("full_attn_layers")
    if isinstance(listed, list):
        return [FULL if i + 1 in listed else LINEAR for i in range(layers)]
    return None


def _windows(config: Config, layers: int) -> list[str]:
    rotary = config.numbers(
        "no_rope_layers"
    )  # Llama 4: 0 for a layer without rotation, which attends to everything
    if rotary and config.model_type == "llama4":
        return [
            WINDOW if turned else FULL for turned in _one_a_layer(config, "no_rope_layers", rotary, layers)
        ]
    letters = config.raw("sliding_window_pattern")
    if isinstance(letters, str) and letters and set(letters) <= {"L", "G"}:  # EXAONE: local and global
        return [FULL if letters[i % len(letters)] == "G" else WINDOW for i in range(layers)]
    marked = config.numbers("hybrid_layer_pattern")  # MiMo-V2: 1 for a window
    if marked:
        return [
            WINDOW if one else FULL for one in _one_a_layer(config, "hybrid_layer_pattern", marked, layers)
        ]
    every = config.whole("sliding_window_pattern", 0) if _number(config, "sliding_window_pattern") else 0
    every = every or WINDOW_EVERY.get(config.model_type, 0)
    windowed = config.has("sliding_window") or config.has("attention_chunk_size")
    if not windowed or not every or config.raw("use_sliding_window") is False:
        # One window over all layers (Mistral 7B v0.1) bounds the cache only past it: counted as growing until there.
        return [FULL] * layers
    return [FULL if (i + 1) % every == 0 else WINDOW for i in range(layers)]


def _number(config: Config, name: str) -> bool:
    return isinstance(config.raw(name), int)


def mlp_kinds(config: Config) -> list[str]:
    """Say for each layer whether its feed-forward part is ``dense``, ``sparse`` (routed experts) or ``nothing``."""
    layers = layer_count(config)
    pattern = pattern_of(config)
    if pattern is not None:
        return [{"E": SPARSE, "-": DENSE}.get(letter, NOTHING) for letter in pattern]
    if blocks := blocks_of(config):
        return [DENSE if block.width else NOTHING for block in blocks]
    if not config.whole("n_experts", 0):
        return [DENSE] * layers
    named = config.words("mlp_layer_types")
    if named is not None:
        _one_a_layer(config, "mlp_layer_types", named, layers)
        return [SPARSE if word == "sparse" or word.endswith("moe") else DENSE for word in named]
    found = [SPARSE if _is_sparse(config, i, layers) else DENSE for i in range(layers)]
    if SPARSE not in found:
        raise CardError(
            f"{config.where}: it has {config.whole('n_experts')} experts, but no layer uses them: its fields contradict each other"
        )
    return found


def _is_sparse(config: Config, layer: int, layers: int) -> bool:
    if layer < config.whole("first_k_dense_replace", 0) or layer in config.numbers("mlp_only_layers"):
        return False
    if config.has("moe_layers_enum"):
        return layer in _enumerated(config, "moe_layers_enum", layers)
    if config.has("moe_layer_start_index"):  # ERNIE
        last = config.raw("moe_layer_end_index")
        end = layers - 1 if last == -1 else config.whole("moe_layer_end_index", layers - 1)
        inside = config.whole("moe_layer_start_index") <= layer <= end
        return inside and (layer + 1) % config.whole("moe_layer_interval", 1) == 0
    if config.has("interleave_moe_layer_step"):  # Llama 4
        return (layer + 1) % max(config.whole("interleave_moe_layer_step"), 1) == 0
    if isinstance(config.raw("moe_layer_freq"), list):
        return bool(_one_a_layer(config, "moe_layer_freq", config.numbers("moe_layer_freq"), layers)[layer])
    frequency = config.whole("moe_layer_freq", 1)
    if frequency > 1:
        return layer % frequency == 0
    return (layer + 1) % max(config.whole("decoder_sparse_step", 1), 1) == 0


def _enumerated(config: Config, name: str, layers: int) -> set[int]:
    """Read the numbers of layers in a text, as Step-3 writes them: ``"4,5,6"``."""
    found = config.raw(name)
    words = found.replace(" ", "").split(",") if isinstance(found, str) else [""]
    numbers = {int(word) for word in words if re.fullmatch(r"\d{1,6}", word)}
    if len(numbers) < len(words) or max(numbers) >= layers:
        raise CardError(
            f"{config.where}: {name} is {found!r}: it must be numbers of its {layers} layers, as 4,5,6"
        )
    return numbers


def layer_of(module: str) -> int | None:
    """Give the number of the layer that a module's name says, None where it says none."""
    found = re.search(r"(?:layers|blk|h|blocks)\.(\d+)\.", module)
    return int(found[1]) if found else None
