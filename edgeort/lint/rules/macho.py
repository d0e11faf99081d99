"""Rules of Mach-O files, one architecture at a time.

Sources: App Store Connect's messages (ITMS-...), dyld(1), ld(1).
"""

from __future__ import annotations

from collections.abc import Iterator

from edgeort.lint.exports import beyond_prefix, runtime_names
from edgeort.lint.rule import Rule, listed
from edgeort.lint.subjects import Slice

_SYSTEM = ("/usr/lib/", "/System/Library/", "/System/iOSSupport/", "@rpath/", "@loader_path/", "@executable_path/")
_BITCODE = {"__LLVM,__bitcode", "__LLVM,__bundle", "__LLVM,__cmdline"}
_NARROW = {"arm", "i386"}


def _platform(one: Slice) -> Iterator[str]:
    if not one.platforms:
        yield "it does not say for which system it is (no LC_BUILD_VERSION or LC_VERSION_MIN)"
    elif len(one.platforms) > 1:
        yield f"its objects are for different systems: {listed(one.platforms)}"


def _bitcode(one: Slice) -> Iterator[str]:
    if one.sections & _BITCODE:
        yield f"it has {listed(one.sections & _BITCODE)}"


def _libraries(one: Slice) -> Iterator[str]:
    for name in one.libraries:
        if not name.startswith(_SYSTEM):
            yield f"it needs '{name}'"


def _install_name(one: Slice) -> Iterator[str]:
    if one.kind != "dylib" or one.in_framework:
        return
    if one.install_name is None:
        yield "it has no install name (LC_ID_DYLIB)"
    elif not one.install_name.startswith("@rpath/"):
        yield f"its install name is '{one.install_name}'"


def _writable_code(one: Slice) -> Iterator[str]:
    if one.writable_code:
        yield f"{listed(one.writable_code)} is writable and executable"


def _narrow(one: Slice) -> Iterator[str]:
    if one.architecture in _NARROW and one.platforms & {"ios", "ios-simulator", "macos", "tvos"}:
        yield f"it is for {one.architecture}"


def _unsigned(one: Slice) -> Iterator[str]:
    if one.kind != "object" and one.architecture.startswith("arm64") and "macos" in one.platforms and not one.is_signed:
        yield "it has no code signature (LC_CODE_SIGNATURE)"


def _exports(one: Slice) -> Iterator[str]:
    yield from beyond_prefix(one.exported, one.file_name, one.prefixes)


def _runtime(one: Slice) -> Iterator[str]:
    yield from runtime_names(one.exported)


MACHO: tuple[Rule[Slice], ...] = (
    Rule(
        "macho-platform",
        "error",
        "The linker puts code together for one system; iOS, its simulator and macOS are three. What does not say its "
        "system is taken for another, or refused.",
        "compile with -target arm64-apple-ios15.0 (-simulator, ...), all objects alike",
        _platform,
    ),
    Rule(
        "macho-bitcode",
        "error",
        "The App Store takes no bitcode any more (since Xcode 14); ITMS-90482 refuses executables with it.",
        "xcrun bitcode_strip -r FILE -o FILE, or compile without -fembed-bitcode",
        _bitcode,
    ),
    Rule(
        "macho-library-path",
        "error",
        "Apps may link with libraries of the system and with those that they bring; other paths are those of the "
        "machine that built it.",
        "install_name_tool -change OLD @rpath/NAME FILE, and embed the library",
        _libraries,
    ),
    Rule(
        "macho-install-name",
        "error",
        "An app finds a library by the install name it was linked with; only @rpath/... points into the app.",
        "link with -install_name @rpath/FILE",
        _install_name,
    ),
    Rule(
        "macho-writable-code",
        "error",
        "iOS maps no segment that is writable and executable, nor does macOS on Apple silicon.",
        "link with the default segments: no -segprot, no -N",
        _writable_code,
    ),
    Rule(
        "macho-32-bit",
        "warning",
        "No device with iOS 11 or newer, and no Mac with macOS 10.15 or newer, runs 32-bit code; Xcode 14 no longer "
        "builds it.",
        "lipo FILE -remove ARCHITECTURE -output FILE",
        _narrow,
    ),
    Rule(
        "macho-unsigned",
        "error",
        "Macs with Apple silicon run signed code only; an ad hoc signature will do.",
        "codesign -s - FILE",
        _unsigned,
    ),
    Rule(
        "macho-exports",
        "warning",
        "Names of static libraries share one name space with the app and everything in it: two helpers of one name "
        "are a link error, or one of them wins.",
        "compile with -fvisibility=hidden, link with -exported_symbols_list, make helpers static; --prefix NAME says "
        "what is meant",
        _exports,
    ),
    Rule(
        "macho-cxx-runtime",
        "warning",
        "An own copy of a C++ runtime beside the system's libc++: exceptions and memory then cross between two "
        "versions.",
        "link with the system's -lc++",
        _runtime,
    ),
)
