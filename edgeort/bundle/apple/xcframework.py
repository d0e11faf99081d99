"""An XCFramework of static libraries: a folder for the phone and one for the simulator, each with the C headers.

CEdgeort.xcframework/
  Info.plist                                  which folder is for what
  ios-arm64/libedgeort.a, Headers/            iPhone and iPad
  ios-arm64_x86_64-simulator/libedgeort.a, Headers/
"""

from __future__ import annotations

import plistlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgeort import toolchain
from edgeort.bundle.apple import fat

NAME = "CEdgeort.xcframework"
MODULE = "CEdgeort"  # what Swift imports
_ARCHS = {"aarch64": "arm64", "x86_64": "x86_64"}  # as Apple names them


@dataclass(frozen=True)
class Slice:
    """A folder: the operating system of its targets in targets.py, and what Apple calls that."""

    os: str
    archs: tuple[str, ...]
    variant: str = ""

    @property
    def folder(self) -> str:
        """Its name, which Xcode reads nothing from."""
        archs = "_".join(_ARCHS[arch] for arch in self.archs)
        return f"ios-{archs}{self.variant and f'-{self.variant}'}"

    def entry(self, library: str) -> dict[str, Any]:
        """What Info.plist says of it."""
        entry = {
            "BinaryPath": library,
            "HeadersPath": "Headers",
            "LibraryIdentifier": self.folder,
            "LibraryPath": library,
            "SupportedArchitectures": [_ARCHS[arch] for arch in self.archs],
            "SupportedPlatform": "ios",
        }
        return {**entry, "SupportedPlatformVariant": self.variant} if self.variant else entry


SLICES = (Slice("ios", ("aarch64",)), Slice("ios-simulator", ("aarch64", "x86_64"), "simulator"))


def files(kernels: Sequence[str], parts: Sequence[str] = ()) -> dict[str, bytes]:
    """The framework of a runtime with those kernels, by path; `parts` of it are toolchain.TEXT, SIGNATURE."""
    names = ["edgeort.h", *(f"edgeort_{part}.h" for part in parts)]
    headers = {name: (toolchain.RUNTIME / "include" / name).read_bytes() for name in names}
    headers["module.modulemap"] = _modulemap(names).encode()
    found, entries = {}, []
    for one in SLICES:
        made = {arch: _library(one.os, arch, kernels, parts) for arch in one.archs}
        library = toolchain.target(one.os, one.archs[0]).library
        found[f"{NAME}/{one.folder}/{library}"] = fat.join(made)
        found |= {f"{NAME}/{one.folder}/Headers/{name}": data for name, data in headers.items()}
        entries.append(one.entry(library))
    about = {"AvailableLibraries": entries, "CFBundlePackageType": "XFWK", "XCFrameworkFormatVersion": "1.0"}
    return {f"{NAME}/Info.plist": plistlib.dumps(about, sort_keys=True), **found}


def _library(os: str, arch: str, kernels: Sequence[str], parts: Sequence[str]) -> bytes:
    to = toolchain.target(os, arch)
    return toolchain.library(to, kernels, toolchain.held_levels(kernels, to.levels), parts).read_bytes()


def _modulemap(headers: Sequence[str]) -> str:
    lines = "".join(f'  header "{name}"\n' for name in headers)
    return f"module {MODULE} {{\n{lines}  export *\n}}\n"
