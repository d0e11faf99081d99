"""Rules of .framework folders.

Sources: App Store Connect's messages (ITMS-...), "Bundle Programming Guide" and "Information Property List" of Apple's
documentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgeort.lint.rule import Rule, listed
from edgeort.lint.subjects import Framework

_SIMULATOR_ONLY = {"x86_64", "i386"}
_SUPPORTED = {  # of CFBundleSupportedPlatforms
    "ios": "iPhoneOS",
    "ios-simulator": "iPhoneSimulator",
    "macos": "MacOSX",
    "maccatalyst": "MacOSX",
    "tvos": "AppleTVOS",
    "tvos-simulator": "AppleTVSimulator",
    "watchos": "WatchOS",
    "watchos-simulator": "WatchSimulator",
    "visionos": "XROS",
    "visionos-simulator": "XRSimulator",
}


def _text(framework: Framework, key: str) -> str | None:
    """A value of the Info.plist that is a text and not empty."""
    value = (framework.plist or {}).get(key)
    return value if isinstance(value, str) and value else None


def version(text: str) -> tuple[int, ...] | None:
    """(15, 0) of "15.0"; None of what is no version."""
    return tuple(int(part) for part in text.split(".")) if re.fullmatch(r"\d{1,9}(\.\d{1,9}){0,2}", text) else None


def _plist(framework: Framework) -> Iterator[str]:
    if framework.plist is None:
        yield "it has no Info.plist"


def _executable(framework: Framework) -> Iterator[str]:
    name = _text(framework, "CFBundleExecutable")
    if framework.plist is None:
        return
    if name is None:
        yield "its Info.plist has no CFBundleExecutable"
    elif name not in framework.files and f"Versions/A/{name}" not in framework.files:
        yield f"its CFBundleExecutable, {name}, is not there"
    elif name != framework.name:
        yield f"its CFBundleExecutable is {name}"


def _identifier(framework: Framework) -> Iterator[str]:
    name = _text(framework, "CFBundleIdentifier")
    if framework.plist is None:
        return
    if name is None:
        yield "its Info.plist has no CFBundleIdentifier"
    elif not re.fullmatch(r"[A-Za-z0-9.-]+", name):
        yield f"its CFBundleIdentifier is '{name}'"


def _version(framework: Framework) -> Iterator[str]:
    for key in ("CFBundleShortVersionString", "CFBundleVersion"):
        text = _text(framework, key)
        if framework.plist is not None and (text is None or version(text) is None):
            yield f"its Info.plist has no {key}" if text is None else f"its {key} is '{text}'"


def _type(framework: Framework) -> Iterator[str]:
    if framework.plist is not None and framework.plist.get("CFBundlePackageType") != "FMWK":
        yield f"its CFBundlePackageType is {framework.plist.get('CFBundlePackageType')}"


def _minimum_key(framework: Framework) -> str:
    return "MinimumOSVersion" if framework.is_flat else "LSMinimumSystemVersion"


def _minimum(framework: Framework) -> Iterator[str]:
    key = _minimum_key(framework)
    text = _text(framework, key)
    if framework.plist is None or not framework.is_flat and text is None:
        return
    if text is None or version(text) is None:
        yield f"its Info.plist has no {key}" if text is None else f"its {key} is '{text}'"


def _minimum_of_code(framework: Framework) -> Iterator[str]:
    key = _minimum_key(framework)
    least = version(_text(framework, key) or "")
    for one in framework.slices:
        if least is not None and one.minimum is not None and _padded(least) < _padded(one.minimum):
            code = ".".join(map(str, one.minimum))
            yield f"its {key} is {_text(framework, key)}, its code for {one.architecture} is for {code}"


def _padded(numbers: tuple[int, ...]) -> tuple[int, ...]:
    return (*numbers, 0, 0, 0)[:3]


def _supported(framework: Framework) -> Iterator[str]:
    named = (framework.plist or {}).get("CFBundleSupportedPlatforms")
    meant = {_SUPPORTED[one] for one in framework.platforms if one in _SUPPORTED}
    if isinstance(named, list) and meant and set(map(str, named)) != meant:
        yield f"its CFBundleSupportedPlatforms are {listed(map(str, named))}, its code is for {listed(meant)}"


def _nested(framework: Framework) -> Iterator[str]:
    if not framework.is_flat:
        return
    tops = {re.sub(r"(\.(?:framework|bundle|appex|xpc))/.*", r"\1", name) for name in framework.files}
    found = {name for name in tops if name.endswith((".framework", ".dylib", ".a", ".so", ".appex", ".xpc"))}
    if found:
        yield f"it holds {listed(found)}"


def _layout(framework: Framework) -> Iterator[str]:
    versioned = any(name.startswith("Versions/") for name in framework.files)
    if framework.platforms and framework.is_flat and versioned:
        yield "it has a folder Versions, as frameworks of macOS have"
    elif framework.platforms and not framework.is_flat and not versioned:
        yield "it has no folder Versions, as frameworks of macOS must"


def _simulator(framework: Framework) -> Iterator[str]:
    systems = framework.platforms
    simulated = [one.architecture for one in framework.slices if any(p.endswith("-simulator") for p in one.platforms)]
    devices = {one for one in systems if not one.endswith("-simulator")} - {"macos", "maccatalyst"}
    if devices and simulated:
        yield f"beside code for {listed(devices)} it has code for a simulator ({listed(simulated)})"
    elif devices:
        narrow = [one.architecture for one in framework.slices if one.architecture in _SIMULATOR_ONLY]
        if narrow:
            yield f"it has code for {listed(narrow)}, which no device runs"


def _install_name(framework: Framework) -> Iterator[str]:
    for one in framework.slices:
        if one.kind != "dylib":
            continue
        meant = f"@rpath/{framework.name}.framework/{framework.name}"
        versioned = f"@rpath/{framework.name}.framework/Versions/A/{framework.name}"
        if one.install_name not in (meant, versioned):
            yield f"the install name of its code for {one.architecture} is {one.install_name}"


FRAMEWORK: tuple[Rule[Framework], ...] = (
    Rule(
        "framework-plist",
        "error",
        "A framework is a bundle, and a bundle is described by its Info.plist; installation fails without.",
        "write an Info.plist: at the top for iOS, in Versions/A/Resources for macOS",
        _plist,
    ),
    Rule(
        "framework-executable",
        "error",
        "CFBundleExecutable names the library of the framework, and is the framework's own name: the system looks "
        "for it there.",
        "set CFBundleExecutable to the file's name",
        _executable,
    ),
    Rule(
        "framework-identifier",
        "error",
        "The App Store takes bundles with a CFBundleIdentifier of letters, digits, hyphens and dots, each its own "
        "(ITMS-90685 where two are alike).",
        "set CFBundleIdentifier to something like com.example.Name; underscores are not allowed",
        _identifier,
    ),
    Rule(
        "framework-version",
        "error",
        "The App Store refuses bundles without CFBundleShortVersionString (ITMS-90057) and CFBundleVersion: one to "
        "three numbers with dots.",
        "set both, such as 1.0.0 and 1",
        _version,
    ),
    Rule(
        "framework-type",
        "warning",
        "FMWK is what tells a framework from an app or a plain bundle.",
        "set CFBundlePackageType to FMWK",
        _type,
    ),
    Rule(
        "framework-minimum-os",
        "error",
        "The App Store refuses embedded frameworks without MinimumOSVersion (ITMS-90360).",
        "set MinimumOSVersion to the version that the code was compiled for",
        _minimum,
    ),
    Rule(
        "framework-minimum-of-code",
        "error",
        "Code may not be for a newer system than its Info.plist says: the App Store refuses it (ITMS-90208), and "
        "older devices would crash.",
        "compile with the version of the Info.plist (-target arm64-apple-ios15.0), or raise the latter",
        _minimum_of_code,
    ),
    Rule(
        "framework-supported-platforms",
        "error",
        "CFBundleSupportedPlatforms and the code must be of one system: a simulator's framework in an app for "
        "devices is refused.",
        "set CFBundleSupportedPlatforms to iPhoneOS for devices, iPhoneSimulator for the simulator",
        _supported,
    ),
    Rule(
        "framework-nested",
        "error",
        "On iOS, frameworks hold no frameworks and no other libraries (ITMS-90205, ITMS-90206, ITMS-90171): those "
        "belong into the app.",
        "move it beside this one, into the app's Frameworks folder",
        _nested,
    ),
    Rule(
        "framework-layout",
        "error",
        "Frameworks of iOS have their files at the top, those of macOS in Versions/A with links; in the other form "
        "they are not signed, and not installed.",
        "build with the form of the system",
        _layout,
    ),
    Rule(
        "framework-simulator",
        "error",
        "The App Store refuses code for simulators in apps (ITMS-90087): one framework for both is refused as a whole.",
        "lipo -remove x86_64, or ship an .xcframework, which keeps both apart",
        _simulator,
    ),
    Rule(
        "framework-install-name",
        "error",
        "Apps look for a framework by its install name; only @rpath/Name.framework/Name is where Xcode embeds it.",
        "install_name_tool -id @rpath/NAME.framework/NAME FILE, then sign again",
        _install_name,
    ),
)
