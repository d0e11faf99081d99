"""What a device that nobody has probed will do, from its clock, its ISA levels and how well kernels use others.

Every kernel gets the share of a core's multiply-adds, the bytes and the cycles a call that were found by `edgeort
profiles probe` on an x86-64 core with AVX-512 (AMD Zen 4, 2026-11-29; its clock is told by its measured peak, of 32
operations a cycle). Caches, memory and pipelines of other cores differ: such an estimate ranks layers, and nobody knows
by how much it is off. Rates of kernels that the same blocks use are found together: a StemConv's bytes are also those
of the MaxPool that it streams into. A WinogradStemConv has a StemConv's, but 2.5 times the share: it was so much faster
on another AMD EPYC, for 64 channels of 224x224 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeort.device_profiles.profile import KernelRate, Measured, Profile
from edgeort.device_profiles.rates import macs_per_cycle

_PARALLEL = 0.93  # of what a thread does alone, each of several does


@dataclass(frozen=True)
class Efficiency:
    """Of a kernel on one core: the share of its multiply-adds (Winograd's is of those that it saves, too), the bytes a
    cycle, and the cycles a call; None: it is not bound by that."""

    share: float | None
    bytes_per_cycle: float | None
    cycles: int
    is_int8: bool = False


EFFICIENCIES: dict[str, Efficiency] = {
    "Attention": Efficiency(0.76, 16.0, 0),
    "Conv": Efficiency(0.89, None, 7500),
    "DepthwiseConv": Efficiency(1.0, 11.0, 680),
    "DynamicQGemm": Efficiency(0.94, 8.8, 12600, is_int8=True),
    "Elementwise": Efficiency(None, 7.6, 0),
    "Functions": Efficiency(0.044, None, 0),
    "Gemm": Efficiency(1.0, 10.0, 3800),
    "GlobalAveragePool": Efficiency(None, 5.1, 40500),
    "MaxPool": Efficiency(None, None, 23400),
    "QConv": Efficiency(0.93, 10.0, 9900, is_int8=True),
    "QDepthwiseConv": Efficiency(0.25, 11.0, 0, is_int8=True),
    "QGemm": Efficiency(0.15, None, 0, is_int8=True),
    "QStemConv": Efficiency(0.5, None, 23800, is_int8=True),
    "Resize": Efficiency(None, 7.0, 0),
    "StemConv": Efficiency(0.95, 15.0, 6500),
    "Transpose": Efficiency(None, 1.1, 0),
    "WinogradConv": Efficiency(3.3, 2.6, 0),
    "WinogradStemConv": Efficiency(2.4, 15.0, 6500),
}


def estimated(profile: Profile) -> Measured:
    """As if the device had been probed; `on` is empty."""
    cores = macs_per_cycle(profile)
    ghz, threads = profile.cpu.clusters[0].mhz * 1e-3, profile.runtime.threads
    many = 1.0 if threads == 1 else threads * _PARALLEL
    kernels = [_rate(op, kind, profile, count) for count in sorted({1, threads}) for op, kind in EFFICIENCIES.items()]
    return Measured(
        on="",
        threads=threads,
        float32_gflops=2 * ghz * cores.float32,
        float32_gflops_all=2 * ghz * cores.float32 * many,
        int8_gops=2 * ghz * cores.int8,
        int8_gops_all=2 * ghz * cores.int8 * many,
        bandwidth_gbs=profile.memory.bandwidth_gbs,
        bandwidth_gbs_all=profile.memory.bandwidth_gbs,
        kernels=tuple(kernels),
    )


def _rate(op: str, found: Efficiency, profile: Profile, threads: int) -> KernelRate:
    cores = macs_per_cycle(profile)
    ghz = profile.cpu.clusters[0].mhz * 1e-3
    many = 1.0 if threads == 1 else threads * _PARALLEL
    peak = ghz * (cores.int8 if found.is_int8 else cores.float32) * many
    return KernelRate(
        op,
        threads,
        us=found.cycles / ghz * 1e-3,
        gmacs=None if found.share is None else found.share * peak,
        gbs=None if found.bytes_per_cycle is None else found.bytes_per_cycle * ghz * many,
    )
