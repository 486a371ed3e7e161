"""Drafters counted from their config: EAGLE, EAGLE-3, Medusa, MLP speculators, DFlash, DSpark, MTP layers, whole models."""

from __future__ import annotations

from typing import Any

from bayes_sd.cards.base import GIGA
from bayes_sd.cards.checkpoint.attention import head_dim, kv_heads
from bayes_sd.cards.checkpoint.config import Config
from bayes_sd.cards.checkpoint.layers import DENSE, FULL, SPARSE, layer_count, mlp_kinds
from bayes_sd.cards.checkpoint.parts import EMBEDDING, EXPERTS, HEAD, Tensor, parts_of
from bayes_sd.cards.checkpoint.tensors import count_tensors, layer_tensors, tied
from bayes_sd.errors import CardError

Counted = tuple[dict[str, Any], dict[str, int], list[str]]
FUSED_LAYERS = 3
"""Layers of the verifier whose hidden states an EAGLE-3 head reads (arXiv:2503.01840), where a config does not say."""


def method_of(config: Config) -> str | None:
    """Say how a checkpoint drafts, from its config; None for one that is no drafter by itself."""
    words = [config.architecture, config.raw("speculators_model_type"), config.model_type]
    text = " ".join(str(word) for word in words).casefold()
    for method, marks in {
        "dspark": ("dspark",),
        "dflash": ("dflash", "muse_glimmer_assistant"),
        "medusa": ("medusa",),
        "mlp_speculator": ("mlpspeculator", "mlp_speculator"),
        "eagle3": ("eagle3", "eagle-3"),
        "mtp": ("mtp", "nextn"),
        "eagle": ("eagle",),
    }.items():
        if any(mark in text for mark in marks):
            return method
    return "eagle3" if config.has("draft_vocab_size") else None


def count(config: Config, method: str) -> Counted:
    """Count a drafter.

    Parameters
    ----------
    config : Config
    method : str
        How it drafts.

    Returns
    -------
    values : dict
        Fields of its card.
    parts : dict of str to int
        Parameters by part.
    notes : list of str
        What a reader should know.

    Raises
    ------
    CardError
        If a field that is needed is missing, or the method has no weights.
    """
    if method == "draft_model":
        return _model(config)
    if method == "medusa":
        return _medusa(config)
    if method == "mlp_speculator":
        return _mlp_speculator(config)
    if method not in ("eagle", "eagle3", "dflash", "dspark", "mtp"):
        raise CardError(f"{config.where}: method {method!r} has no weights, so no card to count")
    return _head(config, method)


def _model(config: Config) -> Counted:
    parts = parts_of(count_tensors(config))
    total = sum(parts.values())
    routed = parts.get(EXPERTS, 0)
    used = float(total - (0 if tied(config) else parts[EMBEDDING]))
    if routed:
        used -= routed * (1 - config.whole("top_k_experts") / config.whole("n_experts"))
    return _values(config, "draft_model", total, used, 0), parts, []


def _head(config: Config, method: str) -> Counted:
    """Heads of a few decoder layers on the verifier's hidden states."""
    hidden, layers = config.whole("hidden_size"), layer_count(config)
    parts: dict[str, int] = {}
    used = 0.0
    for i, mlp in enumerate(mlp_kinds(config)):
        for tensor in layer_tensors(config, f"layers.{i}", FULL, mlp, i):
            share = (
                config.whole("top_k_experts") / config.whole("n_experts") if tensor.part == EXPERTS else 1.0
            )
            parts[tensor.part] = parts.get(tensor.part, 0) + tensor.parameters
            used += tensor.parameters * share
    extra = {"input projection": _projection(config, method, hidden)}
    if method == "eagle3":  # its first layer attends over the embedding and the hidden state side by side
        widths = config.whole("num_attention_heads") + 2 * kv_heads(config)
        extra["second half of attention's input"] = hidden * widths * head_dim(config)
    rank = config.whole(
        "markov_rank", Config(config.where, config.mapping("dflash_config")).whole("markov_rank", 0)
    )
    extra["token transitions"] = 2 * config.whole("vocab_size") * rank
    own = 0 if config.flag("reuse_target_lm_head") else config.whole("draft_vocab_size", 0)
    extra["own output layer"] = own * hidden if method == "eagle3" else 0
    parts |= {name: n for name, n in extra.items() if n}
    total = sum(parts.values())
    used += sum(extra.values())
    shared = 0 if extra["own output layer"] else config.whole("vocab_size") * hidden
    values = _values(config, method, total, used, shared) | {"layers": layers}
    if own:
        values["vocab_size"] = own
    return values, parts, ["embeddings are taken as the verifier's, of which a step reads single rows"]


def _projection(config: Config, method: str, hidden: int) -> int:
    target = config.whole("target_hidden_size", hidden)
    if method in ("eagle", "mtp"):
        return 2 * hidden * hidden
    nested = config.mapping("dflash_config") or config.mapping("eagle_config")
    listed = (
        config.raw("target_layer_ids")
        or nested.get("target_layer_ids")
        or nested.get("eagle_aux_hidden_state_layer_ids")
        or config.raw("eagle_aux_hidden_state_layer_ids")
        or config.raw("aux_hidden_state_layer_ids")
    )
    # A block drafter reads as many of the verifier's layers as it has itself, where its config does not say.
    usual = FUSED_LAYERS if method == "eagle3" else layer_count(config)
    return (len(listed) if isinstance(listed, list) else usual) * target * hidden


def _medusa(config: Config) -> Counted:
    hidden, vocab = config.whole("hidden_size"), config.whole("vocab_size")
    heads = config.whole("medusa_num_heads", config.whole("num_heads", 0))
    if not heads:
        raise CardError(
            f"{config.where}: no field 'medusa_num_heads': give it with --set medusa_num_heads=NUMBER"
        )
    residual = config.whole("medusa_num_layers", config.whole("num_hidden_layers", 1)) * (hidden + 1) * hidden
    parts = {"residual blocks": heads * residual, "output layers": heads * hidden * vocab}
    total = sum(parts.values())
    return _values(config, "medusa", total, total, 0), parts, []


def _mlp_speculator(config: Config) -> Counted:
    predict, inner = config.whole("n_predict"), config.whole("inner_dim")
    outer, vocab = config.whole("emb_dim"), config.whole("vocab_size")
    copies = 1 if config.flag("tie_weights") else predict
    first = outer * inner
    rest = (
        0
        if config.flag("tie_weights") and predict < 2
        else (copies if copies == 1 else predict - 1) * inner * inner
    )
    parts = {
        "embeddings": copies * vocab * inner,
        "projections": first + rest,
        "output layers": copies * inner * vocab,
    }
    total = sum(parts.values())
    # A step reads one head and one projection; of the embedding a row.
    step = first / predict + inner * inner * (predict - 1) / predict + inner * vocab
    values = _values(config, "mlp_speculator", total, min(step, total), 0)
    return values | {"layers": predict, "hidden_size": inner}, parts, []


def mtp(config: Config) -> dict[str, Any] | None:
    """Count the layers of a checkpoint that predict further tokens, as a drafter; None where it has none."""
    layers = config.whole("mtp_layers", 0)
    if not layers:
        return None
    hidden = config.whole("hidden_size")
    mlp = SPARSE if SPARSE in mlp_kinds(config) else DENSE
    one = layer_tensors(config, "mtp.layers.0", FULL, mlp)
    one.append(Tensor("mtp.eh_proj", HEAD, 2 * hidden * hidden))
    total = sum(t.parameters for t in one)
    used = float(total)
    if mlp == SPARSE:
        routed = sum(t.parameters for t in one if t.part == EXPERTS)
        used -= routed * (1 - config.whole("top_k_experts") / config.whole("n_experts"))
    # One module drafts again and again, as engines use it, however many the checkpoint holds.
    return _values(config, "mtp", total, used, config.whole("vocab_size") * hidden) | {"layers": 1}


def _values(config: Config, method: str, total: float, used: float, shared: int) -> dict[str, Any]:
    values: dict[str, Any] = {
        "method": method,
        "params_b": float(f"{total / GIGA:.4g}"),
        "active_params_b": float(f"{used / GIGA:.4g}"),
        "shared_params_b": float(f"{shared / GIGA:.4g}"),
        "hidden_size": config.whole("hidden_size", config.whole("emb_dim", 0)) or None,
        "vocab_size": config.whole("vocab_size"),
    }
    if config.has("num_hidden_layers"):
        values["layers"] = layer_count(config)
    return values
