"""The observation schema: every column that a measurement or conditions table may have, said once.

A row of a measurement table is one benchmark cell (or one repeat of it): what was served, on what, with or
without speculation, under which load, and the latency measured. A row of a conditions table is the same
without results.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["text", "number", "count", "flag", "choice", "counts"]

METHODS = (
    *("none", "eagle", "eagle3", "mtp", "draft_model", "ngram", "suffix", "medusa", "mlp_speculator"),
    *("dflash", "dspark", "p_eagle"),
)
"""Methods that are known; a table may name any other, which is then a level of its own."""
LOAD_KINDS = ("concurrency", "rate")
ARRIVALS = ("even", "poisson")


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name : str
        Header, with the unit as suffix where it has one.
    kind : str
        ``number``, ``count`` (a whole number), ``flag`` (0 or 1), ``choice``, ``counts`` (a JSON list of
        whole numbers) or ``text``.
    meaning : str
        What it says, in words.
    unit : str
        Unit, empty where it has none.
    low, high : float
        Range allowed.
    open_low : bool
        Whether `low` itself is not allowed.
    choices : tuple of str
        Allowed values of a choice; compared in lower case.
    default : object
        Value of a blank cell, or of every row where the column is missing. None: unknown (NaN, or "" for
        text).
    measured : {"required", "optional"}
        Whether a measurement table must have the column.
    condition : {"required", "optional", "result"}
        Whether a conditions table must have the column, filled in every row; a result has no place there.
    """

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    low: float = float("-inf")
    high: float = float("inf")
    open_low: bool = False
    choices: tuple[str, ...] = ()
    default: object = None
    measured: Literal["required", "optional"] = "optional"
    condition: Literal["required", "optional", "result"] = "optional"


def _text(name: str, meaning: str, **more) -> Column:
    return Column(name, "text", meaning, **more)


def _positive(name: str, unit: str, meaning: str, **more) -> Column:
    return Column(name, "number", meaning, unit=unit, low=0.0, open_low=True, **more)


def _count(name: str, meaning: str, low: float = 1, **more) -> Column:
    return Column(name, "count", meaning, low=low, **more)


def _required(column: Column) -> Column:
    return replace(column, measured="required", condition="required")


def _result(name: str, unit: str, meaning: str) -> Column:
    return _positive(name, unit, meaning, condition="result")


COLUMNS: tuple[Column, ...] = (
    _text(
        "source",
        "where the row comes from; rows of one source share a noise level (default: the file's name)",
    ),
    _required(_text("hardware", "GPU, a name or alias of a hardware card")),
    _count("n_gpu", "GPUs of the deployment (default: tp)"),
    _count("tp", "tensor-parallel size", default=1),
    _count("dp", "data-parallel replicas behind one address (blank: not stated)"),
    _count("pp", "pipeline-parallel stages (blank: not stated)"),
    _count("ep", "GPUs that a layer's experts are spread over (blank: not stated)"),
    _count("nodes", "machines that the deployment spans (blank: not stated)"),
    _text("engine", "serving engine and version, as vllm-0.24.0", default="unknown"),
    _text("engine_options", "settings that set a deployment apart from others of the same engine"),
    _required(_text("verifier", "the model served")),
    _positive("verifier_params_b", "1e9", "its parameters; needed where it has no card"),
    _positive("verifier_active_params_b", "1e9", "those used for a token (default: all)"),
    Column("is_moe", "flag", "whether it routes tokens to experts (default: whether n_experts is given)"),
    _count("n_experts", "routed experts per layer, M"),
    _count("top_k_experts", "experts a token is routed to, m"),
    Column("method", "choice", "how tokens are drafted; any name", choices=METHODS, default="none"),
    _text("drafter", "the drafting model, a name or alias of a drafter card"),
    Column(
        "drafter_params_b",
        "number",
        "its parameters; needed where a draft model has no card",
        unit="1e9",
        low=0.0,
    ),
    _count(
        "k",
        "draft length: tokens proposed per cycle (0: no speculation; blank while speculating: unknown)",
        low=0,
    ),
    _count("draft_passes", "passes of the drafter a cycle (blank: k)"),
    _count("verify_tokens", "tokens that a cycle verifies, the last committed one included (blank: k + 1)"),
    Column(
        "acceptance",
        "number",
        "accepted over drafted tokens (not conditional, not a length)",
        low=0.0,
        high=1.0,
    ),
    Column("mean_accepted_len", "number", "tokens committed per cycle, the verifier's own included", low=1.0),
    _required(_positive("prompt_tokens", "tokens", "mean prompt length")),
    Column(
        "cached_prompt_tokens",
        "number",
        "mean prompt tokens found in a prefix cache",
        unit="tokens",
        low=0.0,
        condition="optional",
    ),
    _required(_positive("output_tokens", "tokens", "mean output length")),
    _required(
        Column("load_kind", "choice", "closed loop (concurrency) or open loop (rate)", choices=LOAD_KINDS)
    ),
    _required(
        _positive("load_value", "requests, or requests/s", "clients of a closed loop, or rate of an open one")
    ),
    Column("arrivals", "choice", "spacing of an open loop's arrivals", choices=ARRIVALS, default="even"),
    _count("max_num_seqs", "the engine's cap on running requests"),
    _count("client_cap", "the client's cap on requests in flight (open loop)"),
    _result("achieved_rps", "requests/s", "completed requests a second"),
    _result("mean_e2e_s", "s", "mean end-to-end latency"),
    _result("p50_e2e_s", "s", "median end-to-end latency"),
    _result("p95_e2e_s", "s", "95th percentile of it"),
    _result("p99_e2e_s", "s", "99th percentile of it"),
    _result("mean_ttft_ms", "ms", "mean time to the first token"),
    _result(
        "mean_tpot_ms",
        "ms",
        "mean time per further token: (e2e - ttft)/(output - 1); not per chunk of a stream",
    ),
    _result("output_tok_per_s", "tokens/s", "output tokens a second over all requests"),
    _count("n_requests", "requests measured", condition="result"),
    _text("workload", "name of the prompts used"),
    _text("precision", "number formats, as fp8 or w:w4a16 kv:fp16", default="fp16"),
    _text("repeat", "which repeat of the cell", condition="result"),
    _text("config_id", "the source's own name of the configuration"),
    _count("preemptions", "requests put back for want of cache memory", low=0, condition="result"),
    Column(
        "mean_running",
        "number",
        "mean requests running in the engine",
        unit="requests",
        low=0.0,
        condition="result",
    ),
    _result("duration_s", "s", "length of the measurement"),
    _text("derived", "columns computed rather than reported", condition="result"),
    _text("notes", "anything else worth knowing"),
    Column("output_tokens_std", "number", "spread of output lengths", unit="tokens", low=0.0),
    _count("n_drafts", "draft-verify cycles counted", low=0, condition="result"),
    _count("n_draft_tokens", "tokens drafted", low=0, condition="result"),
    _count("n_accepted_tokens", "drafted tokens accepted", low=0, condition="result"),
    Column(
        "accepted_per_position",
        "counts",
        "JSON list: how often draft position 1, 2, ... was accepted",
        low=0.0,
        condition="result",
    ),
    _text("measured_by", "program that measured the row", condition="result"),
    _text("family", "family of a verifier that has no card"),
)

BY_NAME: dict[str, Column] = {column.name: column for column in COLUMNS}

LATENCIES = ("mean_e2e_s", "p50_e2e_s")
"""A measurement table needs one of these columns."""
