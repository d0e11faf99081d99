"""A device profile: what a build has to know about a device.

The dataclasses below are the schema of the TOML files: the loader derives the allowed keys, types, ranges and defaults
from their annotations and from `field(metadata=rule(...))`. A new key is one line here. Sizes are in the unit that
stands in the name (`_kb` = 1024 bytes, `_mb` = 1024 * 1024 bytes, `_gbs` = 10**9 bytes a second).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

# What may stand in `cpu.isa`: the levels the runtime has kernels for, and for each the level that it stands on.
ISA_LEVELS: dict[str, dict[str, str | None]] = {
    "aarch64": {"neon": None, "dotprod": "neon", "fp16": "neon", "i8mm": "dotprod"},
    "armv7": {"neon32": None},
    "armv7em": {"m4f": None},
    "wasm32": {"wasm": None, "wasm_relaxed": "wasm"},
    "x86_64": {"v3": None, "v4": "v3", "avx_vnni": "v3", "avx512_vnni": "v4"},
}

# The combinations of `target.os` and `target.arch` that the toolchain can compile for.
OS_ARCHS: dict[str, tuple[str, ...]] = {
    "linux": ("aarch64", "armv7", "x86_64"),
    "android": ("aarch64", "armv7", "x86_64"),
    "ios": ("aarch64",),
    "macos": ("aarch64", "x86_64"),
    "windows": ("aarch64", "x86_64"),
    "browser": ("wasm32",),
    "none": ("armv7em",),
}

# What may stand in `runtime.providers`, and the operating systems on which each provider exists.
PROVIDER_OSES: dict[str, tuple[str, ...]] = {
    "cpu": tuple(OS_ARCHS),
    "openvino": ("linux", "macos", "windows"),
    "coreml": ("ios", "macos"),
    "litert": tuple(os for os in OS_ARCHS if os != "browser"),
    "directml": ("windows",),
    "cuda": ("linux", "windows"),
    "tensorrt": ("linux", "windows"),
}


def rule(
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    pattern: str | None = None,
    toml: str | None = None,
) -> dict[str, Any]:
    """Metadata of one key: `doc` says what it is; `low`..`high` bound a number, `choices` and `pattern` (a full match)
    restrict a text or each text of a list; `toml` is the key's name in the file where it is not the attribute's."""
    return {"doc": doc, "low": low, "high": high, "choices": choices, "pattern": pattern, "toml": toml}


@dataclass(frozen=True)
class Device:
    """`[device]`: what people call it."""

    title: str = field(metadata=rule("name for people, such as Raspberry Pi 4 Model B", pattern=r".*\S.*"))
    summary: str = field(metadata=rule("one line: which variant the figures describe", pattern=r".*\S.*"))


@dataclass(frozen=True)
class Target:
    """`[target]`: what the compiler compiles for."""

    os: str = field(metadata=rule("operating system", choices=tuple(OS_ARCHS)))
    arch: str = field(metadata=rule("instruction set", choices=tuple(ISA_LEVELS)))
    min_os: str | None = field(
        default=None, metadata=rule("oldest OS version (Android: API level), such as 15.0", pattern=r"\d+(\.\d+)*")
    )
    glibc: str | None = field(
        default=None, metadata=rule("oldest glibc (Linux; absent: musl), such as 2.28", pattern=r"2\.\d+")
    )


@dataclass(frozen=True)
class Cluster:
    """`[[cpu.cluster]]`: cores of one kind; clusters stand in the file from the fastest to the slowest."""

    name: str = field(metadata=rule("the core's name, such as Cortex-A72", pattern=r".*\S.*"))
    cores: int = field(metadata=rule("number of physical cores", low=1, high=1024))
    mhz: int = field(metadata=rule("highest clock, MHz", low=50, high=10_000))
    l1d_kb: int = field(metadata=rule("level-1 data cache per core, KiB; 0: none", low=0, high=4096))
    l2_kb: int = field(metadata=rule("level-2 cache per core (see l2_shared), KiB; 0: none", low=0, high=2**20))
    l2_shared: bool = field(default=False, metadata=rule("l2_kb is one cache for the whole cluster"))


@dataclass(frozen=True)
class Cpu:
    """`[cpu]`: instruction set levels that every core has, clusters, the cache they share."""

    isa: tuple[str, ...] = field(
        metadata=rule(
            "levels of the runtime's kernels that every core can execute",
            choices=tuple(level for levels in ISA_LEVELS.values() for level in levels),
        )
    )
    clusters: tuple[Cluster, ...] = field(metadata=rule("clusters of cores, fastest first", toml="cluster"))
    l3_kb: int | None = field(default=None, metadata=rule("last cache that all cores share, KiB", low=1, high=2**24))
    float32_macs_per_cycle: float | None = field(
        default=None, metadata=rule("multiply-adds of a core a cycle (absent: by ISA level)", low=0.1, high=1e5)
    )
    int8_macs_per_cycle: float | None = field(
        default=None, metadata=rule("multiply-adds of a core a cycle (absent: by ISA level)", low=0.1, high=1e5)
    )
    qemu: str | None = field(
        default=None, metadata=rule("-cpu of qemu-user, such as cortex-a72", pattern=r"[A-Za-z0-9][A-Za-z0-9_.,=-]*")
    )

    @property
    def cores(self) -> int:
        """Number of physical cores of all clusters."""
        return sum(cluster.cores for cluster in self.clusters)


@dataclass(frozen=True)
class Memory:
    """`[memory]`: main memory, shared with whatever else runs on the device."""

    ram_mb: float = field(metadata=rule("size, MiB", low=0.03, high=2**26))
    bandwidth_gbs: float = field(metadata=rule("peak bandwidth, GB/s", low=0.01, high=10_000))


@dataclass(frozen=True)
class Runtime:
    """`[runtime]`: defaults of a build for this device."""

    threads: int = field(metadata=rule("default number of threads", low=1, high=1024))
    providers: tuple[str, ...] = field(metadata=rule("providers, preferred first", choices=tuple(PROVIDER_OSES)))


@dataclass(frozen=True)
class Budget:
    """`[budget]`: limits that a build for this device must keep; an absent one is not checked."""

    latency_ms: float | None = field(default=None, metadata=rule("longest p50 latency, ms", low=0.001, high=1e7))
    size_kb: int | None = field(default=None, metadata=rule("largest bundle, KiB", low=1, high=2**30))
    ram_mb: float | None = field(default=None, metadata=rule("largest peak memory, MiB", low=0.1, high=2**26))
    max_drop: float | None = field(default=None, metadata=rule("largest loss of accuracy, points", low=0, high=100))


@dataclass(frozen=True)
class Transport:
    """`[transport]`: how the device is usually reached."""

    kind: str | None = field(default=None, metadata=rule("way to reach it", choices=("local", "ssh", "adb")))
    hint: str | None = field(default=None, metadata=rule("a usual value of --on, such as ssh:pi@raspberrypi.local"))


@dataclass(frozen=True)
class KernelRate:
    """`[[measured.kernel]]`: what a call of one kernel takes, in microseconds, on so many threads:
    us + multiply-adds / (1000 gmacs) + bytes / (1000 gbs); an absent rate costs nothing."""

    op: str = field(metadata=rule("kernel of the runtime, such as Conv", pattern=r"[A-Za-z][A-Za-z0-9]*"))
    threads: int = field(metadata=rule("number of threads", low=1, high=1024))
    us: float = field(metadata=rule("microseconds a call", low=0, high=1e6))
    gmacs: float | None = field(default=None, metadata=rule("10^9 multiply-adds a second", low=1e-3, high=1e6))
    gbs: float | None = field(default=None, metadata=rule("GB/s of operands and results", low=1e-3, high=1e6))


@dataclass(frozen=True)
class EngineRates:
    """`[[measured.engine]]`: what another engine takes for the work of the runtime's kernels, with the settings that
    edgeort chooses. The kernel `Run` is the call of a run, with the bytes of inputs and outputs.

    `error` is that of `Measured`, of predictions of this engine.
    """

    provider: str = field(metadata=rule("name of the provider", choices=tuple(PROVIDER_OSES)))
    version: str = field(metadata=rule("engine and version, such as openvino 2026.4.1", pattern=r".*\S.*"))
    error: float = field(metadata=rule("error of predictions, 0.1 is 10 %", low=0, high=1e3))
    kernels: tuple[KernelRate, ...] = field(metadata=rule("rates of kernels", toml="kernel"))


@dataclass(frozen=True)
class Measured:
    """`[measured]`: what `edgeort profiles probe` measured on the device. A multiply-add is two operations.

    Figures without `_all` are of one core, the fastest; those with it of `threads` threads together. `error` is the
    median of |predicted / measured - 1| over networks that the rates of the kernels were not found on.
    """

    on: str = field(metadata=rule("day, such as 2026-11-29", pattern=r"\d{4}-\d\d-\d\d"))
    threads: int = field(metadata=rule("threads of the figures of all cores", low=1, high=1024))
    float32_gflops: float = field(metadata=rule("fused multiply-adds, GFLOP/s", low=0.001, high=1e6))
    float32_gflops_all: float = field(metadata=rule("fused multiply-adds, GFLOP/s", low=0.001, high=1e7))
    int8_gops: float = field(metadata=rule("products of int8, sums of int32, Gop/s", low=0.001, high=1e6))
    int8_gops_all: float = field(metadata=rule("products of int8, sums of int32, Gop/s", low=0.001, high=1e7))
    bandwidth_gbs: float = field(metadata=rule("reading main memory, GB/s", low=0.001, high=1e5))
    bandwidth_gbs_all: float = field(metadata=rule("reading main memory, GB/s", low=0.001, high=1e5))
    error: float | None = field(default=None, metadata=rule("error of predictions, 0.1 is 10 %", low=0, high=1e3))
    kernels: tuple[KernelRate, ...] = field(default=(), metadata=rule("rates of kernels", toml="kernel"))
    engines: tuple[EngineRates, ...] = field(default=(), metadata=rule("rates of other engines", toml="engine"))

    def engine(self, provider: str) -> EngineRates | None:
        """The rates of that engine."""
        return next((rates for rates in self.engines if rates.provider == provider), None)


@dataclass(frozen=True)
class Profile:
    """A device, checked. `name` is the file's stem (or `host`); every other attribute is a section of the file."""

    name: str
    device: Device = field(metadata=rule("section"))
    target: Target = field(metadata=rule("section"))
    cpu: Cpu = field(metadata=rule("section"))
    memory: Memory = field(metadata=rule("section"))
    runtime: Runtime = field(metadata=rule("section"))
    budget: Budget = field(default=Budget(), metadata=rule("section"))
    transport: Transport = field(default=Transport(), metadata=rule("section"))
    measured: Measured | None = field(default=None, metadata=rule("section"))

    def to_dict(self) -> dict[str, Any]:
        """The profile as its TOML file has it, in plain dicts and lists, absent keys left out, plus `name`.

        It is what `--json` prints."""
        return _plain(self)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        pairs = ((f.metadata.get("toml") or f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {key: _plain(item) for key, item in pairs if item is not None and item != ()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
