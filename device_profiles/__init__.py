"""Device profiles: one TOML file a device, checked when it is loaded.

    >>> from edgeort import device_profiles
    >>> pi = device_profiles.load("raspberrypi4")
    >>> pi.target.arch, pi.cpu.isa, pi.cpu.cores, pi.cpu.qemu, pi.runtime.threads
    ('aarch64', ('neon',), 4, 'cortex-a72', 4)

`host` is this machine, detected when it is loaded. A new device is one new file in this folder.
"""

from __future__ import annotations

from edgeort.device_profiles.loader import load, names, parse
from edgeort.device_profiles.profile import (
    ISA_LEVELS,
    OS_ARCHS,
    PROVIDER_OSES,
    Budget,
    Cluster,
    Cpu,
    Device,
    EngineRates,
    KernelRate,
    Measured,
    Memory,
    Profile,
    Runtime,
    Target,
    Transport,
)

__all__ = [
    "ISA_LEVELS",
    "OS_ARCHS",
    "PROVIDER_OSES",
    "Budget",
    "Cluster",
    "Cpu",
    "Device",
    "EngineRates",
    "KernelRate",
    "Measured",
    "Memory",
    "Profile",
    "Runtime",
    "Target",
    "Transport",
    "load",
    "names",
    "parse",
]
