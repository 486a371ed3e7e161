"""Reads the settings of an SGLang server, which its benchmark tool records with each result."""

from __future__ import annotations

from collections.abc import Mapping

from bayes_sd.measurements.readers.drafting import is_own_head
from bayes_sd.measurements.readers.members import number, positive
from bayes_sd.measurements.readers.reading import Reading

METHODS = {
    "EAGLE": "eagle",
    "EAGLE3": "eagle3",
    "NEXTN": "mtp",
    "MTP": "mtp",
    "STANDALONE": "draft_model",
    "NGRAM": "ngram",
}
OWN_HEAD = frozenset({"EAGLE", "NEXTN", "MTP"})
"""Algorithms that draft with the model's own head where no other drafter is named."""
DTYPES = {"bfloat16": "bf16", "float16": "fp16", "half": "fp16"}
DISAGGREGATED = "disaggregated"
"""Word in `engine_options` by which the rules of a fit leave a row out: prefill and decode stand on separate GPUs."""
SPLIT = "prefill and decode stood on separate GPUs: the rules of a fit leave the row out"
HALVES = ("prefill", "decode")
COUNTS = {"dp": "dp_size", "pp": "pp_size", "ep": "ep_size", "nodes": "nnodes"}
"""Columns of how a deployment is spread, and the server's names for them."""
EXPERT_FLAGS = ("enable_ep_moe", "enable_deepep_moe")
"""Settings of older servers that spread experts over all GPUs of the tensor-parallel group."""
SPREADING = frozenset({"deepep", "mooncake"})
"""Ways of moving tokens between experts that do the same."""


def put_server(cell: Reading, info: Mapping[str, object]) -> None:
    """Store what the server says of itself: model, engine, parallelism, formats, speculation.

    Parameters
    ----------
    cell : Reading
        Receives the columns.
    info : mapping
        ``server_info`` of a result; empty where the tool could not ask. A router in front of separate prefill and
        decode servers lists both kinds.
    """
    halves = {half: servers for half in HALVES if (servers := _servers(info, half))}
    server = _settings(info, halves)
    if not server:
        return
    version = server.get("version")
    cell.put("engine", f"sglang-{version}" if version else None)
    cell.put("verifier", server.get("model_path"))
    cell.put("max_num_seqs", number(server, "max_running_requests"))
    cell.put("precision", _precision(server))
    _put_parallelism(cell, server, halves)
    _put_speculation(cell, server)


def _servers(info: Mapping[str, object], half: str) -> list[Mapping[str, object]]:
    servers = info.get(half)
    servers = [servers] if isinstance(servers, dict) else servers
    return [s for s in servers if isinstance(s, dict)] if isinstance(servers, list) else []


def _settings(
    info: Mapping[str, object], halves: Mapping[str, list[Mapping[str, object]]]
) -> Mapping[str, object]:
    """Give the settings of the server that decodes: a router has none of its own."""
    if "decode" in halves:
        return halves["decode"][0]
    if info and "model_path" not in info:
        inner = _servers(info, "internal_states")
        return {**(inner[0] if inner else {}), **info}
    return info


def _put_parallelism(
    cell: Reading, server: Mapping[str, object], halves: Mapping[str, list[Mapping[str, object]]]
) -> None:
    tp = number(server, "tp_size")
    cell.put("tp", tp)
    options = []
    mode = str(server.get("disaggregation_mode") or "").casefold()  # also "DisaggregationMode.DECODE"
    if halves or any(half in mode for half in HALVES):
        options.append(
            DISAGGREGATED + "".join(f" {half} x{len(servers)}" for half, servers in halves.items())
        )
        if halves:
            cell.put(
                "n_gpu",
                sum(_gpus(one) for servers in halves.values() for one in servers),
                "sum of prefill and decode servers",
            )
        cell.notes.append(SPLIT)
    elif tp is not None and _gpus(server) != tp:
        cell.put("n_gpu", _gpus(server), "tp_size*pp_size*dp_size")
    for column, name in COUNTS.items():
        cell.put(column, positive(number(server, name)))
    spread_out = str(server.get("moe_a2a_backend") or "").casefold() in SPREADING
    if (spread_out or any(server.get(n) is True for n in EXPERT_FLAGS)) and (cell.number("ep") or 1.0) == 1.0:
        cell.put("ep", tp)
    attention = bool(server.get("enable_dp_attention"))
    spread = {"dp": "dp attention" if attention else "dp", "pp": "pp", "ep": "ep", "nodes": "nodes"}
    for column, word in spread.items():
        count = cell.number(column)
        if count is not None and count > 1:
            options.append(f"{word}{count:g}")
    cell.put("engine_options", ", ".join(options))


def _gpus(server: Mapping[str, object]) -> float:
    """Count a server's GPUs: with data-parallel attention the replicas share those of the tensor-parallel group."""
    tp, pp, dp = (number(server, name) or 1.0 for name in ("tp_size", "pp_size", "dp_size"))
    return tp * pp * (1.0 if server.get("enable_dp_attention") else dp)


def _put_speculation(cell: Reading, server: Mapping[str, object]) -> None:
    if "speculative_algorithm" not in server:
        return
    algorithm, drafter = server["speculative_algorithm"], server.get("speculative_draft_model_path")
    if not algorithm or str(algorithm).casefold() == "none":
        cell.put("method", "none")
        return
    # The server records NEXTN as EAGLE with the model's own path as the drafter, or none: it has no other head.
    own = str(algorithm).upper() in OWN_HEAD and (
        not drafter or is_own_head(str(drafter), str(server.get("model_path") or ""))
    )
    method = "mtp" if own else METHODS.get(str(algorithm).upper(), str(algorithm).casefold())
    cell.put("method", method)
    cell.put("drafter", None if own or not drafter else drafter)
    steps, branches = number(server, "speculative_num_steps"), number(server, "speculative_eagle_topk")
    verified = number(server, "speculative_num_draft_tokens")
    if branches is not None and branches > 1 and steps is not None and verified is not None:
        cell.put("k", steps)
        cell.put("draft_passes", steps)
        cell.put("verify_tokens", verified)
        cell.notes.append(
            f"the server drafts a tree: {steps:g} passes of {branches:g} branches, {verified:g} tokens verified a cycle; "
            "k is its depth"
        )
    elif branches == 1 or (branches is None and steps is not None and verified in (None, steps + 1)):
        cell.put("k", steps)
    else:
        cell.put("verify_tokens", verified)
        cell.hints["k"] = "the server drafts a tree or an n-gram, for which it states no draft length"


def _precision(server: Mapping[str, object]) -> str | None:
    """Give number formats as the table writes them, where the settings name them ("auto" does not)."""
    weights = server.get("quantization") or DTYPES.get(str(server.get("dtype")))
    if not weights:
        return None
    cache = str(server.get("kv_cache_dtype") or "auto")
    if cache == "auto":
        return str(weights)
    return f"w:{weights} kv:{'fp8' if cache.startswith('fp8') else cache}"
