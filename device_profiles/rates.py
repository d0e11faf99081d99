"""How many multiply-adds a core does, where a profile does not say: by its best ISA level, at most, a cycle.

Computed: lanes of a vector x multiply-add instructions a cycle of a usual core of the level (for Arm the Cortex-A72 and
A76). They rank layers by cost and promise no latency; a profile that knows its core better overrides them.
"""

from __future__ import annotations

from edgeort.device_profiles.profile import Profile

# ISA level -> multiply-adds a cycle of one core in (float32, int8).
MACS_PER_CYCLE: dict[str, tuple[float, float]] = {
    "neon32": (2, 4),  # vmla on 64 bits a cycle; vmlal on bytes
    "neon": (4, 8),  # one fmla on 128 bits a cycle (A72); smull and sadalp on 16 bytes in two
    "fp16": (4, 8),  # says nothing of these two
    "dotprod": (8, 32),  # two pipes of 128 bits (A76): fmla, sdot
    "i8mm": (8, 64),  # smmla: twice sdot
    "v3": (16, 32),  # two ports of 256 bits: vfmadd, vpmaddwd on widened bytes
    "v4": (32, 64),  # the same on 512 bits
    "avx_vnni": (16, 64),  # vpdpbusd on 256 bits
    "avx512_vnni": (32, 128),  # vpdpbusd on 512 bits
}


def macs_per_ms(profile: Profile) -> tuple[float, float]:
    """Multiply-adds in a millisecond in float32 and in int8, on the profile's threads."""
    known = [MACS_PER_CYCLE[level] for level in profile.cpu.isa]
    cluster, cpu = profile.cpu.clusters[0], profile.cpu
    cycles = cluster.mhz * 1000.0 * min(profile.runtime.threads, cpu.cores)
    float32 = cpu.float32_macs_per_cycle or max(rates[0] for rates in known)
    int8 = cpu.int8_macs_per_cycle or max(rates[1] for rates in known)
    return cycles * float32, cycles * int8
