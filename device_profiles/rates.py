"""How many multiply-adds a core does, where a profile does not say: by its best ISA level, at most, a cycle.

Computed: lanes of a vector x multiply-add instructions a cycle of a usual core of the level (for Arm the Cortex-A72 and
A76). Measured: int8 without a dot product on x86-64, against float32, and WebAssembly. They rank layers by cost and
promise no latency; a profile that knows its core better overrides them.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeort.device_profiles.profile import Profile

# ISA level -> multiply-adds a cycle of one core in (float32, int8).
MACS_PER_CYCLE: dict[str, tuple[float, float]] = {
    "m4f": (0.22, 0.6),  # vfma.f32 takes three cycles (M4), vldr two; smlad: two products, its bytes as many more
    "neon32": (2, 4),  # vmla on 64 bits a cycle; vmlal on bytes
    "neon": (4, 8),  # one fmla on 128 bits a cycle (A72); smull and sadalp on 16 bytes in two
    "fp16": (4, 8),  # says nothing of these two
    "dotprod": (8, 32),  # two pipes of 128 bits (A76): fmla, sdot
    "i8mm": (8, 64),  # smmla: twice sdot
    "wasm": (7, 9),  # measured in V8 on Zen 4: f32x4.mul and .add; i32x4.dot_i16x8_s on widened bytes
    "wasm_relaxed": (8, 9),  # the same, two multiply-adds on 128 bits
    "v3": (16, 26),  # two ports of 256 bits: vfmadd; vpmaddubsw on bytes: measured, of 32 at most
    "v4": (32, 40),  # the same on 512 bits
    "avx_vnni": (16, 64),  # vpdpbusd on 256 bits
    "avx512_vnni": (32, 128),  # vpdpbusd on 512 bits
}


@dataclass(frozen=True)
class CoreRates:
    """Multiply-adds of one core a cycle."""

    float32: float
    int8: float


def macs_per_cycle(profile: Profile) -> CoreRates:
    """The profile's own rates, or those of its best ISA level."""
    known, cpu = [MACS_PER_CYCLE[level] for level in profile.cpu.isa], profile.cpu
    float32 = cpu.float32_macs_per_cycle or max(rates[0] for rates in known)
    return CoreRates(float32, cpu.int8_macs_per_cycle or max(rates[1] for rates in known))


def macs_per_ms(profile: Profile) -> tuple[float, float]:
    """Multiply-adds in a millisecond in float32 and in int8, on the profile's threads."""
    cycles = profile.cpu.clusters[0].mhz * 1000.0 * min(profile.runtime.threads, profile.cpu.cores)
    rates = macs_per_cycle(profile)
    return cycles * rates.float32, cycles * rates.int8
