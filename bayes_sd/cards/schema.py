"""What a card holds: the numbers of the TOML files, checked, and the quantities that follow from them.

Fields keep the units of the files, which are those people argue in (10^9 parameters, GB/s, TFLOP/s); methods and
properties give SI units (bytes, bytes/s, FLOP/s), which the latency formulas take.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Compute = Literal["fp16", "fp8", "fp4", "int8"]
Method = Literal[
    "none", "eagle", "eagle3", "mtp", "draft_model", "ngram", "suffix", "medusa", "mlp_speculator"
]

GIGA = 1e9
TERA = 1e12
EMBEDDING_BYTES = 2.0
"""Bytes of a parameter that a quantised checkpoint leaves at 16 bits."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
# Strict models take no list for a tuple, and TOML has only lists.
Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)]
Text = Annotated[str, Field(min_length=1)]


class Card(BaseModel):
    """Base of all cards: frozen, no unknown key, no silent conversion."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Text
    aliases: Names = ()
    source: Text


class WeightFormat(Card):
    """How weights are stored and multiplied.

    Attributes
    ----------
    bits_per_param : float
        Stored bits of a quantised weight, scales included.
    compute : {"fp16", "fp8", "fp4", "int8"}
        The matrix rate that it runs at where the chip has it.
    kv : str
        Format of the key-value cache where a precision names none.
    """

    bits_per_param: Positive
    compute: Compute
    kv: Text

    @property
    def bytes_per_param(self) -> float:
        """Stored bytes of a quantised weight."""
        return self.bits_per_param / 8


class KvFormat(Card):
    """How keys and values are cached: bytes of one element, scales included."""

    bytes_per_element: Positive


class Flag(Card):
    """A word after the formats that changes how the engine runs, such as ``eager``."""

    source: str = ""
    meaning: Text


class Precision(BaseModel):
    """A deployment's number formats, put together from the precision table.

    Attributes
    ----------
    name : str
        Canonical form, ``"w:FORMAT kv:FORMAT[ flag...]"``; two spellings of the same formats share it.
    weights : WeightFormat
        Format of the weights.
    kv : KvFormat
        Format of the key-value cache.
    flags : frozenset of str
        Flags such as ``"eager"``.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    weights: WeightFormat
    kv: KvFormat
    flags: frozenset[str] = frozenset()

    @property
    def compute(self) -> Compute:
        """Matrix rate that the weights are multiplied at."""
        return self.weights.compute

    @property
    def eager(self) -> bool:
        """Whether kernels are launched one by one by the host (no captured graphs)."""
        return "eager" in self.flags


class Hardware(Card):
    """One GPU.

    Attributes
    ----------
    memory_gb, bandwidth_gb_per_s, link_gb_per_s : float
        Memory (10^9 bytes), its peak bandwidth, and the scale-up link in one direction (10^9 bytes/s).
    fp16_tflops, fp8_tflops, fp4_tflops, int8_tops : float
        Peak dense matrix rates (10^12/s); None where the chip has no such unit.
    """

    memory_gb: Positive
    bandwidth_gb_per_s: Positive
    fp16_tflops: Positive
    fp8_tflops: Positive | None = None
    fp4_tflops: Positive | None = None
    int8_tops: Positive | None = None
    link_gb_per_s: Positive

    @property
    def memory_bytes(self) -> float:
        """Memory of one GPU, bytes."""
        return self.memory_gb * GIGA

    @property
    def bandwidth_bytes_per_s(self) -> float:
        """Peak memory bandwidth of one GPU, bytes/s."""
        return self.bandwidth_gb_per_s * GIGA

    @property
    def link_bytes_per_s(self) -> float:
        """Scale-up link of one GPU to its peers, one direction, bytes/s."""
        return self.link_gb_per_s * GIGA

    def native(self, compute: Compute) -> bool:
        """Say whether the chip has a matrix unit for a format."""
        return self._listed(compute) is not None

    def flop_rate(self, compute: Compute) -> float:
        """Give the peak dense matrix rate usable for a format.

        Parameters
        ----------
        compute : {"fp16", "fp8", "fp4", "int8"}
            Format that the operands are stored in.

        Returns
        -------
        float
            FLOP/s. The 16-bit rate where the chip has no unit for the format: kernels widen the operands first.
        """
        return (self._listed(compute) or self.fp16_tflops) * TERA

    def _listed(self, compute: Compute) -> float | None:
        rates: dict[Compute, float | None] = {
            "fp16": self.fp16_tflops,
            "fp8": self.fp8_tflops,
            "fp4": self.fp4_tflops,
            "int8": self.int8_tops,
        }
        return rates[compute]


class Verifier(Card):
    """The model that is served, and that verifies drafts.

    Attributes
    ----------
    params_b, active_params_b : float
        Parameters, and those used for a token (10^9); the same for a dense model.
    layers, hidden_size, attention_heads, vocab_size : int
        Shape.
    full_attention_layers : int
        Layers whose cache grows with the context (fewer than `layers` where some attend to a window); default all.
    kv_heads, head_dim : int or None
        Grouped-query attention: cached heads and their size.
    latent_dim : int or None
        Multi-head latent attention: elements cached per token and layer. It excludes kv_heads and head_dim.
    n_experts, top_k_experts, n_shared_experts : int or None
        Routed experts per sparse layer, those a token is routed to, and those every token uses (in the dense part).
    expert_params_b : float
        Parameters in routed experts (10^9); 0 for a dense model.
    tied_embeddings : bool
        Whether the output layer is the input embedding.
    kept_16bit_params_b, kept_16bit_params_b_fp4 : float
        Parameters outside routed experts that a quantised checkpoint leaves at 16 bits (10^9); the second, where given,
        for 4-bit formats.
    family : str
        Family of the card.
    estimated : bool
        Whether shape and cache were estimated from parameter counts instead of read from a card.
    """

    family: str = ""
    params_b: Positive
    active_params_b: Positive
    layers: Count
    full_attention_layers: Count
    hidden_size: Count
    attention_heads: Count
    kv_heads: Count | None = None
    head_dim: Count | None = None
    latent_dim: Count | None = None
    vocab_size: Count
    n_experts: Count | None = None
    top_k_experts: Count | None = None
    n_shared_experts: Annotated[int, Field(ge=0)] = 0
    expert_params_b: NonNegative = 0.0
    tied_embeddings: bool = False
    kept_16bit_params_b: NonNegative = 0.0
    kept_16bit_params_b_fp4: NonNegative | None = None
    estimated: bool = False

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, values: dict) -> dict:
        filled = dict(values)
        if "params_b" in filled:
            filled.setdefault("active_params_b", filled["params_b"])
        if "layers" in filled:
            filled.setdefault("full_attention_layers", filled["layers"])
        return filled

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for wrong, words in self._contradictions():
            if wrong:
                raise ValueError(words)
        return self

    def _contradictions(self) -> list[tuple[bool, str]]:
        m, experts = self.top_k_experts, self.n_experts
        grouped = self.kv_heads is not None and self.head_dim is not None
        sparse = experts is not None and m is not None
        return [
            (
                (m is None) != (experts is None),
                "n_experts and top_k_experts go together: give both or neither",
            ),
            (sparse and (m or 0) > (experts or 0), f"top_k_experts {m} is more than n_experts {experts}"),
            (
                sparse != (self.expert_params_b > 0),
                "expert_params_b goes with n_experts: give both or neither",
            ),
            (self.active_params_b > self.params_b, "active_params_b is more than params_b"),
            (
                not sparse and self.active_params_b != self.params_b,
                "active_params_b differs, but n_experts is missing",
            ),
            (self.expert_params_b >= self.params_b, "expert_params_b is not less than params_b"),
            (self.full_attention_layers > self.layers, "full_attention_layers is more than layers"),
            (grouped == (self.latent_dim is not None), "give either kv_heads and head_dim, or latent_dim"),
            (
                max(self.kept_16bit_params_b, self.kept_16bit_params_b_fp4 or 0.0)
                > self.dense_params_b * 1.001,
                "kept_16bit_params_b is more than the parameters outside the experts",
            ),
            (
                self.embedding_params_b > self.dense_params_b,
                "vocab_size x hidden_size is more than the parameters",
            ),
        ]

    @property
    def is_moe(self) -> bool:
        """Whether it has routed experts."""
        return self.n_experts is not None

    @property
    def dense_params_b(self) -> float:
        """Parameters outside routed experts, 10^9."""
        return self.params_b - self.expert_params_b

    @property
    def embedding_params_b(self) -> float:
        """Parameters of one embedding (vocabulary x hidden size), 10^9."""
        return self.vocab_size * self.hidden_size / GIGA

    @property
    def idle_embedding_params_b(self) -> float:
        """Input embedding that a step does not read (it looks up rows), 10^9; 0 where the output layer is the same."""
        return 0.0 if self.tied_embeddings else self.embedding_params_b

    def _kept_b(self, precision: Precision) -> float:
        narrow = precision.weights.bits_per_param < 6
        if narrow and self.kept_16bit_params_b_fp4 is not None:
            return self.kept_16bit_params_b_fp4
        return min(self.kept_16bit_params_b, self.dense_params_b)

    def dense_step_bytes(self, precision: Precision) -> float:
        """Give the weight bytes that every verify step reads: all but routed experts and the input embedding.

        Parameters
        ----------
        precision : Precision
            Number formats of the deployment.

        Returns
        -------
        float
            Bytes over all GPUs of a tensor-parallel group.
        """
        kept = max(self._kept_b(precision) - self.idle_embedding_params_b, 0.0)
        quantised = max(self.dense_params_b - self.idle_embedding_params_b - kept, 0.0)
        per_param = precision.weights.bytes_per_param
        return GIGA * (quantised * per_param + kept * max(EMBEDDING_BYTES, per_param))

    def expert_bytes(self, precision: Precision) -> float:
        """Give the weight bytes of all routed experts: what a step reads at full coverage (0 for a dense model).

        Parameters
        ----------
        precision : Precision
            Number formats of the deployment.

        Returns
        -------
        float
            Bytes over all GPUs of a tensor-parallel group.
        """
        return GIGA * self.expert_params_b * precision.weights.bytes_per_param

    def weight_bytes(self, precision: Precision) -> float:
        """Give the bytes that all weights take in memory, over all GPUs of a tensor-parallel group.

        Parameters
        ----------
        precision : Precision
            Number formats of the deployment.

        Returns
        -------
        float
            Bytes.
        """
        idle = GIGA * self.idle_embedding_params_b * max(EMBEDDING_BYTES, precision.weights.bytes_per_param)
        return self.dense_step_bytes(precision) + self.expert_bytes(precision) + idle

    @property
    def kv_elements_per_token(self) -> int:
        """Elements that one more token of context adds to the cache, over all layers and all GPUs."""
        per_layer = self.latent_dim or 2 * (self.kv_heads or 0) * (self.head_dim or 0)
        return self.full_attention_layers * per_layer

    def kv_bytes_per_token(self, precision: Precision) -> float:
        """Give the bytes that one more token of context adds to the cache (one copy of it).

        Parameters
        ----------
        precision : Precision
            Number formats of the deployment.

        Returns
        -------
        float
            Bytes.
        """
        return self.kv_elements_per_token * precision.kv.bytes_per_element

    def kv_shards(self, tp: int) -> int:
        """Give by how much tensor parallelism divides the cache that one GPU holds and reads.

        Parameters
        ----------
        tp : int
            Tensor-parallel size, GPUs.

        Returns
        -------
        int
            ``min(tp, kv_heads)``: heads are split, and repeated once there are more GPUs than heads. 1 for latent
            attention, whose vector every GPU needs whole.
        """
        return 1 if self.kv_heads is None else min(tp, self.kv_heads)


class Drafter(Card):
    """What proposes tokens.

    Attributes
    ----------
    method : str
        ``eagle``, ``eagle3``, ``mtp``, ``draft_model``, ``ngram``, ``suffix``, ``medusa`` or ``mlp_speculator``.
    params_b : float
        Its own parameters (10^9); 0 where there is no model.
    active_params_b : float
        Those a draft step uses for a token (10^9); the same unless it is sparse.
    shared_params_b : float
        The verifier's output layer, where each draft step reads that one (10^9).
    verifiers : tuple of str
        Verifiers that it was made for; empty means any.
    layers, hidden_size, vocab_size : int or None
        Shape; None where there is no model.
    family : str
        Family of the card it was listed in.
    estimated : bool
        Whether the parameters were estimated instead of read from a card.
    """

    family: str = ""
    method: Method
    params_b: NonNegative
    active_params_b: NonNegative
    shared_params_b: NonNegative = 0.0
    verifiers: Names = ()
    layers: Count | None = None
    hidden_size: Count | None = None
    vocab_size: Count | None = None
    estimated: bool = False

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, values: dict) -> dict:
        filled = dict(values)
        if "params_b" in filled:
            filled.setdefault("active_params_b", filled["params_b"])
        return filled

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.active_params_b > self.params_b:
            raise ValueError("active_params_b is more than params_b")
        if self.method == "none":
            raise ValueError("method none has no drafter")
        if (self.params_b == 0) != (self.method in ("ngram", "suffix")):
            raise ValueError(f"params_b is {self.params_b:g}, which method {self.method} cannot have")
        return self

    def step_bytes(self, bytes_per_param: float = 2.0) -> float:
        """Give the weight bytes that one draft step reads for one sequence.

        Parameters
        ----------
        bytes_per_param : float
            Stored bytes of a drafter weight; drafters are nearly always served at 16 bits.

        Returns
        -------
        float
            Bytes over all GPUs that share the drafter.
        """
        return GIGA * (self.active_params_b * bytes_per_param + self.shared_params_b * EMBEDDING_BYTES)


class Family(BaseModel):
    """The verifiers and drafters of one card file.

    Attributes
    ----------
    name : str
        Name of the family, and of its measurement table.
    verifiers, drafters : tuple of str
        Canonical names.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    verifiers: tuple[str, ...]
    drafters: tuple[str, ...]
