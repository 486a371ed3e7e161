"""A checkpoint's ``config.json``: the language model's part of it, with the many names of one field made one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bayes_sd.errors import CardError
from bayes_sd.loading import parse_json, read_text

PARTS = ("text_config", "llm_config", "language_config", "thinker_config", "transformer_layer_config")
"""Where a checkpoint that also sees or hears (or a speculator) keeps its language model's fields."""
SYNONYMS: dict[str, tuple[str, ...]] = {
    "hidden_size": ("hidden_size", "n_embd", "d_model", "dim"),
    "num_hidden_layers": ("num_hidden_layers", "n_layer", "num_layers", "n_layers"),
    "num_attention_heads": ("num_attention_heads", "n_head", "n_heads"),
    "num_key_value_heads": (
        "num_key_value_heads",
        "num_kv_heads",
        "n_kv_heads",
        "multi_query_group_num",
        "num_attention_groups",
    ),
    "head_dim": ("head_dim", "attention_head_dim", "kv_channels"),
    "intermediate_size": ("intermediate_size", "ffn_hidden_size", "n_inner", "ffn_dim"),
    "vocab_size": ("vocab_size", "padded_vocab_size", "n_vocab"),
    "n_experts": ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"),
    # Never "top_k", which is a setting of sampling that some configs repeat.
    "top_k_experts": (
        "num_experts_per_tok",
        "num_experts_per_token",
        "moe_k",
        "moe_topk",
        "moe_top_k",
    ),
    "moe_latent_size": ("moe_latent_size", "routed_expert_hidden_size"),
    "moe_intermediate_size": ("moe_intermediate_size", "expert_ffn_hidden_size"),
    "n_shared_experts": (
        "n_shared_experts",
        "moe_num_shared_experts",
        "num_shared_experts",
        "num_shared_expert",
    ),
    "first_k_dense_replace": ("first_k_dense_replace", "num_dense_layers"),
    "mamba_num_heads": ("mamba_num_heads", "mamba_n_heads"),
    "mamba_head_dim": ("mamba_head_dim", "mamba_d_head"),
    "n_groups": ("n_groups", "mamba_n_groups"),
    "ssm_state_size": ("ssm_state_size", "mamba_d_state"),
    "conv_kernel": ("conv_kernel", "mamba_d_conv"),
    "mtp_layers": ("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules"),
    "index_n_heads": ("sparse_attention_config.sparse_num_index_heads",),
    "index_head_dim": ("sparse_attention_config.sparse_index_dim",),
}
"""Other names of a field; with a dot, of one inside an object."""
NEVER_ZERO = (
    "hidden_size",
    "vocab_size",
    "num_hidden_layers",
    "num_attention_heads",
    "moe_layer_interval",
    "n_predict",
)
MOST: dict[str, float] = {
    "hidden_size": 131_072,
    "num_hidden_layers": 1_000,
    "num_attention_heads": 4_096,
    "num_key_value_heads": 4_096,
    "head_dim": 8_192,
    "vocab_size": 10_000_000,
    "intermediate_size": 1_048_576,
    "moe_intermediate_size": 1_048_576,
    "n_experts": 100_000,
}
"""Above these a field is in another unit, or another field: no published model comes near."""
MOST_OF_ANY = 10_000_000
"""The same of a field that has none of its own."""


@dataclass(frozen=True)
class Config:
    """The fields of one language model.

    Attributes
    ----------
    where : str
        File, for messages.
    values : mapping
        Fields of the language model.
    outer : mapping
        Fields of the whole file; the same where there is no part for the language model.
    seen : set of str
        Fields that were looked up, in all their spellings.
    """

    where: str
    values: Mapping[str, Any]
    outer: Mapping[str, Any] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set, compare=False, repr=False)

    @property
    def model_type(self) -> str:
        """The architecture's own name, without the ending ``_text``."""
        return str(self.values.get("model_type") or self.outer.get("model_type") or "").removesuffix("_text")

    @property
    def architecture(self) -> str:
        """The first class named in ``architectures``, or ""."""
        names = self.outer.get("architectures") or self.values.get("architectures") or [""]
        return str(names[0]) if isinstance(names, list) and names else ""

    def has(self, name: str) -> bool:
        """Say whether a field is there and not null."""
        return self._raw(name) is not None

    def raw(self, name: str, default: Any = None) -> Any:
        """Give a field as it stands, from the language model's part before the whole file."""
        found = self._raw(name)
        return default if found is None else found

    def whole(self, name: str, default: int | None = None) -> int:
        """Give a field that must be a whole number from 0 up.

        Parameters
        ----------
        name : str
            A key of :data:`SYNONYMS`, or a field's own name.
        default : int or None
            Value of a field that is missing; None means that it is needed.

        Returns
        -------
        int

        Raises
        ------
        CardError
            If it is needed and missing, no whole number, negative, or larger than any model has.
        """
        found = self._raw(name)
        if isinstance(found, list) and found and all(value == found[0] for value in found):
            found = found[0]  # one a layer, and all the same
        if found is None:
            if default is None:
                raise CardError(
                    f"{self.where}: no field {name!r}, without which nothing can be counted: "
                    f"give it with --set {name}=NUMBER"
                )
            return default
        if (
            isinstance(found, bool)
            or not isinstance(found, int | float)
            or not 0 <= found < 1e18
            or found % 1
        ):
            raise CardError(f"{self.where}: {name} is {found!r}: it must be a whole number from 0 up")
        if name in NEVER_ZERO and found == 0:
            raise CardError(f"{self.where}: {name} is 0")
        most = MOST.get(name, MOST_OF_ANY)
        if found > most:
            raise CardError(
                f"{self.where}: {name} is {found:g}, more than any model has ({most:g}): "
                "is it in another unit?"
            )
        return int(found)

    def flag(self, name: str, default: bool = False) -> bool:
        """Give a field that is true or false."""
        found = self._raw(name)
        if found is None:
            return default
        if found not in (True, False):
            raise CardError(f"{self.where}: {name} is {found!r}: it must be true or false")
        return bool(found)

    def mapping(self, name: str) -> Mapping[str, Any]:
        """Give a field that is an object, empty where it is missing."""
        found = self._raw(name)
        if found is None:
            return {}
        if not isinstance(found, dict):
            raise CardError(f"{self.where}: {name} is {found!r}: it must be an object")
        return found

    def numbers(self, name: str) -> list[int]:
        """Give a field that is a list of whole numbers, empty where it is missing."""
        found = self._raw(name)
        if found is None:
            return []
        if not isinstance(found, list) or not all(isinstance(n, int) for n in found):
            raise CardError(f"{self.where}: {name} must be a list of whole numbers")
        return found

    def words(self, name: str) -> Sequence[str] | None:
        """Give a field that is a list of words, None where it is missing."""
        found = self._raw(name)
        if found is None:
            return None
        if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
            raise CardError(f"{self.where}: {name} must be a list of words")
        return found

    def _raw(self, name: str) -> Any:
        self.seen.update((name, *SYNONYMS.get(name, ())))
        for source in (self.values, self.outer):
            for spelling in (name, *SYNONYMS.get(name, ())):
                outer, dot, inner = spelling.partition(".")
                found = source.get(outer)
                if dot:
                    found = found.get(inner) if isinstance(found, dict) else None
                if found is not None:
                    return found
        return None


def read_config(path: str | Path, given: Mapping[str, Any] | None = None) -> Config:
    """Read a ``config.json``, or the folder of a checkpoint that holds one.

    The formats that NVIDIA's ModelOpt wrote into ``hf_quant_config.json`` beside it are taken too.

    Parameters
    ----------
    path : path-like
        The file or folder.
    given : mapping, optional
        Fields to add or replace, as ``{"hidden_size": 4096}``.

    Returns
    -------
    Config

    Raises
    ------
    CardError
        If there is no such file, or it is not a JSON object.
    """
    file = Path(path)
    file = file / "config.json" if os.path.isdir(file) else file
    content = read_json(file)
    beside = file.with_name("hf_quant_config.json")
    if "quantization_config" not in json_keys(content) and file.name == "config.json" and beside.is_file():
        stated = read_json(beside).get("quantization")
        if isinstance(stated, dict):
            content = {**content, "quantization_config": {"quant_method": "modelopt", **stated}}
    return config_of(content, str(file), given)


def json_keys(content: Mapping[str, Any]) -> set[str]:
    """Give the names of all fields, those of the language model's part included."""
    parts = [content[name] for name in PARTS if isinstance(content.get(name), dict)]
    return set(content).union(*(json_keys(part) for part in parts))


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object, or say in one line why there is none."""
    content = parse_json(read_text(file, CardError), str(file), CardError)
    if not isinstance(content, dict):
        raise CardError(f"{file}: not a JSON object: give a checkpoint's config.json")
    return content


def config_of(content: Mapping[str, Any], where: str, given: Mapping[str, Any] | None = None) -> Config:
    """Take the language model's part of a config, with a user's own fields on top.

    Parameters
    ----------
    content : mapping
        What a ``config.json`` holds.
    where : str
        Where it comes from, for messages.
    given : mapping, optional
        Fields to add or replace.

    Returns
    -------
    Config
    """
    part: Any = content
    while inner := next((part[name] for name in PARTS if isinstance(part.get(name), dict)), None):
        part = inner
    values = dict(part)
    for name, value in (given or {}).items():
        for spelling in SYNONYMS.get(name, (name,)):
            values.pop(spelling, None)
        values[name] = value
    return Config(where, values, content)
