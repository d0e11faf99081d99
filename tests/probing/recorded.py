"""What devices tell, as the program in runtime/probe prints it: the texts of /proc and /sys in short."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

V3 = "fpu sse2 ssse3 fma cx16 movbe popcnt xsave avx f16c abm bmi1 avx2 bmi2"
V4 = f"{V3} avx512f avx512dq avx512cd avx512bw avx512vl"
A53 = "fp asimd evtstrm crc32 cpuid"
A76 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
V9 = f"{A76} sve sve2 svei8mm bf16 i8mm"
HWCAP = {A53: 0x887, A76: 0x119FFF, V9: 0x1119FFF}  # asimd 1, fphp 9, asimdhp 10, asimddp 20


def arm(parts: Sequence[str], features: str, model: str = "") -> str:
    """/proc/cpuinfo of a 64-bit Arm kernel; a part for each core."""
    block = (
        "processor\t: {}\nBogoMIPS\t: 108.00\nFeatures\t: {}\nCPU implementer\t: 0x41\nCPU architecture: 8\n"
        "CPU variant\t: 0x0\nCPU part\t: {}\nCPU revision\t: 3\n"
    )
    text = "\n".join(block.format(index, features, part) for index, part in enumerate(parts))
    return text + (f"\nHardware\t: BCM2835\nRevision\t: c03111\nModel\t\t: {model}\n" if model else "")


def x86(cores: int, name: str, flags: str) -> str:
    block = (
        "processor\t: {}\nvendor_id\t: GenuineIntel\nmodel\t\t: 151\nmodel name\t: {}\ncpu MHz\t\t: 2100.000\n"
        "flags\t\t: {}\n"
    )
    return "\n".join(block.format(index, name, flags) for index in range(cores))


def cpu(number: int, khz: int, capacity: int | None = None, caches: dict[int, str] | None = None) -> dict[str, str]:
    """sysfs of a core; caches: level -> size."""
    at = f"/sys/devices/system/cpu/cpu{number}"
    files = {f"{at}/cpufreq/cpuinfo_max_freq": f"{khz}\n", f"{at}/topology/thread_siblings_list": f"{number}\n"}
    files |= {} if capacity is None else {f"{at}/cpu_capacity": f"{capacity}\n"}
    for index, (level, size) in enumerate((caches or {}).items()):
        about = {"level": str(level), "size": size, "shared_cpu_list": str(number)}
        about["type"] = "Data" if level == 1 else "Unified"
        files |= {f"{at}/cache/index{index}/{name}": f"{text}\n" for name, text in about.items()}
    return files


def told(cpuinfo: str, isa: Sequence[str], cores: int, files: dict[str, str], hwcap: int = 0) -> dict[str, Any]:
    everything = {"/proc/cpuinfo": cpuinfo, "/proc/meminfo": "MemTotal:        3884096 kB\n", **files}
    return {
        "isa": list(isa),
        "hwcap": hwcap,
        "hwcap2": 0,
        "cpus": list(range(cores)),
        "kernel": "6.6.31",
        "files": everything,
    }


def _same(cores: int, khz: int, caches: dict[int, str] | None = None) -> dict[str, str]:
    return {name: text for number in range(cores) for name, text in cpu(number, khz, None, caches).items()}


_PI3, _PI4, _PI5 = (
    "Raspberry Pi 3 Model B Plus Rev 1.3",
    "Raspberry Pi 4 Model B Rev 1.4",
    "Raspberry Pi 5 Model B Rev 1.0",
)
_PI4_FILES = {**_same(4, 1_800_000, {1: "32K", 2: "1024K"}), "/proc/device-tree/model": _PI4}
_PI5_FILES = _same(4, 2_400_000, {1: "64K", 2: "512K", 3: "2048K"})
_PHONE = ("0xd46",) * 4 + ("0xd4d",) * 4 + ("0xd4e",)
_PHONE_CORES = [(1700_000, 220)] * 4 + [(2367_000, 760)] * 4 + [(2914_000, 1024)]
_PHONE_FILES = {name: text for number, core in enumerate(_PHONE_CORES) for name, text in cpu(number, *core).items()}
_I5, _N100 = "Intel(R) Core(TM) i5-6500", "Intel(R) N100"
_I5_FILES = _same(2, 3_600_000, {1: "32K", 2: "256K", 3: "6144K"})
_N100_FILES = _same(4, 3_400_000, {1: "32K", 2: "2048K"})

DEVICES: dict[str, dict[str, Any]] = {
    "pi3": told(arm(["0xd03"] * 4, A53, _PI3), ["neon"], 4, _same(4, 1_400_000), HWCAP[A53]),
    "pi4": told(arm(["0xd08"] * 4, A53), ["neon"], 4, _PI4_FILES, HWCAP[A53]),
    "pi5": told(arm(["0xd0b"] * 4, A76, _PI5), ["neon", "dotprod"], 4, _PI5_FILES, HWCAP[A76]),
    "phone": told(arm(_PHONE, V9), ["neon", "dotprod", "i8mm"], 9, _PHONE_FILES, HWCAP[V9]),
    "v3": told(x86(2, _I5, V3), ["v3"], 2, _I5_FILES),
    "vnni": told(x86(4, _N100, f"{V3} avx_vnni"), ["v3", "avx_vnni"], 4, _N100_FILES),
    "v4": told(x86(1, "Intel(R) Xeon(R)", f"{V4} avx512_vnni"), ["v3", "v4", "avx512_vnni"], 1, {}),
}
