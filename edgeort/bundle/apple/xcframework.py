"""An XCFramework of static libraries: a folder for the phone and one for the simulator, each with the C headers.

MODULE.xcframework/
  Info.plist                                         which folder is for what
  ios-arm64/libPREFIX.a, Headers/MODULE/             iPhone and iPad
  ios-arm64_x86_64-simulator/libPREFIX.a, Headers/MODULE/

Xcode copies libraries and headers of all packages of an app to one place, and links them as one program: files, and
names in libraries, are called after the model. C and Swift call functions as edgeort.h has them: the headers of a
package say what they are called in its library.
"""

from __future__ import annotations

import plistlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgeort import toolchain
from edgeort.bundle.apple import fat
from edgeort.progress import Progress, within

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


def files(
    module: str, prefix: str, kernels: Sequence[str], parts: Sequence[str] = (), progress: Progress | None = None
) -> dict[str, bytes]:
    """The framework of a runtime with those kernels, by path; `parts` of it are toolchain.TEXT, SIGNATURE.

    `module` is what Swift imports, `prefix` stands before names in the libraries.
    """
    library, framework = f"lib{prefix}.a", f"{module}.xcframework"
    names = ["edgeort.h", *(f"edgeort_{part}.h" for part in parts)]
    headers = {name: header(name, prefix).encode() for name in names}
    headers["module.modulemap"] = _modulemap(module, names).encode()
    found, entries = {}, []
    for one in SLICES:
        made = {arch: _library(one.os, arch, kernels, parts, prefix, progress) for arch in one.archs}
        found[f"{framework}/{one.folder}/{library}"] = fat.join(made)
        found |= {f"{framework}/{one.folder}/Headers/{module}/{name}": data for name, data in headers.items()}
        entries.append(one.entry(library))
    about = {"AvailableLibraries": entries, "CFBundlePackageType": "XFWK", "XCFrameworkFormatVersion": "1.0"}
    return {f"{framework}/Info.plist": plistlib.dumps(about, sort_keys=True), **found}


def header(name: str, prefix: str) -> str:
    """A header of the C API, for a library whose names have that prefix."""
    text = (toolchain.RUNTIME / "include" / name).read_text(encoding="utf-8")
    label = rf'\1 __asm__("_{prefix}_\2");'
    return re.sub(r"^(EDGEORT_API [^(;]*?\b(edgeort_\w+)\([^;]*);", label, text, flags=re.MULTILINE)


def _library(
    os: str, arch: str, kernels: Sequence[str], parts: Sequence[str], prefix: str, progress: Progress | None
) -> bytes:
    to = toolchain.target(os, arch)
    levels = toolchain.held_levels(kernels, to.levels)
    told = within(f"{os} {arch}", progress)
    return toolchain.library(to, kernels, levels, parts, prefix=prefix, progress=told).read_bytes()


def _modulemap(module: str, headers: Sequence[str]) -> str:
    lines = "".join(f'  header "{name}"\n' for name in headers)
    return f"module {module} {{\n{lines}  export *\n}}\n"
