"""The observation schema: every column that a measurement or conditions table may have, said once.

A row of a measurement table is one benchmark cell (or one repeat of it): what was served, on what, with or
without speculation, under which load, and the latency measured. A row of a conditions table is the same
without results.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

Kind = Literal["text", "number", "count", "flag", "choice", "counts", "date"]
Role = Literal[
    "", "source", "deployment", "verifier", "drafting", "acceptance", "requests", "load", "queueing"
]

METHODS = (
    *("none", "eagle", "eagle3", "mtp", "draft_model", "ngram", "suffix", "medusa", "mlp_speculator"),
    *("dflash", "dspark", "p_eagle"),
)
"""Methods that are known; a table may name any other, which is then a level of its own."""
LOAD_KINDS = ("concurrency", "rate")
ARRIVALS = ("even", "poisson")
GAMMA = "gamma"
"""Arrivals that are neither: ``gamma 0.7`` has gaps of a gamma distribution with that shape (burstiness), whose coefficient of
variation is 1/sqrt(shape). ``gamma 1`` is poisson, and is read as that."""
LEAST_MODELLED, MOST_MODELLED = 0.25, 10.0
"""Shapes of gamma gaps between which the law of latency was compared with the simulator."""


def gap_shape(arrivals: str) -> float:
    """Give the shape of the gamma distribution of the gaps of random arrivals: 1 for Poisson's.

    Examples
    --------
    >>> gap_shape("gamma 0.7"), gap_shape("poisson")
    (0.7, 1.0)
    """
    return float(arrivals.removeprefix(GAMMA)) if arrivals.startswith(GAMMA) else 1.0


def random_arrivals(shape: float) -> str:
    """Write random arrivals as a table does, by the shape of the gamma distribution of their gaps; inverse of :func:`gap_shape`.

    Examples
    --------
    >>> random_arrivals(0.7), random_arrivals(1.0)
    ('gamma 0.7', 'poisson')
    """
    return "poisson" if shape == 1.0 else f"{GAMMA} {shape:g}"


def is_modelled(arrivals: str) -> bool:
    """Say whether a law of latency covers arrivals."""
    return LEAST_MODELLED <= gap_shape(arrivals) <= MOST_MODELLED


POOLS = tuple(
    f"{half}_{what}" for half in ("prefill", "decode") for what in ("gpus", "workers", "tp", "dp", "ep")
)
"""Columns of a disaggregated deployment: each half's GPUs, its workers, and how the model is spread over one worker."""
POOLS_NEEDED = tuple(f"{half}_{what}" for half in ("prefill", "decode") for what in ("gpus", "workers"))
"""Those without which two pools cannot be told."""


MOST_REQUESTS = 10_000_000
"""Requests of one run, and tokens of one request, that this package itself sends or simulates."""
LONGEST_DRAFT = 1024
"""Tokens proposed per cycle at most: engines draft a few, or some tens."""
MOST = {
    "tp": 1e5, "drafter_tp": 1e5, "n_gpu": 1e5, "dp": 1e5, "pp": 1e5, "ep": 1e5, "nodes": 1e5, "n_experts": 1e5, "top_k_experts": 1e5,
    **dict.fromkeys(POOLS, 1e5),
    "k": LONGEST_DRAFT, "mean_accepted_len": LONGEST_DRAFT + 1, "draft_passes": LONGEST_DRAFT, "verify_tokens": 1e5,
    "max_num_seqs": 1e7, "client_cap": 1e7, "load_value": 1e6,
    "1e9": 1e6, "tokens": 1e8, "requests": 1e7, "requests/s": 1e7, "tokens/s": 1e10, "s": 1e8, "ms": 1e11,
    "1e9 bytes": 1e4, "1e9 bytes/s": 1e6, "1e12/s": 1e6, "": 1e15,
}  # fmt: skip
"""Name of a column, or else its unit, to the highest value that any hardware or server could have in the years to come."""


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name : str
        Header, with the unit as suffix where it has one.
    kind : str
        ``number``, ``count`` (a whole number), ``flag`` (0 or 1), ``choice``, ``counts`` (a JSON list of
        whole numbers), ``date`` (a day, 2026-05-31, or a month, 2026-05) or ``text``.
    meaning : str
        What it says, in words.
    unit : str
        Unit, empty where it has none.
    low, high : float
        Range allowed; by default up to what :data:`MOST` says.
    open_low : bool
        Whether `low` itself is not allowed.
    choices : tuple of str
        Allowed values of a choice; compared in lower case.
    default : object
        Value of a blank cell, or of every row where the column is missing. None: unknown (NaN, or "" for
        text).
    asked : object
        The same in a conditions table or a question, where that differs; for rows of an open loop only.
    measured : {"required", "optional"}
        Whether a measurement table must have the column.
    condition : {"required", "optional", "result"}
        Whether a conditions table must have the column, filled in every row; a result has no place there.
    role : str
        What it describes: the ``source`` of the row; the ``deployment`` (it tells one deployment from another); a
        ``verifier`` or drafter that has no card; the ``drafting``, and the ``acceptance`` of what is drafted; the ``requests``
        sent; the ``load``; the ``queueing`` (how requests arrive, and how many may run). "": anything else.
    fit : {"", "cell", "mean", "first"}
        Whether the likelihood depends on it. ``cell``: rows that differ in it are different benchmark cells. ``mean``: a
        fit takes its geometric mean over the repeats of a cell; ``first``: it takes the first repeat's. "": it does not.
    observed : bool
        Whether it is kept with a posterior; all that a fit depends on is, and what later commands show.
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
    asked: object = None
    measured: Literal["required", "optional"] = "optional"
    condition: Literal["required", "optional", "result"] = "optional"
    role: Role = ""
    fit: Literal["", "cell", "mean", "first"] = ""
    observed: bool = False

    def __post_init__(self) -> None:
        if self.high == float("inf") and self.kind in ("number", "count", "counts"):
            object.__setattr__(self, "high", float(MOST.get(self.name, MOST.get(self.unit, MOST[""]))))


def _text(name: str, meaning: str, **more: Any) -> Column:
    return Column(name, "text", meaning, **more)


def _positive(name: str, unit: str, meaning: str, **more: Any) -> Column:
    return Column(name, "number", meaning, unit=unit, low=0.0, open_low=True, **more)


def _count(name: str, meaning: str, low: float = 1, **more: Any) -> Column:
    return Column(name, "count", meaning, low=low, **more)


def _length(name: str, meaning: str) -> Column:
    """Declare a mean length: a request has a token at least."""
    return Column(name, "number", meaning, unit="tokens", role="requests", fit="mean", low=1.0)


def _required(column: Column) -> Column:
    return replace(column, measured="required", condition="required")


def _result(name: str, unit: str, meaning: str, **more: Any) -> Column:
    return _positive(name, unit, meaning, condition="result", **more)


def _pool(name: str) -> Column:
    half, what = name.split("_")
    says = {
        "gpus": "GPUs of all its workers",
        "workers": "servers in it",
        "tp": "tensor-parallel size of a worker",
        "dp": "ranks of data-parallel attention of a worker",
        "ep": "GPUs that a worker's experts are spread over",
    }[what]
    meaning = f"disaggregated: the pool that does {half}: {says} (blank: not stated, or one pool does both)"
    return _count(name, meaning, role="deployment", fit="cell")


COLUMNS: tuple[Column, ...] = (
    _text(
        "source",
        "where the row comes from; rows of one source share a noise level (default: the file's name)",
        role="source",
        fit="cell",
    ),
    _required(_text("hardware", "GPU, a name or alias of a hardware card", role="deployment", fit="cell")),
    _count(
        "n_gpu",
        "GPUs of the deployment (default: those of both pools, or else what tp, pp and dp come to)",
        fit="cell",
    ),
    _count("tp", "tensor-parallel size", default=1, role="deployment", fit="cell"),
    _count(
        "dp",
        "data-parallel ways: replicas behind one address where n_gpu is tp * pp * dp; ranks of attention that share the tp * pp "
        "GPUs where n_gpu is that (blank: not stated)",
        role="deployment",
        fit="cell",
    ),
    _count("pp", "pipeline-parallel stages (blank: not stated)", role="deployment", fit="cell"),
    _count(
        "ep",
        "GPUs that a layer's experts are spread over (blank: not stated)",
        role="deployment",
        fit="cell",
    ),
    _count("nodes", "machines that the deployment spans (blank: not stated)", role="deployment", fit="cell"),
    *(_pool(name) for name in POOLS),
    _text(
        "engine",
        "serving engine and version, as vllm-0.24.0",
        default="unknown",
        role="deployment",
        fit="cell",
    ),
    _text(
        "engine_options",
        "settings that set a deployment apart from others of the same engine",
        role="deployment",
        fit="cell",
    ),
    _required(_text("verifier", "the model served", role="deployment", fit="cell")),
    _positive(
        "verifier_params_b",
        "1e9",
        "its parameters; needed where it has no card",
        role="verifier",
        observed=True,
    ),
    _positive(
        "verifier_active_params_b",
        "1e9",
        "those used for a token (default: all)",
        role="verifier",
        observed=True,
    ),
    Column("is_moe", "flag", "whether it routes tokens to experts (default: whether n_experts is given)"),
    _count("n_experts", "routed experts per layer, M", role="verifier", observed=True),
    _count("top_k_experts", "experts a token is routed to, m", role="verifier", observed=True),
    Column(
        "method",
        "choice",
        "how tokens are drafted; any name",
        choices=METHODS,
        default="none",
        role="drafting",
        fit="cell",
    ),
    _text("drafter", "the drafting model, a name or alias of a drafter card", role="drafting", fit="cell"),
    Column(
        "drafter_params_b",
        "number",
        "its parameters; needed where a draft model has no card",
        unit="1e9",
        low=0.0,
        role="verifier",
        observed=True,
    ),
    _count(
        "k",
        "draft length: tokens proposed per cycle (0: no speculation; blank while speculating: unknown)",
        low=0,
        role="drafting",
        fit="cell",
    ),
    Column(
        "speculation_configured",
        "flag",
        "whether the server was started with speculation, though nothing is drafted (k = 0): it is slower than one without "
        "(default: no)",
        default=0.0,
        role="drafting",
        fit="cell",
    ),
    _count("draft_passes", "passes of the drafter a cycle (blank: k)", role="drafting", fit="cell"),
    _count(
        "verify_tokens",
        "tokens that a cycle verifies, the last committed one included (blank: k + 1)",
        role="drafting",
        fit="cell",
    ),
    _text(
        "drafter_hardware",
        "GPU or processor that the drafter has to itself, a name or alias of a hardware card (blank: the verifier's)",
        role="drafting",
    ),
    _count(
        "drafter_tp",
        "tensor-parallel size of a drafter that has its own (blank: the verifier's)",
        role="drafting",
    ),
    Column(
        "drafter_link_us",
        "number",
        "latency of the link between verifier and drafter, one way",
        unit="1e-6 s",
        low=0.0,
        high=1e8,
        role="drafting",
    ),
    _positive(
        "drafter_link_gb_per_s",
        "1e9 bytes/s",
        "its bandwidth (blank: the drafter's network card)",
        role="drafting",
    ),
    Column(
        "draft_overlap",
        "choice",
        "whether the next draft is made while this one is verified: ahead, or blank: not",
        choices=("ahead",),
        default="",
        role="drafting",
    ),
    Column(
        "acceptance",
        "number",
        "accepted over drafted tokens (not conditional, not a length)",
        low=0.0,
        high=1.0,
        role="acceptance",
        fit="mean",
    ),
    Column(
        "mean_accepted_len",
        "number",
        "tokens committed per cycle, the verifier's own included",
        low=1.0,
        role="acceptance",
        fit="mean",
    ),
    _required(_length("prompt_tokens", "mean prompt length")),
    Column(
        "cached_prompt_tokens",
        "number",
        "mean prompt tokens found in a prefix cache",
        unit="tokens",
        low=0.0,
    ),
    _required(_length("output_tokens", "mean output length")),
    _required(
        Column(
            "load_kind",
            "choice",
            "closed loop (concurrency) or open loop (rate)",
            choices=LOAD_KINDS,
            role="load",
            fit="cell",
        )
    ),
    _required(
        _positive(
            "load_value",
            "requests, or requests/s",
            "clients of a closed loop, or rate of an open one",
            role="load",
            fit="cell",
        )
    ),
    Column(
        "arrivals",
        "choice",
        "spacing of an open loop's arrivals: even, poisson, or gamma with its shape (burstiness), as gamma 0.7",
        choices=ARRIVALS,
        default="even",
        asked="poisson",
        role="queueing",
        fit="cell",
    ),
    _count("max_num_seqs", "the engine's cap on running requests", role="queueing", fit="cell"),
    _count("client_cap", "the client's cap on requests in flight (open loop)"),
    _result("achieved_rps", "requests/s", "completed requests a second"),
    _result("mean_e2e_s", "s", "mean end-to-end latency"),
    _result("p50_e2e_s", "s", "median end-to-end latency", observed=True),
    _result("p95_e2e_s", "s", "95th percentile of it", observed=True),
    _result("p99_e2e_s", "s", "99th percentile of it", observed=True),
    _result("mean_ttft_ms", "ms", "mean time to the first token", fit="mean"),
    _result(
        "mean_tpot_ms",
        "ms",
        "mean time per further token: (e2e - ttft)/(output - 1); not per chunk of a stream",
        fit="mean",
    ),
    _result("p50_ttft_ms", "ms", "median time to the first token", fit="mean"),
    _result("p50_tpot_ms", "ms", "median over requests of the time per further token", fit="mean"),
    _result("output_tok_per_s", "tokens/s", "output tokens a second over all requests"),
    _count("n_requests", "requests measured", condition="result", observed=True),
    _text("workload", "name of the prompts used", role="requests", fit="cell"),
    _text(
        "precision",
        "number formats, as fp8 or w:w4a16 kv:fp16 (blank: not stated; taken as the published checkpoint's)",
        role="deployment",
        fit="cell",
    ),
    _text("repeat", "which repeat of the cell", condition="result"),
    Column(
        "run_date",
        "date",
        "day (2026-05-31) or month (2026-05) of the measurement, of its publication where that is all that is known: how old an "
        "engine without a version is",
        role="deployment",
        fit="first",
    ),
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
    _count(
        "n_drafts", "draft-verify cycles counted", low=0, condition="result", role="acceptance", fit="first"
    ),
    _count("n_draft_tokens", "tokens drafted", low=0, condition="result"),
    _count(
        "n_accepted_tokens",
        "drafted tokens accepted",
        low=0,
        condition="result",
        role="acceptance",
        fit="first",
    ),
    Column(
        "accepted_per_position",
        "counts",
        "JSON list: how often draft position 1, 2, ... was accepted",
        low=0.0,
        condition="result",
    ),
    _text("measured_by", "program that measured the row", condition="result"),
    _text("family", "family of a verifier that has no card"),
    _positive("memory_gb", "1e9 bytes", "memory of one GPU that has no card, or in place of its card's"),
    _positive("bandwidth_gb_per_s", "1e9 bytes/s", "its peak memory bandwidth"),
    _positive("fp16_tflops", "1e12/s", "its peak dense 16-bit matrix rate"),
    _positive("fp8_tflops", "1e12/s", "its 8-bit floating-point rate, where it has one"),
    _positive("fp4_tflops", "1e12/s", "its 4-bit rate, where it has one"),
    _positive("int8_tops", "1e12/s", "its 8-bit integer rate, where it has one"),
    _positive("link_gb_per_s", "1e9 bytes/s", "its link to the other GPUs, one direction (default: 32)"),
)

DERIVED: tuple[Column, ...] = (
    _result(
        "latency_s",
        "s",
        "latency that is fitted: the mean end-to-end one, or the median where no mean is given, else what other columns tell of it",
        fit="mean",
    ),
    _text(
        "latency_statistic",
        "where the latency is from: mean, median, parts (first token and time per further one), tokens (the latter alone) or "
        "throughput",
        condition="result",
        observed=True,
    ),
    _text(
        "latency_part",
        "what the latency is of: whole requests, or decoding alone where only the time per further token was measured",
        condition="result",
        fit="cell",
    ),
    Column(
        "load_noise",
        "number",
        "noise of a row in units of that of a sound one: above 1 near a bound of the load check",
        low=1.0,
        condition="result",
        fit="mean",
    ),
    _count("n_repeats", "repeats that the row is the mean of", condition="result", observed=True),
    Column(
        "precision_assumed",
        "flag",
        "whether precision was blank and is that of the published checkpoint",
        condition="result",
    ),
)
"""Columns that no table has: reading and averaging add them."""

BY_NAME: dict[str, Column] = {column.name: column for column in COLUMNS}


def _names(wanted: Callable[[Column], bool]) -> tuple[str, ...]:
    return tuple(column.name for column in (*COLUMNS, *DERIVED) if wanted(column))


def of_role(*roles: Role) -> tuple[str, ...]:
    """Name the columns of some roles, in the schema's order."""
    return _names(lambda column: column.role in roles)


CELL = _names(lambda column: column.fit == "cell")
"""Columns that set benchmark cells apart; lengths, rounded, do so too."""
AVERAGED = _names(lambda column: column.fit == "mean")
"""Columns that a fit averages over the repeats of a cell."""
ENTERING = _names(lambda column: bool(column.fit))
"""Columns that a row's likelihood depends on."""
OBSERVED = _names(lambda column: bool(column.fit) or column.observed)
"""Columns that are kept with a posterior."""
CONFIGURATION = tuple(
    name for name in of_role("source", "deployment", "drafting", "requests") if name in CELL
)
"""Columns that tell one server under one workload from another, whatever the load."""
CARRIED = tuple(
    name for name in of_role("source", "deployment", "drafting", "requests", "queueing") if name in ENTERING
)
"""Columns that a condition takes over from the measured rows of its deployment, where it does not state them."""
REMOTE = ("drafter_hardware", "drafter_tp", "drafter_link_us", "drafter_link_gb_per_s", "draft_overlap")
"""Columns of a drafter that has hardware of its own, or drafts while the verifier works."""
OF_ONE_DRAFT = ("draft_passes", "verify_tokens")
"""Columns that say how the tokens of one draft are made and checked: another draft length or drafter has its own."""
LATENCIES = ("mean_e2e_s", "p50_e2e_s", "mean_tpot_ms", "p50_tpot_ms", "output_tok_per_s")
"""A measurement table needs one of these columns."""
