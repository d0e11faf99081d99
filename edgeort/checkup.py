"""What works on this machine: compiler, emulator, providers' packages, converters."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from typing import Any

from edgeort import providers, zig
from edgeort.devices import node
from edgeort.errors import EdgeortError
from edgeort.providers.adapted import installed

# What a package is for, its name in PyPI, the extra that brings it.
_PACKAGES = (
    ("pictures as data", "pillow", "images"),
    ("edgeort lint", "lief", "stores"),
    ("edgeort sign", "cryptography", "sign"),
    ("Android devices, --on adb", "adbutils", "adb"),
    ("PyTorch models", "torch", "torch"),
    ("TensorFlow, Keras and LiteRT models", "tf2onnx", "tensorflow"),
    ("tables of sweeps", "pyarrow", "sweep"),
    ("sweeps over several processes or machines", "distributed", "sweep"),
)
_PROGRAMS = (
    ("Arm bundles, emulated", ("qemu-aarch64-static", "qemu-aarch64"), "apt install qemu-user-static"),
    ("devices over ssh, --on ssh", ("ssh",), "apt install openssh-client"),
    ("the .aar of edgeort package --android", ("javac",), "apt install default-jdk-headless"),
    ("coroutines in that .aar", ("kotlinc",), "put Kotlin's compiler on PATH: github.com/JetBrains/kotlin/releases"),
)


@dataclass(frozen=True)
class Finding:
    """One thing, whether it works here, what was found or is missing, and the command that would help."""

    what: str
    works: bool
    detail: str
    remedy: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


def examine() -> list[Finding]:
    """Every finding, those that all builds need first."""
    return [_compiler(), _host(), *map(_provider, providers.PROVIDERS), _browser(), *_programs(), *_packages()]


def _compiler() -> Finding:
    try:
        return Finding("compiler", True, zig.version())
    except EdgeortError as error:
        return Finding("compiler", False, str(error), error.hint)


def _host() -> Finding:
    from edgeort import device_profiles

    try:
        profile = device_profiles.load("host")
    except EdgeortError as error:
        return Finding("models on this machine", False, str(error), error.hint)
    return Finding("models on this machine", True, f"{profile.device.title}: {' '.join(profile.cpu.isa)}")


def _provider(provider: providers.Provider) -> Finding:
    what = f"provider {provider.name}"
    missing = provider.missing()
    if missing is None:
        return Finding(what, True, provider.describe())
    detail, _, remedy = missing.partition(": ")
    return Finding(what, False, detail, remedy or None)


def _browser() -> Finding:
    what = "browsers' bundles, run here"
    try:
        return Finding(what, True, node.Node().name)
    except EdgeortError as error:
        return Finding(what, False, str(error), error.hint)


def _programs() -> list[Finding]:
    found = []
    for what, names, remedy in _PROGRAMS:
        path = next(filter(None, map(shutil.which, names)), None)
        found.append(Finding(what, path is not None, path or f"{names[0]} is not installed", None if path else remedy))
    return found


def _packages() -> list[Finding]:
    found = []
    for what, package, extra in _PACKAGES:
        version = installed(package)
        detail = f"{package} {version}" if version else f"{package} is not installed"
        found.append(Finding(what, version is not None, detail, None if version else f"pip install 'edgeort[{extra}]'"))
    return found
