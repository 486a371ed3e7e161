"""Writes a small model as GGUF: seeded random weights whose greedy decoding follows a given map from token to token.

The residual stream stays close to the embedding of the last token, because what the layers add to it is small; and the output
row of the token that shall follow t is t's own embedding. So the most likely token after t is the map's, while every
matrix is full size, dense and multiplied like any other model's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bayes_sd.engine.shapes import Shape
from bayes_sd.engine.words import BYTES, N_TOKENS, SPECIAL, token_texts
from bayes_sd.files import write_atomically

ADDED = 0.25
"""Size of all that the layers add, relative to the embedding."""
CONTEXT = 4096
NORMAL, CONTROL = 1, 3
"""GGUF's codes of token types."""


def write_model(shape: Shape, follow: np.ndarray, seed: int, path: str | Path) -> Path:
    """Write a model.

    Parameters
    ----------
    shape : Shape
        What to write.
    follow : int array, (token,)
        The token that greedy decoding gives after each token.
    seed : int
        Same seed, same file.
    path : path-like
        GGUF file.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    OutputError
        If it cannot be written.
    """

    def writer(beside: Path) -> None:
        import gguf

        out = gguf.GGUFWriter(str(beside), "llama")
        _describe(out, shape)
        _vocabulary(out)
        kind = gguf.GGMLQuantizationType
        for name, values in _tensors(shape, follow, np.random.default_rng([seed, shape.width, shape.layers])):
            stored = kind.F32 if values.ndim == 1 else kind.Q8_0 if shape.quantised else kind.F16
            if "ffn_gate_inp" in name:
                stored = kind.F32  # routers are kept whole, as in every quantised checkpoint
            out.add_tensor(name, gguf.quants.quantize(values, stored), raw_dtype=stored)
        out.write_header_to_file()
        out.write_kv_data_to_file()
        out.write_tensors_to_file()
        out.close()

    return write_atomically(path, writer)


def _describe(out: Any, shape: Shape) -> None:
    out.add_name(shape.name)
    out.add_context_length(CONTEXT)
    out.add_embedding_length(shape.width)
    out.add_block_count(shape.layers)
    out.add_feed_forward_length(shape.feed_forward)
    out.add_head_count(shape.heads)
    out.add_head_count_kv(shape.kv_heads)
    out.add_key_length(shape.head_dim)
    out.add_value_length(shape.head_dim)
    out.add_rope_dimension_count(shape.head_dim)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_freq_base(10000.0)
    out.add_vocab_size(N_TOKENS)
    if shape.experts:
        out.add_expert_count(shape.experts)
        out.add_expert_used_count(shape.experts_used)


def _vocabulary(out: Any) -> None:
    texts = token_texts()
    types = [NORMAL] * len(texts)
    types[BYTES : BYTES + len(SPECIAL)] = [CONTROL] * len(SPECIAL)
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("default")
    out.add_token_list(texts)
    out.add_token_types(types)
    # No merge but a harmless one: texts are read byte by byte, and prompts are sent as token numbers.
    out.add_token_merges([f"{texts[ord('w')]} {texts[ord('0')]}"])
    out.add_bos_token_id(BYTES)
    out.add_eos_token_id(BYTES + 1)
    out.add_pad_token_id(BYTES + 2)
    out.add_unk_token_id(BYTES + 3)
    out.add_add_bos_token(False)


def _tensors(shape: Shape, follow: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """Give (name, values) of every tensor; matrices are (output, input) as GGUF has them."""
    width, inner = shape.width, shape.heads * shape.head_dim
    step = ADDED / np.sqrt(2 * shape.layers)

    def matrix(rows: int, columns: int, scale: float = 1.0, copies: int = 0) -> np.ndarray:
        size = (copies, rows, columns) if copies else (rows, columns)
        return (rng.standard_normal(size, dtype=np.float32) * np.float32(scale / np.sqrt(columns))).astype(
            np.float32
        )

    embedding = rng.standard_normal((N_TOKENS, width), dtype=np.float32)
    yield "token_embd.weight", embedding
    yield "output_norm.weight", np.ones(width, dtype=np.float32)
    yield "output.weight", _output(embedding, follow)
    for layer in range(shape.layers):
        block = f"blk.{layer}."
        yield block + "attn_norm.weight", np.ones(width, dtype=np.float32)
        yield block + "attn_q.weight", matrix(inner, width)
        yield block + "attn_k.weight", matrix(shape.kv_heads * shape.head_dim, width)
        yield block + "attn_v.weight", matrix(shape.kv_heads * shape.head_dim, width)
        yield block + "attn_output.weight", matrix(width, inner, step)
        yield block + "ffn_norm.weight", np.ones(width, dtype=np.float32)
        suffix = "_exps.weight" if shape.experts else ".weight"
        if shape.experts:
            yield block + "ffn_gate_inp.weight", matrix(shape.experts, width)
        yield block + f"ffn_gate{suffix}", matrix(shape.feed_forward, width, copies=shape.experts)
        yield block + f"ffn_up{suffix}", matrix(shape.feed_forward, width, copies=shape.experts)
        yield block + f"ffn_down{suffix}", matrix(width, shape.feed_forward, step, copies=shape.experts)


def _output(embedding: np.ndarray, follow: np.ndarray) -> np.ndarray:
    """Give the output layer: the row of follow[t] is the sum of the embeddings of such t, the rest zero."""
    rows = np.zeros_like(embedding)
    # Tokens that several others lead to (bytes into the first workload) point at all of them at once.
    np.add.at(rows, follow, embedding)
    shared = np.bincount(follow, minlength=len(follow)).clip(1)
    return rows / np.sqrt(embedding.shape[1]) / np.sqrt(shared)[:, None].astype(np.float32)
