"""What Linux tells about this machine: /proc/cpuinfo, /proc/meminfo and sysfs. Every function takes the file system's
root, so that the files of another machine can be read in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_ROOT = Path("/")

# The flags of /proc/cpuinfo that make up a level of the runtime's kernels (x86-64 psABI, table of micro-architecture
# levels; Arm: arch/arm64/include/uapi/asm/hwcap.h). A level counts only with the one it stands on, listed before it.
_LEVEL_FLAGS: dict[str, tuple[tuple[str, str | None, frozenset[str]], ...]] = {
    "x86_64": (
        ("v3", None, frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"})),
        ("v4", "v3", frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})),
        ("avx_vnni", "v3", frozenset({"avx_vnni"})),
        ("avx512_vnni", "v4", frozenset({"avx512_vnni"})),
    ),
    "aarch64": (
        ("neon", None, frozenset({"asimd"})),
        ("dotprod", "neon", frozenset({"asimddp"})),
        ("fp16", "neon", frozenset({"asimdhp", "fphp"})),
        ("i8mm", "dotprod", frozenset({"i8mm"})),
    ),
    "armv7": (("neon32", None, frozenset({"neon", "vfpv4"})),),
}

# CPU part numbers of Arm's own cores (implementer 0x41), as the kernel's arch/arm64/include/asm/cputype.h lists them.
_ARM_PARTS = {
    0xD03: "Cortex-A53", 0xD04: "Cortex-A35", 0xD05: "Cortex-A55", 0xD07: "Cortex-A57", 0xD08: "Cortex-A72",
    0xD09: "Cortex-A73", 0xD0A: "Cortex-A75", 0xD0B: "Cortex-A76", 0xD0C: "Neoverse-N1", 0xD0D: "Cortex-A77",
    0xD40: "Neoverse-V1", 0xD41: "Cortex-A78", 0xD42: "Cortex-A78AE", 0xD44: "Cortex-X1", 0xD46: "Cortex-A510",
    0xD47: "Cortex-A710", 0xD48: "Cortex-X2", 0xD49: "Neoverse-N2", 0xD4D: "Cortex-A715", 0xD4E: "Cortex-X3",
    0xD4F: "Neoverse-V2", 0xD80: "Cortex-A520", 0xD81: "Cortex-A720", 0xD82: "Cortex-X4",
}  # fmt: skip

Info = list[dict[str, str]]


def cpuinfo(root: Path = _ROOT) -> Info:
    """The blocks of /proc/cpuinfo as dicts with lower-case keys; an absent file gives an empty list."""
    return parse_cpuinfo(_text(root / "proc/cpuinfo"))


def parse_cpuinfo(text: str) -> Info:
    """The same of a device's file."""
    blocks = text.split("\n\n")
    lines = [[line.partition(":") for line in block.splitlines()] for block in blocks]
    return [{key.strip().lower(): value.strip() for key, _, value in block} for block in lines if block]


def isa(arch: str, info: Info) -> list[str]:
    """The ISA levels that every core has, in the order of the table."""
    flags = [set(block.get("flags", block.get("features", "")).split()) for block in info if "processor" in block]
    common = set.intersection(*flags) if flags else set()
    if "asimd" in common:  # a 64-bit kernel shows its 64-bit names to a 32-bit process too
        common |= {"neon", "vfpv4"}
    levels: list[str] = []
    for level, base, needed in _LEVEL_FLAGS[arch]:
        if needed <= common and (base is None or base in levels):
            levels.append(level)
    return levels


def clusters(cpus: list[int], info: Info, root: Path = _ROOT) -> tuple[list[dict[str, Any]], int | None]:
    """Clusters of equal cores among the logical CPUs `cpus`, and the size of the level-3 cache in KiB (None: not told).
    What the kernel does not tell is None in a cluster; threads of one core count once."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    l3_kb: int | None = None
    blocks = {block["processor"]: block for block in info if "processor" in block}
    seen: set[str] = set()
    for cpu in cpus:
        folder = root / f"sys/devices/system/cpu/cpu{cpu}"
        siblings = _text(folder / "topology/thread_siblings_list").strip() or str(cpu)
        if siblings in seen:
            continue
        seen.add(siblings)
        sizes, l2_shared = _caches(folder, siblings)
        l3_kb = max(filter(None, (l3_kb, sizes.get(3))), default=None)
        block = blocks.get(str(cpu), {})
        mhz = _mhz(folder, block)
        core = {"name": _core_name(block), "l1d_kb": sizes.get(1), "l2_kb": sizes.get(2), "l2_shared": l2_shared}
        # favoured cores and present clocks differ by a few MHz within one cluster
        key = (*core.values(), None if mhz is None else round(mhz / 500))
        cluster = found.setdefault(key, {**core, "cores": 0, "mhz": None})
        cluster["cores"] += 1
        cluster["mhz"] = max(filter(None, (cluster["mhz"], mhz)), default=None)
    return list(found.values()), l3_kb


def ram_mb(root: Path = _ROOT) -> int | None:
    """Size of main memory, MiB."""
    for line in _text(root / "proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) >> 10
    return None


def cpu_quota(root: Path = _ROOT) -> int | None:
    """Whole CPUs that the container's cgroup (version 2) grants, at least 1; None: no limit."""
    quota, _, period = _text(root / "sys/fs/cgroup/cpu.max").partition(" ")
    return max(1, int(quota) // int(period)) if quota.isdigit() else None


def model(info: Info) -> str | None:
    """What the kernel calls the processor or the board."""
    for key in ("model", "model name"):  # Arm boards write "Model" once; x86 has a number under that name
        for block in reversed(info):
            if not block.get(key, "0").isdigit():
                return block[key]
    return None


def _core_name(block: dict[str, str]) -> str | None:
    if "cpu part" in block and block.get("cpu implementer") == "0x41":
        return _ARM_PARTS.get(int(block["cpu part"], 16))
    return block.get("model name")


def _mhz(folder: Path, block: dict[str, str]) -> int | None:
    """Highest clock, MHz: cpufreq's, else the present one of /proc/cpuinfo (what a virtual machine has)."""
    khz = _text(folder / "cpufreq/cpuinfo_max_freq").strip()
    if khz.isdigit():
        return int(khz) // 1000
    now = block.get("cpu mhz")
    return round(float(now)) if now else None


def _caches(folder: Path, siblings: str) -> tuple[dict[int, int], bool]:
    """Sizes in KiB of data and unified caches by level; whether other cores share the level-2 cache."""
    sizes: dict[int, int] = {}
    l2_shared = False
    for index in sorted((folder / "cache").glob("index*")):
        level, size = _text(index / "level").strip(), _text(index / "size").strip()
        if _text(index / "type").strip() == "Instruction" or not level.isdigit() or not size.endswith("K"):
            continue
        sizes[int(level)] = int(size[:-1])
        if level == "2":
            l2_shared = _text(index / "shared_cpu_list").strip() not in ("", siblings)
    return sizes, l2_shared


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
