"""Hardware: one GPU and what it can do at best."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import model_validator

from bayes_sd.cards.base import GIGA, TERA, Card, Compute, Count, Positive

RANGES: dict[str, tuple[float, float, str]] = {
    "memory_gb": (0.5, 10_000, "10^9 bytes"),
    "bandwidth_gb_per_s": (5, 1_000_000, "10^9 bytes/s"),
    "fp16_tflops": (0.01, 100_000, "10^12/s"),
    "link_gb_per_s": (0.1, 100_000, "10^9 bytes/s"),
}
"""What any chip lies within; a number outside is in another unit."""


HBM_GB_PER_S, GDDR_GB_PER_S = 1100.0, 290.0
"""Bandwidths from which a chip's memory is taken as stacked, and as graphics memory, where its card does not say."""


class Hardware(Card):
    """One GPU.

    Attributes
    ----------
    memory_gb, bandwidth_gb_per_s, link_gb_per_s : float
        Memory (10^9 bytes), its peak bandwidth, and the scale-up link in one direction (10^9 bytes/s).
    node_link_gb_per_s : float
        Link of one GPU to those of other machines in one direction (10^9 bytes/s); by default 400 Gbit/s, a network adapter a
        GPU, which is what such clusters are built with.
    link_peers : int
        Peers that a direct link each adds up to `link_gb_per_s`; None where a switch gives a pair of GPUs all of it.
    memory_kind : {"hbm", "gddr", "shared"}
        Stacked memory of data-centre chips, graphics memory, or memory that a processor shares with its GPU (or that is a
        processor's own); by default by the bandwidth.
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
    node_link_gb_per_s: Positive = 50.0
    link_peers: Count | None = None
    memory_kind: Literal["hbm", "gddr", "shared"]

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, values: dict[str, Any]) -> dict[str, Any]:
        filled = dict(values)
        rate = filled.get("bandwidth_gb_per_s")
        if isinstance(rate, int | float):
            usual = "hbm" if rate >= HBM_GB_PER_S else "gddr" if rate >= GDDR_GB_PER_S else "shared"
            filled.setdefault("memory_kind", usual)
        return filled

    @model_validator(mode="after")
    def _units(self) -> Self:
        for name, (low, high, unit) in RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(
                    f"{name} is {value:g}, in {unit}: no chip has that; is it in another unit (off by 1000)?"
                )
        return self

    @property
    def memory_bytes(self) -> float:
        """Memory of one GPU, bytes."""
        return self.memory_gb * GIGA

    @property
    def bandwidth_bytes_per_s(self) -> float:
        """Peak memory bandwidth of one GPU, bytes/s."""
        return self.bandwidth_gb_per_s * GIGA

    def link_bytes_per_s(self, gpus: int, nodes: int = 1) -> float:
        """Give the link of one GPU to the others of a group, one direction.

        Parameters
        ----------
        gpus : int
            GPUs in the group. Where every pair has a link of its own, a small group cannot use them all.
        nodes : int
            Machines that the group spans: between them the scale-out link is the slower one. A rack whose scale-up link
            joins all its machines counts as one.

        Returns
        -------
        float
            Bytes/s.
        """
        used = 1.0 if self.link_peers is None else min(1.0, max(gpus - 1, 1) / self.link_peers)
        within = self.link_gb_per_s * GIGA * used
        return within if nodes == 1 else min(within, self.node_link_gb_per_s * GIGA)

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
            FLOP/s. The 16-bit rate where the chip has no unit for the format: kernels widen the operands
            first.
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
