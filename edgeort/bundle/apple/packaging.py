"""`edgeort package --ios`: a Swift package that an Xcode project takes as it is.

    Package.swift
    CMODULE.xcframework/             the runtime, of bundles of the cpu provider (xcframework.py)
    Sources/MODULE/*.swift           EdgeortModel, EdgeortTensor (the folder swift/ here)
    Sources/MODULE/Models.swift      which model is where
    Sources/MODULE/Resources/        NAME.plan, or NAME.mlpackage of bundles of the coreml provider
    Sources/MODULE/PrivacyInfo.xcprivacy
    README.md                        how an app uses it
    licences/

MODULE is named after the model, so that an app may have several packages. A plan has no code: that of a bundle for
another device serves as well.
"""

from __future__ import annotations

import plistlib
import re
from dataclasses import replace
from pathlib import Path

from edgeort import toolchain
from edgeort.bundle import notices
from edgeort.bundle.apple import readme, swift, xcframework
from edgeort.bundle.packages import Package, Wishes
from edgeort.bundle.reading import Bundle
from edgeort.bundle.writing import Contents
from edgeort.errors import UnsupportedError
from edgeort.progress import Progress

PRIVACY = "PrivacyInfo.xcprivacy"
_PARTS = (toolchain.TEXT, toolchain.SIGNATURE)


def package(bundle: Bundle, wishes: Wishes, progress: Progress | None = None) -> Package:
    """The Swift package of a bundle. UnsupportedError where its provider does not run on iOS, or Swift lacks a type."""
    model = swift.Model(re.sub(r"[^A-Za-z0-9._-]", "_", bundle.manifest.model), bundle)
    if bundle.manifest.provider == "cpu":
        own, note = _plan(model, progress), "compiled, and its objects checked; no device of Apple's has run them"
    elif bundle.manifest.provider == "coreml" and bundle.manifest.target.os == "ios":
        own, note = _core_ml(model), "made and checked off Apple's systems; no device of theirs has run it"
    else:
        raise _refusal(bundle)
    contents: Contents = {
        **own,
        "README.md": readme.text(model).encode(),
        "Package.swift": swift.package_file(model).encode(),
        f"{model.sources}/Models.swift": swift.models_file(model).encode(),
        f"{model.sources}/{PRIVACY}": _privacy(),
        **{f"{model.sources}/{name}": text.encode() for name, text in swift.sources(model).items()},
    }
    rows = (("module", f"{model.module}, with the model {model.name!r}"), ("iOS", f"{model.min_os} and later"))
    return Package(contents, {"module": model.module, "name": model.name}, rows, (note,))


def _plan(model: swift.Model, progress: Progress | None) -> dict[str, bytes | Path]:
    bundle, manifest = model.bundle, model.bundle.manifest
    for value in (*manifest.inputs, *manifest.outputs):
        if value.dtype not in swift.TYPES:
            raise UnsupportedError(
                f"{bundle.path}: {value.text()}: the Swift API has no such tensors",
                hint="the C API has them: include/edgeort.h in the bundle",
            )
    parts = [part for part in _PARTS if (bundle.folder / f"include/edgeort_{part}.h").exists()]
    licences = notices.files(replace(manifest, library="libedgeort.a"), with_harness=False)
    framework = xcframework.files(model.c_module, model.module.lower(), manifest.kernels, parts, progress)
    return {**licences, **framework, f"{model.resources}/{model.file}": bundle.artefact}


def _core_ml(model: swift.Model) -> dict[str, bytes | Path]:
    package, licences = model.bundle.artefact, model.bundle.folder / "licences"
    files = {f"licences/{path.name}": path for path in licences.iterdir()}
    inside = (path for path in package.rglob("*") if path.is_file())
    return {
        **files,
        **{f"{model.resources}/{model.file}/{path.relative_to(package).as_posix()}": path for path in inside},
    }


def _refusal(bundle: Bundle) -> UnsupportedError:
    manifest = bundle.manifest
    what = f"{bundle.path} runs by {manifest.provider} on {manifest.target.os}, and apps on iOS by cpu or coreml"
    return UnsupportedError(what, hint="edgeort build MODEL --device iphone15 --provider cpu")


def _privacy() -> bytes:
    """Apple's privacy manifest: nothing is collected, and no API is called that needs a reason."""
    lists = ("NSPrivacyTrackingDomains", "NSPrivacyCollectedDataTypes", "NSPrivacyAccessedAPITypes")
    return plistlib.dumps({"NSPrivacyTracking": False, **{name: [] for name in lists}}, sort_keys=True)
