"""Deployments: what is one, what its levels are called, and its roofline from the cards.

A deployment is (verifier, hardware, how it is spread over GPUs, precision, engine with its options). Engines are not merged:
rows of two engines on one GPU are two deployments, which share their hardware's effects.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes_sd.cards.engine_names import DP_WITHIN_TP, layer_round
from bayes_sd.errors import ConditionError
from bayes_sd.latency.roofline import Layout, Roofline, draft_step_s, roofline
from bayes_sd.model.ages import REFERENCE_AGE, Age, engine_age, unversioned_quarter
from bayes_sd.model.pools import has_pools, pools_of, stated_number

if TYPE_CHECKING:
    from bayes_sd.cards import Cards

UNKNOWN = "unknown"
LEAST_SHARE = 0.005
"""Parameters of a drafter in units of the verifier's where it has none or they are not known: lookups cost little."""
CACHES_ALL_LAYERS = ("trtllm",)
"""Engines that keep the whole context of layers which attend to a window only, if not told otherwise. In TensorRT-LLM
``max_attention_window`` of its KvCacheConfig is unset by default; vLLM's hybrid cache manager frees what a window left."""
ROOFLINE_FIELDS = tuple(f.name for f in fields(Roofline))
OF_A_STEP = ("weights_s", "launches", "experts_s", "compute_token_s", "link_token_s")
"""Fields of a roofline that say what a step costs before its first token, and what a token of a prompt adds."""


@dataclass(frozen=True)
class Deployment:
    """Canonical names of one deployment.

    Attributes
    ----------
    verifier, hardware, precision, engine : str
        Canonical names; `engine` with release and options, as it stands in the table.
    tp : int
        Tensor-parallel size as the table states it, GPUs. With two pools it is a decode worker that is deployed.
    layout : Layout, optional
        How the model is spread over GPUs; by default over a tensor-parallel group.
    memory : str
        Kind of the GPU's memory, which tells data-centre chips from others.
    age : Age
        The engine's version in time.
    unpacked : bool
        Whether the GPU has no matrix units for the number format of the weights, which are then unpacked to one that it has.
    """

    verifier: str
    hardware: str
    tp: int
    precision: str
    engine: str
    layout: Layout | None = None
    memory: str = "hbm"
    age: Age = REFERENCE_AGE
    unpacked: bool = False

    @classmethod
    def stored(cls, values: Mapping[str, Any]) -> Deployment:
        """Make a deployment of plain values, as a posterior's file keeps them."""
        layout = values.get("layout")
        age = values.get("age")
        parts = {
            "layout": None if layout is None else Layout(**layout),
            "age": REFERENCE_AGE if age is None else Age(**age),
        }
        return cls(**{**values, **parts})

    @property
    def spread(self) -> Layout:
        """How the model is spread over GPUs."""
        return Layout(tp=self.tp) if self.layout is None else self.layout

    @property
    def parallel(self) -> str:
        """How it is spread beside a tensor-parallel size, ``dp8 ep8`` for example; empty where it is not."""
        sizes = {n: getattr(self.spread, n) for n in ("dp", "pp", "ep", "nodes")}
        return " ".join(f"{name}{size}" for name, size in sizes.items() if size > 1)

    @property
    def key(self) -> str:
        """Name that the posterior's ``deployment`` dim uses."""
        where = " ".join(filter(None, [f"{self.tp}x {self.hardware}", self.parallel]))
        return " | ".join([self.verifier, where, self.engine, self.precision])

    @property
    def stack(self) -> str:
        """Verifier, GPU, kind of layout, engine with its options, and formats: all but sizes and the engine's version."""
        where = " ".join([self.hardware, *_kinds(self.parallel)])
        _, _, options = self.engine.partition(" +")
        options = re.sub(r"\s*\(\d{4}-Q\d\)$", "", options)
        engine = f"{self.engine_base} +{options}" if options else self.engine_base
        return " | ".join([self.verifier, where, engine, self.precision])

    @property
    def disaggregated(self) -> bool:
        """Whether prefill and decode run on separate pools of GPUs, by the engine's options."""
        return "disagg" in self.engine.casefold()

    @property
    def weights(self) -> str:
        """Number format of the weights, ``w:fp16`` for example."""
        return self.precision.split(" ")[0]

    @property
    def engine_base(self) -> str:
        """The engine without its release and options."""
        return engine_base(self.engine)

    def level(self, kind: str) -> str:
        """Name the deployment's level of a kind of effect; empty where it is the usual case, which has no effect."""
        names = {
            "memory": "" if self.memory == "hbm" else self.memory,
            "hardware": self.hardware,
            "engine": self.engine_base,
            "version": f"{self.engine_base} {self.age.version}" if self.age.version else "",
            "precision": self.precision,
            "unpacked": self.weights if self.unpacked else "",
            "verifier": self.verifier,
            "parallel": " ".join([*_kinds(self.parallel), *["pools"] * self.disaggregated]),
            "stack": self.stack,
        }
        return f"{kind}: {names[kind]}" if names[kind] else ""


def _kinds(parallel: str) -> list[str]:
    """Name kinds of parallelism without their sizes: ``dp8 ep8`` is dp and ep."""
    return [re.sub(r"\d", "", word) for word in parallel.split()]


def engine_base(engine: str) -> str:
    """Strip an engine's release, its options and what is round it: ``dynamo-vllm-0.11.0 +disaggregated`` is ``vllm``.

    A layer that hands requests to pools computes nothing: its workers are those of the engine inside. vLLM's first engine ("V0"),
    whose scheduler and workers were rewritten as "V1", counts as an engine of its own.
    """
    return engine_family(engine).removeprefix(layer_round(engine))


def engine_family(engine: str) -> str:
    """Strip an engine's release and options alone: ``dynamo-vllm-0.11.0 +disaggregated`` is ``dynamo-vllm``."""
    name, layer = engine.strip().lower(), layer_round(engine)
    base = re.split(r"[-\s(]", name.removeprefix(layer), maxsplit=1)[0] or UNKNOWN
    return f"{layer}vllm-v0" if base == "vllm" and re.search(r"\bv0\b", name) else layer + base


def engine_label(row: Mapping[Any, Any] | pd.Series) -> str:
    """Join an engine and the options that set it apart (``engine_options``) into one name."""
    engine = row.get("engine")
    options = row.get("engine_options")
    words = [str(engine) if isinstance(engine, str) and engine else UNKNOWN]
    if isinstance(options, str) and options:
        words.append("+" + options)
    if has_pools(row) and "disagg" not in " ".join(words):
        words.append("+disaggregated")
    ran = unversioned_quarter(row, words[0])
    return " ".join([*words, f"({ran})"] if ran else words)


def deployment_of(row: Mapping[Any, Any] | pd.Series, cards: Cards) -> Deployment:
    """Name the deployment of a row of a table.

    Parameters
    ----------
    row : Series
        One measurement or condition.
    cards : Cards
        For canonical names.

    Returns
    -------
    Deployment

    Raises
    ------
    CardError
        If the hardware or precision is not known, or the verifier neither known nor described by the row.
    """
    verifier = cards.verifier_from_row(row)
    precision = cards.precision(
        cards.stated_or_native(row.get("precision"), str(row["verifier"])), verifier.name
    )
    pools = pools_of(row, verifier.is_moe)
    hardware = cards.hardware(str(row["hardware"]))
    tp = _size(row, "tp")
    engine = engine_label(row)
    return Deployment(
        verifier=verifier.name,
        hardware=hardware.name,
        tp=tp,
        precision=precision.name,
        engine=engine,
        layout=layout_of(row, tp, engine_base(engine), verifier.is_moe) if pools is None else pools.decode,
        memory=hardware.memory_kind,
        age=engine_age(row, engine),
        unpacked=not hardware.native(precision.compute),
    )


def _size(row: Mapping[Any, Any] | pd.Series, name: str) -> int:
    value = stated_number(row, name)
    return 1 if value is None else int(value)


def layout_of(row: Mapping[Any, Any] | pd.Series, tp: int, engine: str, sparse: bool) -> Layout | None:
    """Find how a row's model is spread over GPUs; None where only a tensor-parallel size is stated.

    Data-parallel ranks are part of the tensor-parallel size in some engines and multiply it in others: the number of GPUs tells,
    and where it is not stated the engine's own use of the words.

    Raises
    ------
    ConditionError
        If the sizes contradict each other.
    """
    dp, pp, nodes = (_size(row, name) for name in ("dp", "pp", "nodes"))
    ep = _size(row, "ep") if sparse else 1
    if dp == pp == ep == nodes == 1:
        return None
    gpus = int(stated_number(row, "n_gpu") or 0)
    within = gpus == tp * pp if gpus and dp > 1 else engine in DP_WITHIN_TP
    if within and tp % dp:
        raise ConditionError(
            f"tp is {tp} and dp {dp}: the GPUs of a tensor-parallel group can't be split into {dp} ranks; correct tp, dp or n_gpu"
        )
    layout = Layout(tp=tp // dp if within else tp, dp=dp, pp=pp, ep=ep, nodes=nodes)
    if ep > layout.tp * layout.dp:
        raise ConditionError(f"ep is {ep}, more than the {layout.tp * layout.dp} GPUs of tp {tp} and dp {dp}")
    return layout


def rooflines(rows: pd.DataFrame, deployments: list[Deployment], cards: Cards) -> dict[str, np.ndarray]:
    """Compute the rooflines of deployments.

    Parameters
    ----------
    rows : DataFrame
        One row per deployment, in order (for verifiers that have no card).
    deployments : list of Deployment
    cards : Cards

    Returns
    -------
    dict of str to array, shape (deployment,)
        The fields of :class:`~bayes_sd.latency.roofline.Roofline`, the cache as the engine uses it, ``n_experts``,
        ``top_k_experts`` (0 if dense), and the :data:`OF_A_STEP` fields with ``read_`` before them, of what reads prompts: a
        prefill worker where there are two pools, else the deployment itself.
    """
    named = (*ROOFLINE_FIELDS, "n_experts", "top_k_experts", *(f"read_{name}" for name in OF_A_STEP))
    columns: dict[str, list[float]] = {name: [] for name in named}
    for (_, row), deployment in zip(rows.iterrows(), deployments, strict=True):
        verifier = cards.verifier_from_row(row)
        hardware, precision = cards.hardware(deployment.hardware), cards.precision(deployment.precision)
        ideal = roofline(verifier, hardware, precision, deployment.spread)
        for name in ROOFLINE_FIELDS:
            columns[name].append(float(getattr(ideal, name)))
        pools = pools_of(row, verifier.is_moe)
        reading = ideal if pools is None else roofline(verifier, hardware, precision, pools.prefill)
        for name in OF_A_STEP:
            columns[f"read_{name}"].append(float(getattr(reading, name)))
        if deployment.engine_base in CACHES_ALL_LAYERS:
            columns["cache_tokens"][-1] *= verifier.full_attention_layers / verifier.layers
        columns["n_experts"].append(float(verifier.n_experts or 0))
        columns["top_k_experts"].append(float(verifier.top_k_experts or 0))
    return {name: np.array(values) for name, values in columns.items()}


def drafter_of(row: pd.Series, cards: Cards) -> str:
    """Name the drafter of a speculating row: its card's name, its own, or the method's."""
    drafter = cards.drafter_from_row(row)
    return str(row["method"]) if drafter is None else drafter.name


def drafter_roofline_s(row: pd.Series, deployment: Deployment, cards: Cards) -> float:
    """Compute the ideal seconds of a row's draft step; 0 where nothing is known of the drafter."""
    drafter = cards.drafter_from_row(row)
    return (
        0.0
        if drafter is None
        else draft_step_s(drafter, cards.hardware(deployment.hardware), deployment.spread.tp)
    )


def parameter_share(row: pd.Series, cards: Cards) -> float:
    """Give the parameters that a draft step works through for a token, in units of the verifier's active ones."""
    drafter = cards.drafter_from_row(row)
    own = 0.0 if drafter is None else drafter.active_params_b + drafter.shared_params_b
    return max(own / cards.verifier_from_row(row).active_params_b, LEAST_SHARE)
