"""`edgeort package --ios`: a Swift package that an Xcode project takes as it is.

    Package.swift
    CEdgeort.xcframework/             the runtime, of bundles of the cpu provider (xcframework.py)
    Sources/Edgeort/*.swift           EdgeortModel, EdgeortTensor (the folder swift/ here)
    Sources/Edgeort/Models.swift      which model is where
    Sources/Edgeort/Resources/        NAME.plan, or NAME.mlpackage of bundles of the coreml provider
    Sources/Edgeort/PrivacyInfo.xcprivacy
    licences/NAME/                    of the bundle

A plan has no code: that of a bundle for another device serves as well.
"""

from __future__ import annotations

import plistlib
import re
from pathlib import Path

from edgeort import toolchain
from edgeort.bundle.apple import swift, xcframework
from edgeort.bundle.packages import Package, Wishes
from edgeort.bundle.reading import Bundle
from edgeort.errors import UnsupportedError

PRIVACY = "PrivacyInfo.xcprivacy"
_PARTS = (toolchain.TEXT, toolchain.SIGNATURE)


def package(bundle: Bundle, wishes: Wishes) -> Package:
    """The Swift package of a bundle. UnsupportedError where the bundle is of another provider, or for macOS alone."""
    model = swift.Model(_resource_name(bundle), bundle)
    contents: dict[str, bytes | Path] = {
        "Package.swift": swift.package_file(model).encode(),
        f"{swift.SOURCES}/Models.swift": swift.models_file(model).encode(),
        f"{swift.SOURCES}/{PRIVACY}": _privacy(),
        **{f"{swift.SOURCES}/{path.name}": path for path in swift.sources(model)},
    }
    contents |= {f"licences/{path.name}": path for path in sorted((bundle.folder / "licences").iterdir())}
    if bundle.manifest.provider == "cpu":
        parts = [part for part in _PARTS if (bundle.folder / f"include/edgeort_{part}.h").exists()]
        contents |= xcframework.files(bundle.manifest.kernels, parts)
        contents[f"{swift.RESOURCES}/{model.file}"] = bundle.artefact
        note = "compiled, and checked object by object; no device of Apple's has run it"
    elif bundle.manifest.provider == "coreml" and bundle.manifest.target.os == "ios":
        root = f"{swift.RESOURCES}/{model.file}"
        files = sorted(path for path in bundle.artefact.rglob("*") if path.is_file())
        contents |= {f"{root}/{path.relative_to(bundle.artefact).as_posix()}": path for path in files}
        note = "checked by an evaluator of the package; no device of Apple's has run it"
    else:
        raise _refusal(bundle)
    rows = (("module", f"{swift.MODULE}, with the model {model.name!r}"), ("iOS", f"{model.min_os} and later"))
    return Package(contents, {"module": swift.MODULE, "name": model.name}, rows, (note,))


def _refusal(bundle: Bundle) -> UnsupportedError:
    manifest = bundle.manifest
    what = f"{bundle.path} runs by {manifest.provider} on {manifest.target.os}, and apps on iOS by cpu or coreml"
    return UnsupportedError(what, hint="edgeort build MODEL --device iphone15 --provider cpu")


def _resource_name(bundle: Bundle) -> str:
    """The model's, in letters that file systems and Xcode agree on."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", bundle.manifest.model)


def _privacy() -> bytes:
    """Apple's privacy manifest: nothing is collected, and no API is called that needs a reason."""
    lists = ("NSPrivacyTrackingDomains", "NSPrivacyCollectedDataTypes", "NSPrivacyAccessedAPITypes")
    return plistlib.dumps({"NSPrivacyTracking": False, **{name: [] for name in lists}}, sort_keys=True)
