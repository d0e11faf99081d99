"""The shipped profiles: all load, say what the devices are, and give their sources."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from edgeort import device_profiles

FOLDER = Path(device_profiles.__file__).parent
ROOT = FOLDER.parent.parent
SHIPPED = [name for name in device_profiles.names() if name != "host"]
EXPECTED = {
    "raspberrypi3", "raspberrypi4", "raspberrypi5", "raspberrypi-zero-2w", "jetson-orin-nano", "rk3588", "pixel8",
    "galaxy-s24", "android-arm64", "android-armv7", "android-x86_64", "iphone15", "macbook-m", "intel-nuc", "cortex-m4",
    "intel-n100", "windows-laptop", "x86-64", "arm64", "browser", "cortex-m7",
}  # fmt: skip

# What QEMU's CPU models have, of the levels that a profile can name (QEMU 7.2, target/arm/cpu64.c).
QEMU_ISA = {
    "cortex-a7": {"neon32"},
    "cortex-a53": {"neon"},
    "cortex-a72": {"neon"},
    "cortex-a76": {"neon", "dotprod", "fp16"},
    "max": {"neon", "dotprod", "fp16", "i8mm"},
}


def test_the_promised_devices_are_there():
    assert set(SHIPPED) == EXPECTED
    assert device_profiles.names()[0] == "host"


@pytest.mark.parametrize("name", SHIPPED)
def test_loads_and_to_dict_is_the_file(name: str):
    profile = device_profiles.load(name)
    assert profile.name == name
    table = profile.to_dict()
    assert table.pop("name") == name
    written = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    for section, keys in written.items():
        for key, value in keys.items():
            if key == "cluster":
                value = [{"l2_shared": False, **cluster} for cluster in value]
            assert table[section][key] == value
    assert device_profiles.parse(table, name=name, file="again") == profile


@pytest.mark.parametrize("name", SHIPPED)
def test_every_figure_gives_its_source(name: str):
    for number, line in enumerate((FOLDER / f"{name}.toml").read_text(encoding="utf-8").splitlines(), start=1):
        figure = re.match(r"(cores|mhz|l1d_kb|l2_kb|l3_kb|ram_mb|bandwidth_gbs|isa|glibc|min_os) *=", line)
        assert not figure or " # " in line, f"{name}.toml:{number}: a figure without a source"
        assert len(line) <= 120, f"{name}.toml:{number}"


def test_emulated_cpus_are_known_to_qemu():
    programs = [path for path in map(shutil.which, ("qemu-aarch64-static", "qemu-arm-static")) if path]
    if len(programs) < 2:
        pytest.skip("qemu-aarch64-static is not installed (apt install qemu-user-static)")
    # QEMU prints the list and exits with 1
    told = [subprocess.run([path, "-cpu", "help"], capture_output=True, text=True, check=False) for path in programs]
    assert set(QEMU_ISA) <= {word for done in told for word in done.stdout.split()}


@pytest.mark.parametrize("name", SHIPPED)
def test_emulated_cpu_has_the_levels_of_the_profile_and_no_more(name: str):
    profile = device_profiles.load(name)
    if profile.target.arch in ("aarch64", "armv7") and profile.target.os in ("linux", "android"):
        assert profile.cpu.qemu is not None
        assert QEMU_ISA[profile.cpu.qemu] == set(profile.cpu.isa)
    elif profile.target.os == "none":
        assert profile.cpu.qemu == "max"  # user mode runs no core of Cortex-M
    else:
        assert profile.cpu.qemu is None


def test_a_raspberry_pi_4():
    pi = device_profiles.load("raspberrypi4")
    assert (pi.target.os, pi.target.arch, pi.target.glibc) == ("linux", "aarch64", "2.28")
    assert (pi.cpu.isa, pi.cpu.cores, pi.cpu.qemu, pi.runtime.threads) == (("neon",), 4, "cortex-a72", 4)
    assert pi.cpu.clusters[0].l2_shared
    assert pi.budget == device_profiles.Budget()


def test_cores_are_summed_over_clusters():
    assert device_profiles.load("rk3588").cpu.cores == 8


def test_a_profile_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        device_profiles.load("arm64").name = "other"  # type: ignore[misc]


def test_import_is_light():
    code = "import sys, edgeort.device_profiles; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"numpy", "onnx", "onnx_ir", "onnxscript", "onnxruntime", "rich", "typer"} & set(done.stdout.split())
