"""Rules of .xcframework folders.

Sources: the messages of xcodebuild and of Swift's package manager, Apple's "Distributing binary frameworks as Swift
packages".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from edgeort.lint.rule import Rule, listed
from edgeort.lint.subjects import XcFramework


def _plist(framework: XcFramework) -> Iterator[str]:
    kind, form = framework.plist.get("CFBundlePackageType"), framework.plist.get("XCFrameworkFormatVersion")
    if kind != "XFWK":
        yield f"its CFBundlePackageType is {kind}, not XFWK"
    if form != "1.0":
        yield f"its XCFrameworkFormatVersion is {form}, not 1.0"
    if not framework.libraries:
        yield "its AvailableLibraries are empty"


def _missing(framework: XcFramework) -> Iterator[str]:
    for library in framework.libraries:
        if not library.is_there:
            yield f"{library.identifier}/{library.path} is listed and not there"
        if library.headers is not None and not library.has_headers:
            yield f"{library.identifier}/{library.headers}, its HeadersPath, is not there"


def _unlisted(framework: XcFramework) -> Iterator[str]:
    found = framework.folders - {library.identifier for library in framework.libraries} - {"_CodeSignature"}
    if found:
        yield f"AvailableLibraries does not list {listed(found)}"


def _architectures(framework: XcFramework) -> Iterator[str]:
    for library in framework.libraries:
        there = {one.architecture for one in library.slices}
        if there and there != library.architectures:
            yield f"{library.identifier} has code for {listed(there)}; listed are {listed(library.architectures)}"


def _platform(framework: XcFramework) -> Iterator[str]:
    for library in framework.libraries:
        there = frozenset().union(*(one.platforms for one in library.slices))
        if there - {library.platform}:
            yield f"{library.identifier} has code for {listed(there)}; listed is {library.platform}"


def _twice(framework: XcFramework) -> Iterator[str]:
    for platform, count in Counter(library.platform for library in framework.libraries).items():
        if count > 1:
            yield f"{count} of its libraries are for {platform}"


def _simulator(framework: XcFramework) -> Iterator[str]:
    platforms = {library.platform for library in framework.libraries}
    for device in ("ios", "tvos", "watchos", "visionos"):
        if device in platforms and f"{device}-simulator" not in platforms:
            yield f"it has a library for {device} and none for its simulator"


def _signature(framework: XcFramework) -> Iterator[str]:
    if not framework.is_signed:
        yield "it has no _CodeSignature"


XCFRAMEWORK: tuple[Rule[XcFramework], ...] = (
    Rule(
        "xcframework-plist",
        "error",
        "Xcode and Swift packages open an .xcframework by these keys of its Info.plist.",
        "make it by xcodebuild -create-xcframework, or set CFBundlePackageType to XFWK and XCFrameworkFormatVersion "
        "to 1.0",
        _plist,
    ),
    Rule(
        "xcframework-missing",
        "error",
        "What AvailableLibraries lists is what Xcode copies: the build fails where it is not there.",
        "correct LibraryIdentifier, LibraryPath and HeadersPath, or add the files",
        _missing,
    ),
    Rule(
        "xcframework-unlisted",
        "warning",
        "Xcode uses only what AvailableLibraries lists; the rest is dead weight.",
        "list the folder in AvailableLibraries, or delete it",
        _unlisted,
    ),
    Rule(
        "xcframework-architectures",
        "error",
        "Xcode chooses a library by SupportedArchitectures; where the code is of others, linking the app fails.",
        "set SupportedArchitectures to what `lipo -archs` says",
        _architectures,
    ),
    Rule(
        "xcframework-platform",
        "error",
        "Code of a simulator in the folder of devices, or the other way round, cannot be linked; in an app the App "
        "Store refuses it (ITMS-90087).",
        "put the code into the folder of its system, or correct SupportedPlatform and SupportedPlatformVariant",
        _platform,
    ),
    Rule(
        "xcframework-twice",
        "error",
        "xcodebuild refuses two libraries for one system: code for several architectures is one file.",
        "join them: lipo -create A B -output FILE",
        _twice,
    ),
    Rule(
        "xcframework-simulator",
        "warning",
        "Without code for the simulator an app that uses this cannot be built for it.",
        "add a library for the simulator, for arm64 and x86_64",
        _simulator,
    ),
    Rule(
        "xcframework-signature",
        "note",
        "Xcode shows who signed a framework, and notices when that changes; of the SDKs on Apple's list the App "
        "Store asks for a signature (ITMS-91065).",
        "codesign --timestamp -s IDENTITY FILE.xcframework",
        _signature,
    ),
)
