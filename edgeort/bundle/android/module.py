"""The Gradle library module: sources, libraries and the plan in the places where the Android plugin looks for them."""

from __future__ import annotations

import re
from pathlib import Path

from edgeort.bundle.android import names
from edgeort.bundle.manifest import Manifest

SOURCES = Path(__file__).parent / "sources"
MIN_SDK = 24
_TEMPLATE = "edgeort.model"  # the package in the sources here

_BUNDLED = """\
package {package};

/** What stands in this package. */
final class Bundled {{
    static final String LIBRARY = "{library}";
    static final String ASSET = "{asset}";
    static final int THREADS = {threads};

    private Bundled() {{}}
}}
"""
MANIFEST = """\
<?xml version="1.0" encoding="utf-8"?>
<manifest xmlns:android="http://schemas.android.com/apk/res/android"{package}>
    <uses-sdk android:minSdkVersion="{min_sdk}" />
</manifest>
"""
_MANIFEST = """\
<?xml version="1.0" encoding="utf-8"?>
<manifest xmlns:android="http://schemas.android.com/apk/res/android" />
"""
_GRADLE = """\
// The model {model} for Android. In settings.gradle.kts: include(":{identifier}")
plugins {{
    id("com.android.library")
    id("org.jetbrains.kotlin.android")
}}

android {{
    namespace = "{package}"
    compileSdk = 35

    defaultConfig {{
        minSdk = {min_sdk}
        consumerProguardFiles("consumer-rules.pro")
    }}

    compileOptions {{
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }}

    kotlinOptions {{
        jvmTarget = "1.8"
    }}
}}
"""
_RULES = """\
# The library finds these by their names.
-keep class {package}.Native {{ native <methods>; }}
-keep class {package}.EdgeortException {{ <init>(java.lang.String); }}
"""


def sources(manifest: Manifest) -> dict[str, bytes]:
    """The Java and Kotlin of the package, by their paths below a root of sources."""
    package = names.java_package(manifest.model)
    about = {"library": names.library(manifest.model), "asset": names.asset(manifest.model)}
    bundled = _BUNDLED.format(package=package, threads=manifest.threads, **about)
    paths = (path for path in SOURCES.iterdir() if path.suffix in (".java", ".kt"))
    found = {path.name: _named(path.read_text(encoding="utf-8"), package) for path in paths}
    folder = package.replace(".", "/")
    return {f"{folder}/{name}": text.encode() for name, text in sorted({**found, "Bundled.java": bundled}.items())}


def _named(source: str, package: str) -> str:
    return re.sub(rf"^package {_TEMPLATE}\b", f"package {package}", source, flags=re.MULTILINE)


def rules(manifest: Manifest) -> bytes:
    """What ProGuard and R8 must keep."""
    return _RULES.format(package=names.java_package(manifest.model)).encode()


def files(manifest: Manifest, libraries: dict[str, Path], plan: Path) -> dict[str, bytes | Path]:
    """The module, by paths in its folder. `libraries` by ABI."""
    package, identifier = names.java_package(manifest.model), names.identifier(manifest.model)
    told = " ".join(manifest.model.split())  # a comment, of one line whatever the name
    gradle = _GRADLE.format(model=told, package=package, identifier=identifier, min_sdk=MIN_SDK)
    found: dict[str, bytes | Path] = {
        "build.gradle.kts": gradle.encode(),
        "consumer-rules.pro": rules(manifest),
        "src/main/AndroidManifest.xml": _MANIFEST.encode(),
        f"src/main/assets/{names.asset(manifest.model)}": plan,
    }
    for name, text in sources(manifest).items():
        found[f"src/main/{'kotlin' if name.endswith('.kt') else 'java'}/{name}"] = text
    for abi, library in libraries.items():
        found[f"src/main/jniLibs/{abi}/lib{names.library(manifest.model)}.so"] = library
    return found
