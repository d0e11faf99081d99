"""The package for Android: a Gradle library module and the same as an .aar.

    NAME/             module: Java and Kotlin sources, jniLibs/ABI/, the plan among the assets, rules for R8
    NAME.aar          where a JDK is here, which compiles its classes
    README.md         how an app uses either
    licences/         what is in the libraries

One plan serves every ABI: how weights are packed depends on no target (lowering/layout.py, PANEL), and every library
has the kernels that the plan names, at each ISA level of its architecture. Which layers are int8 was chosen for the
bundle's device.
"""

from __future__ import annotations

from edgeort.bundle import notices
from edgeort.bundle.android import aar, compiling, module, names, native, readme
from edgeort.bundle.packages import Package, Wishes
from edgeort.bundle.reading import Bundle
from edgeort.elements import NAMES, STRING
from edgeort.errors import UnsupportedError
from edgeort.progress import Progress
from edgeort.toolchain import held_levels, target

# ElementType.java has these.
_TYPES = frozenset((*NAMES[: NAMES.index("bfloat16") + 1], NAMES[STRING]))


def package(bundle: Bundle, wishes: Wishes, progress: Progress | None = None) -> Package:
    """The package of a bundle for any device. UnsupportedError for another provider, or a type that Java lacks."""
    abis, manifest = native.chosen(wishes.abis), bundle.manifest
    _check(bundle)
    libraries = {abi: native.library(manifest, abi, progress) for abi in abis}
    licences = notices.files(manifest, with_harness=False)
    name = names.identifier(manifest.model)
    contents = {f"{name}/{path}": data for path, data in module.files(manifest, libraries, bundle.artefact).items()}
    how = readme.text(manifest, has_aar=compiling.has_javac(), has_coroutines=compiling.has_kotlinc())
    contents |= {**licences, "README.md": how.encode()}
    notes = _notes(bundle)
    if compiling.has_javac():
        classes = compiling.classes_jar(module.sources(manifest), names.library(manifest.model))
        contents[f"{name}.aar"] = aar.aar(manifest, classes, libraries, bundle.artefact, licences[notices.NOTICE])
    about = {"abis": list(abis), "java_package": names.java_package(manifest.model), "tools": compiling.versions()}
    rows = [("classes", f"{names.java_package(manifest.model)}.EdgeortModel")]
    for abi, library in libraries.items():
        levels = held_levels(manifest.kernels, target("android", native.ABIS[abi]).levels)
        rows.append((abi, f"{library.stat().st_size / 1000:.1f} kB, {', '.join(levels)}"))
    return Package(contents, about, tuple(rows), tuple(notes))


def _check(bundle: Bundle) -> None:
    manifest = bundle.manifest
    if manifest.provider != "cpu":
        raise UnsupportedError(
            f"{bundle.path}: its model runs by {manifest.provider}; packages have the runtime of edgeort alone",
            hint="edgeort build MODEL --device android-arm64 --provider cpu",
        )
    for value in (*manifest.inputs, *manifest.outputs):
        if value.dtype not in _TYPES:
            raise UnsupportedError(
                f"{bundle.path}: {value.text()}: the classes for Android have no such tensors",
                hint="the C API has them: include/edgeort.h in the bundle",
            )


def _notes(bundle: Bundle) -> list[str]:
    manifest, notes = bundle.manifest, []
    if not compiling.has_javac():
        notes.append(f"{compiling.NO_JDK} (apt install default-jdk-headless)")
    elif not compiling.has_kotlinc():
        notes.append(compiling.NO_KOTLIN)
    if manifest.target.os != "android":
        notes.append(f"which layers are int8 was chosen for {manifest.device}; for phones: --device android-arm64")
    if manifest.tokenizer:
        notes.append("the tokenizer of the bundle is not in the package")
    if "include/edgeort_signature.h" in manifest.files:
        notes.append("the check of signatures (--signatures) is not in the package: it opens plans that no key signed")
    return notes
