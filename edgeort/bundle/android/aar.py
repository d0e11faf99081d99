"""The .aar: what `implementation(files("NAME.aar"))` takes (https://developer.android.com/studio/projects/android-library)."""

from __future__ import annotations

from pathlib import Path

from edgeort.bundle.android import module, names
from edgeort.bundle.android.archive import archive
from edgeort.bundle.manifest import Manifest

_METADATA = """\
aarFormatVersion=1.0
aarMetadataVersion=1.0
minCompileSdk={min_sdk}
"""


def aar(manifest: Manifest, classes: bytes, libraries: dict[str, Path], plan: Path, notice: bytes) -> bytes:
    """The archive. `classes` is classes.jar, `libraries` are by ABI."""
    package, asset = names.java_package(manifest.model), f"assets/{names.asset(manifest.model)}"
    xml = module.MANIFEST.format(package=f'\n    package="{package}"', min_sdk=module.MIN_SDK)
    files = {
        "AndroidManifest.xml": xml.encode(),
        "META-INF/NOTICE.txt": notice,
        "META-INF/com/android/build/gradle/aar-metadata.properties": _METADATA.format(min_sdk=module.MIN_SDK).encode(),
        "R.txt": b"",
        "classes.jar": classes,
        asset: plan.read_bytes(),
        "proguard.txt": module.rules(manifest),
    }
    for abi, library in libraries.items():
        files[f"jni/{abi}/lib{names.library(manifest.model)}.so"] = library.read_bytes()
    # Classes are compressed in the archive, once; a plan hardly gets smaller, and must not be in an app.
    return archive(dict(sorted(files.items())), stored=(asset,))
