"""The library of each ABI: the runtime with the plan's kernels at every ISA level, and the native methods of Java."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgeort import toolchain
from edgeort.bundle.android import names
from edgeort.bundle.manifest import Manifest
from edgeort.errors import InputError
from edgeort.progress import Progress, within

# Android's names of the architectures (https://developer.android.com/ndk/guides/abis).
ABIS = {"arm64-v8a": "aarch64", "armeabi-v7a": "armv7", "x86_64": "x86_64"}


def chosen(abis: Sequence[str]) -> tuple[str, ...]:
    """Those of `abis`, or all; InputError names one that does not exist."""
    for abi in abis:
        if abi not in ABIS:
            raise InputError(f"--abi {abi}: Android has {', '.join(ABIS)}", hint=f"--abi {next(iter(ABIS))}")
    return tuple(abi for abi in ABIS if not abis or abi in abis)


def binding(model: str, file_name: str) -> toolchain.Binding:
    """The native methods for the classes of that model's package."""
    package = names.java_package(model).replace(".", "/")
    flags = (f'-DEDGEORT_PACKAGE="{package}"',)
    return toolchain.Binding(toolchain.RUNTIME / "bindings/android", flags, file_name)


def library(manifest: Manifest, abi: str, progress: Progress | None = None) -> Path:
    """The stripped library of that ABI; `progress` hears how far a long compilation is."""
    to = toolchain.target("android", ABIS[abi])
    levels = toolchain.held_levels(manifest.kernels, to.levels)
    name = f"lib{names.library(manifest.model)}.so"
    bound = binding(manifest.model, name)
    return toolchain.library(to, manifest.kernels, levels, binding=bound, progress=within(abi, progress))
