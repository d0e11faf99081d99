"""Rules of .apk and .aar files.

Sources: developer.android.com on target API levels, 64-bit support, 16 KB page sizes, app manifests and AAR files.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgeort.lint.rule import Rule, listed
from edgeort.lint.rules.android import PAGE, PUBLIC
from edgeort.lint.subjects import AndroidArchive, Member

TARGET = 36  # what Google Play takes since 31 August 2026
MACHINES = {"arm64-v8a": "aarch64", "armeabi-v7a": "arm", "x86_64": "x86_64", "x86": "i386"}
_WIDER = {"armeabi-v7a": "arm64-v8a", "x86": "x86_64"}
_V2_FROM = (
    30  # target API level from which a signature of scheme 2 is needed, and resources.arsc must not be compressed
)
_STORED_FROM = 23  # minSdk from which the default of extractNativeLibs is false


def native(archive: AndroidArchive) -> list[tuple[str, Member]]:
    """(ABI, file) of every native library of an app."""
    parts = [(name.split("/"), member) for name, member in archive.members.items()]
    return [(at[1], member) for at, member in parts if at[0] == "lib" and len(at) == 3 and at[2].endswith(".so")]


def _no_manifest(archive: AndroidArchive) -> Iterator[str]:
    if archive.manifest is None:
        yield "it has no AndroidManifest.xml"
    elif not archive.manifest.package and not archive.is_app:
        yield "its AndroidManifest.xml has no package"


def _wide(archive: AndroidArchive) -> Iterator[str]:
    for narrow, wide in _WIDER.items():
        if narrow in archive.libraries and wide not in archive.libraries:
            yield f"it has libraries for {narrow} and none for {wide}"


def _same_libraries(archive: AndroidArchive) -> Iterator[str]:
    names = {abi: {one.file_name for one in libraries} for abi, libraries in archive.libraries.items()}
    everywhere = set().union(*names.values())
    for abi, own in names.items():
        if everywhere - own:
            yield f"{abi} lacks {listed(everywhere - own)}, which another ABI has"


def _machine(archive: AndroidArchive) -> Iterator[str]:
    for abi, libraries in archive.libraries.items():
        if abi not in MACHINES:
            yield f"'{abi}' is no ABI; those are {', '.join(MACHINES)}"
            continue
        for library in libraries:
            if library.machine != MACHINES[abi]:
                yield f"{library.file_name} in {abi} is for {library.machine}"


def _missing(archive: AndroidArchive) -> Iterator[str]:
    for abi, libraries in archive.libraries.items():
        there = {library.file_name for library in libraries} | PUBLIC.keys()
        for library in libraries:
            absent = [name for name in library.needed if name not in there and "/" not in name and ".so." not in name]
            if absent:
                yield f"{library.file_name} in {abi} needs {listed(absent)}"


def _missing_in_app(archive: AndroidArchive) -> Iterator[str]:
    if archive.is_app:
        yield from _missing(archive)


def _missing_in_library(archive: AndroidArchive) -> Iterator[str]:
    if not archive.is_app:
        yield from _missing(archive)


def _built_for(archive: AndroidArchive) -> Iterator[str]:
    lowest = archive.manifest.min_sdk if archive.manifest else None
    for abi, libraries in archive.libraries.items():
        for library in libraries:
            if lowest is not None and (library.built_api or 0) > lowest:
                built = f"{library.file_name} in {abi} was built for API level {library.built_api}"
                yield f"{built}; minSdkVersion is {lowest}"


def _alignment(archive: AndroidArchive) -> Iterator[str]:
    for abi, member in native(archive):
        page = PAGE if abi in _WIDER.values() else 4096
        if member.is_stored and member.offset % page:
            yield f"{member.name} begins at byte {member.offset}, which is no multiple of {page}"


def _extracts(archive: AndroidArchive) -> bool:
    """Whether the libraries are unpacked as the app is installed."""
    manifest = archive.manifest
    if manifest is None or manifest.extracts_libraries is None:
        return manifest is None or (manifest.min_sdk or 1) < _STORED_FROM
    return manifest.extracts_libraries


def _compressed(archive: AndroidArchive) -> list[str]:
    return [member.name for _, member in native(archive) if not member.is_stored]


def _compressed_refused(archive: AndroidArchive) -> Iterator[str]:
    if _compressed(archive) and not _extracts(archive):
        yield f"{listed(_compressed(archive))} are compressed, and extractNativeLibs is false"


def _compressed_twice(archive: AndroidArchive) -> Iterator[str]:
    if archive.is_app and _compressed(archive) and _extracts(archive):
        yield f"{listed(_compressed(archive))} are compressed"


def _target(archive: AndroidArchive) -> Iterator[str]:
    if not archive.is_app or archive.manifest is None:
        return
    target = archive.manifest.target_sdk or archive.manifest.min_sdk or 1  # the defaults of a manifest
    if target < TARGET:
        yield f"its targetSdkVersion is {target}"


def _levels(archive: AndroidArchive) -> Iterator[str]:
    manifest = archive.manifest
    if manifest and manifest.min_sdk and manifest.target_sdk and manifest.min_sdk > manifest.target_sdk:
        yield f"its minSdkVersion, {manifest.min_sdk}, is above its targetSdkVersion, {manifest.target_sdk}"


def _debuggable(archive: AndroidArchive) -> Iterator[str]:
    if archive.manifest and archive.manifest.is_debuggable:
        yield "its manifest says android:debuggable"


def _test_only(archive: AndroidArchive) -> Iterator[str]:
    if archive.manifest and archive.manifest.is_test_only:
        yield "its manifest says android:testOnly"


def _signature(archive: AndroidArchive) -> Iterator[str]:
    if not archive.is_app or "v2" in archive.signatures:
        return
    if "v1" not in archive.signatures:
        yield "it is not signed"
    elif archive.manifest and (archive.manifest.target_sdk or 0) >= _V2_FROM:
        yield "it is signed as a jar only (scheme 1)"


def _resources(archive: AndroidArchive) -> Iterator[str]:
    table = archive.members.get("resources.arsc")
    if not archive.is_app or table is None or not archive.manifest or (archive.manifest.target_sdk or 0) < _V2_FROM:
        return
    if not table.is_stored:
        yield "resources.arsc is compressed"
    elif table.offset % 4:
        yield f"resources.arsc begins at byte {table.offset}, which is no multiple of 4"


def _classes(archive: AndroidArchive) -> Iterator[str]:
    if not archive.is_app and "classes.jar" not in archive.members:
        yield "it has no classes.jar"


ARCHIVE: tuple[Rule[AndroidArchive], ...] = (
    Rule(
        "android-manifest",
        "error",
        "Nothing is installed, and no library merged, without AndroidManifest.xml and the package that it names.",
        "put an AndroidManifest.xml with a package at the top of the archive",
        _no_manifest,
    ),
    Rule(
        "android-64-bit",
        "error",
        "Google Play refuses apps with 32-bit libraries that lack the 64-bit ones (since August 2019).",
        "build the library for the 64-bit ABI, too",
        _wide,
    ),
    Rule(
        "android-same-libraries",
        "warning",
        "A device uses the folder of one ABI only: what is missing there is not found in another.",
        "build every library for every ABI that the archive has",
        _same_libraries,
    ),
    Rule(
        "android-abi",
        "error",
        "A device loads libraries from the folder of its ABI; of another machine they are refused.",
        "put each library into the folder of the ABI that it was built for",
        _machine,
    ),
    Rule(
        "apk-missing-library",
        "error",
        "What a library needs must be public in the system or lie beside it: else System.loadLibrary fails.",
        "add the library for that ABI, or link it statically",
        _missing_in_app,
    ),
    Rule(
        "aar-missing-library",
        "warning",
        "What a library needs must be public in the system, or come into the app from another .aar.",
        "add the library for that ABI, link it statically, or name the .aar that brings it in the documentation",
        _missing_in_library,
    ),
    Rule(
        "android-built-for",
        "error",
        "A library may use any function of the API level that it was built for; older devices do not have them all.",
        "build with the API level of minSdkVersion, or raise minSdkVersion",
        _built_for,
    ),
    Rule(
        "apk-alignment",
        "error",
        "Libraries that are not compressed are mapped from the .apk itself, by whole pages: 16 KB on devices that "
        "have such. Google Play checks it as it does segments.",
        "zipalign -P 16 4 IN.apk OUT.apk (build tools 35 or newer), before signing",
        _alignment,
    ),
    Rule(
        "apk-compressed-refused",
        "error",
        "With extractNativeLibs false, which is the default from minSdkVersion 23 on, libraries are not unpacked: "
        "compressed ones make the installation fail.",
        "store them: aapt2 and Gradle do with packaging.jniLibs.useLegacyPackaging = false",
        _compressed_refused,
    ),
    Rule(
        "apk-compressed",
        "warning",
        "Compressed libraries are unpacked as the app is installed, and then take their room twice; updates are "
        "larger, too.",
        'store them aligned, with android:extractNativeLibs="false"',
        _compressed_twice,
    ),
    Rule(
        "apk-target",
        "error",
        f"Google Play takes new apps and updates that target API level {TARGET} or higher (since 31 August 2026).",
        f"set targetSdkVersion to {TARGET}, and test what changed with it",
        _target,
    ),
    Rule(
        "android-levels",
        "error",
        "minSdkVersion is the oldest system that the app runs on, targetSdkVersion the one it was tested for; tools "
        "refuse them in the other order.",
        "raise targetSdkVersion, or lower minSdkVersion",
        _levels,
    ),
    Rule(
        "android-debuggable",
        "error",
        "Anyone with the device could attach to such an app and read its data. Google Play refuses it.",
        "build the release variant, without android:debuggable",
        _debuggable,
    ),
    Rule(
        "android-test-only",
        "error",
        "Such an app can be installed by adb alone (install -t). Google Play refuses it.",
        "build a release .apk instead of running from the IDE, without android:testOnly",
        _test_only,
    ),
    Rule(
        "apk-signature",
        "error",
        "Devices install signed apps only, and those that target API level 30 or higher only with a signature of "
        "scheme 2 or newer.",
        "apksigner sign --ks KEYSTORE FILE.apk",
        _signature,
    ),
    Rule(
        "apk-resources",
        "error",
        "From target API level 30 on, resources.arsc must be stored uncompressed on a boundary of 4 bytes: else the "
        "installation fails.",
        "zip -n .arsc, then zipalign 4",
        _resources,
    ),
    Rule(
        "aar-classes",
        "error",
        "An .aar without classes.jar is not one to Gradle; an empty .jar will do.",
        "jar cf classes.jar -C EMPTY_FOLDER .",
        _classes,
    ),
)
