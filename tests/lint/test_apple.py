"""Rules of Mach-O files, frameworks and XCFrameworks: each broken alone, by files that zig and plistlib made."""

from __future__ import annotations

import contextlib
import plistlib
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeort.errors import InputError
from edgeort.lint import lint
from edgeort.lint.rules.framework import FRAMEWORK
from edgeort.lint.rules.macho import MACHO
from edgeort.lint.rules.privacy import PRIVACY, PRIVACY_OF_FRAMEWORKS, PRIVACY_OF_XCFRAMEWORKS
from edgeort.lint.rules.xcframework import XCFRAMEWORK
from tests.lint import making

pytest.importorskip("lief")

SHOWN = '__attribute__((visibility("default")))'
USES_STAT = (
    making.SOURCE + f'int stat(const char*, void*);\n{SHOWN} int good_stat(void* to) {{ return stat("x", to); }}\n'
)
IN_FRAMEWORK = ["-shared", "-Wl,-install_name,@rpath/Good.framework/Good"]
ID_DYLIB, CODE_SIGNATURE, SEGMENT_64 = 0x0D, 0x1D, 0x19
FILE_TIMES = "NSPrivacyAccessedAPICategoryFileTimestamp"

Built = dict[str, bytes]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Mach-O files by what they are."""
    folder = tmp_path_factory.mktemp("macho")

    def build(name: str, flags: list[str], source: str = making.SOURCE) -> bytes:
        return making.zig(folder, name, flags, source).read_bytes()

    dylib = ["-shared", "-Wl,-install_name,@rpath/libgood.dylib"]
    return {
        "dylib": build("libgood.dylib", [*making.MACOS, *dylib]),
        "elsewhere": build(
            "elsewhere.dylib", [*making.MACOS, "-shared", "-Wl,-install_name,/usr/local/lib/libgood.dylib"]
        ),
        "helper": build("helper.dylib", [*making.MACOS, *dylib], making.SOURCE + f"{SHOWN} void helper(void) {{}}\n"),
        "runtime": build(
            "runtime.dylib", [*making.MACOS, *dylib], making.SOURCE + f"{SHOWN} void _ZdlPv(void* p) {{ (void)p; }}\n"
        ),
        "framework": build("Good", [*making.MACOS, *IN_FRAMEWORK]),
        "stats": build("stats", [*making.MACOS, *IN_FRAMEWORK], USES_STAT),
        "ios.o": build("ios.o", [*making.IOS, "-c"]),
        "simulator.o": build("simulator.o", [*making.SIMULATOR, "-c"]),
        "stats.o": build("stats.o", [*making.IOS, "-c"], USES_STAT),
        "narrow.o": build("narrow.o", ["-target", "x86_64-ios.15.0-simulator", "-c"]),
        "bitcode.o": build("bitcode.o", [*making.IOS, "-c"], making.SOURCE + BITCODE),
    }


BITCODE = '__attribute__((section("__LLVM,__bitcode"))) const char good_bitcode[4] = "BC";\n'


def ios(data: bytes) -> bytes:
    return making.with_platform(data, 2)


def replaced(data: bytes, command: int, by: bytes, at: int) -> bytes:
    """The file with bytes of a load command changed; `at` counts from its start."""
    changed = bytearray(data)
    for place, kind, _ in making.commands(data):
        if kind == command:
            changed[place + at : place + at + len(by)] = by
    return bytes(changed)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def library(to: Path, data: bytes) -> Path:
    return write(to / "libgood.dylib", data)


def static(to: Path, *objects: bytes) -> Path:
    return write(to / "libgood.a", making.ar({f"object{n}.o": one for n, one in enumerate(objects)}))


def writable(data: bytes) -> bytes:
    """__TEXT with the rights to write, too: maxprot and initprot stand behind name, addresses and sizes."""
    changed = bytearray(data)
    for at, kind, _ in making.commands(data):
        if kind == SEGMENT_64 and data[at + 8 : at + 15] == b"__TEXT\0":
            struct.pack_into("<II", changed, at + 56, 7, 7)
    return bytes(changed)


def with_i386(data: bytes) -> bytes:
    """An object whose header says that it is for 32-bit Arm: no compiler here makes such a file."""
    return data[:4] + struct.pack("<II", 12, 9) + data[12:]


OF_MACHO: dict[str, Callable[[Path, Built], Path]] = {
    "macho-platform": lambda to, made: static(to, made["ios.o"], made["simulator.o"]),
    "macho-bitcode": lambda to, made: static(to, made["bitcode.o"]),
    "macho-library-path": lambda to, made: library(to, made["dylib"].replace(b"/usr/lib/lib", b"/opt/brew/lib"[:12])),
    "macho-install-name": lambda to, made: library(to, made["elsewhere"]),
    "macho-writable-code": lambda to, made: library(to, writable(made["dylib"])),
    "macho-32-bit": lambda to, made: static(to, with_i386(made["ios.o"])),
    "macho-unsigned": lambda to, made: library(to, replaced(made["dylib"], CODE_SIGNATURE, b"\x26", 0)),
    "macho-exports": lambda to, made: library(to, made["helper"]),
    "macho-cxx-runtime": lambda to, made: library(to, made["runtime"]),
}


def changed(**changes: object) -> Callable[[Path, Built], Path]:
    return lambda to, made: making.framework(to, ios(made["framework"]), changes)


def holding(**files: bytes) -> Callable[[Path, Built], Path]:
    named = {name.replace("__", "/").replace("_", "."): content for name, content in files.items()}
    return lambda to, made: making.framework(to, ios(made["framework"]), files=named)


def without_plist(to: Path, made: Built) -> Path:
    path = making.framework(to, ios(made["framework"]))
    (path / "Info.plist").unlink()
    return path


OF_FRAMEWORKS: dict[str, Callable[[Path, Built], Path]] = {
    "framework-plist": without_plist,
    "framework-executable": changed(CFBundleExecutable=None),
    "framework-identifier": changed(CFBundleIdentifier="com.example.not_good"),
    "framework-version": changed(CFBundleShortVersionString=None),
    "framework-type": changed(CFBundlePackageType="APPL"),
    "framework-minimum-os": changed(MinimumOSVersion=None),
    "framework-minimum-of-code": changed(MinimumOSVersion="14.0"),
    "framework-supported-platforms": changed(CFBundleSupportedPlatforms=["iPhoneSimulator"]),
    "framework-nested": holding(Frameworks__Other_framework__Other=b"x"),
    "framework-layout": holding(Versions__A__Resources__x=b"x"),
    "framework-simulator": lambda to, made: making.framework(
        to,
        making.universal(ios(made["framework"]), making.with_platform(made["framework"], 7)),
        {"CFBundleSupportedPlatforms": None},
    ),
    "framework-install-name": lambda to, made: making.framework(to, ios(made["dylib"])),
    "privacy-reasons": lambda to, made: making.framework(to, ios(made["stats"])),
    "privacy-manifest": lambda to, made: making.framework(
        to, ios(made["framework"]), files={"PrivacyInfo.xcprivacy": making.privacy("NSPrivacyOdd")}
    ),
}

DEVICE, SIMULATED = making.entry("ios-arm64"), making.entry("ios-arm64-simulator", "simulator")


def xc(to: Path, made: Built, *entries: dict[str, object], device: str = "ios.o", **changes: object) -> Path:
    files = {
        "ios-arm64/libgood.a": making.ar({"a.o": made[device]}),
        "ios-arm64/Headers/good.h": b"",
        "ios-arm64-simulator/libgood.a": making.ar({"a.o": made["simulator.o"]}),
        "ios-arm64-simulator/Headers/good.h": b"",
    }
    listed = entries or (DEVICE, SIMULATED)
    for gone in changes.pop("gone", ()):  # type: ignore[attr-defined]
        files = {name: content for name, content in files.items() if not name.startswith(gone)}
    return making.xcframework(to, listed, files, **changes)


def without_signature(to: Path, made: Built) -> Path:
    path = xc(to, made)
    (path / "_CodeSignature/CodeResources").unlink()
    return path


OF_XCFRAMEWORKS: dict[str, Callable[[Path, Built], Path]] = {
    "xcframework-plist": lambda to, made: xc(to, made, CFBundlePackageType="FMWK"),
    "xcframework-missing": lambda to, made: xc(to, made, gone=["ios-arm64/libgood.a"]),
    "xcframework-unlisted": lambda to, made: making.put(xc(to, made), {"tvos-arm64/libgood.a": b""}),
    "xcframework-architectures": lambda to, made: xc(
        to, made, making.entry("ios-arm64", SupportedArchitectures=["arm64", "arm64e"]), SIMULATED
    ),
    "xcframework-platform": lambda to, made: xc(to, made, device="simulator.o"),
    "xcframework-twice": lambda to, made: xc(
        to, made, DEVICE, making.entry("ios-arm64", SupportedArchitectures=["arm64"]), SIMULATED
    ),
    "xcframework-simulator": lambda to, made: xc(to, made, DEVICE, gone=["ios-arm64-simulator"]),
    "xcframework-signature": without_signature,
    "privacy-reasons-static": lambda to, made: xc(to, made, device="stats.o"),
}


def broken(path: Path) -> set[str]:
    return {finding.rule.id for finding in lint(path).findings}


@pytest.mark.parametrize("rule", [rule.id for rule in MACHO])
def test_each_rule_of_mach_o_is_broken_alone(rule: str, made: Built, tmp_path: Path):
    assert broken(OF_MACHO[rule](tmp_path, made)) == {rule}


@pytest.mark.parametrize("rule", [rule.id for rule in (*FRAMEWORK, *PRIVACY_OF_FRAMEWORKS, *PRIVACY)])
def test_each_rule_of_frameworks_is_broken_alone(rule: str, made: Built, tmp_path: Path):
    assert broken(OF_FRAMEWORKS[rule](tmp_path, made)) == {rule}


@pytest.mark.parametrize("rule", [rule.id for rule in (*XCFRAMEWORK, *PRIVACY_OF_XCFRAMEWORKS)])
def test_each_rule_of_xcframeworks_is_broken_alone(rule: str, made: Built, tmp_path: Path):
    assert broken(OF_XCFRAMEWORKS[rule](tmp_path, made)) == {rule}


def test_good_files_break_nothing(made: Built, tmp_path: Path):
    reasons = {"PrivacyInfo.xcprivacy": making.privacy(FILE_TIMES)}
    for path in (
        library(tmp_path, made["dylib"]),
        static(tmp_path, made["ios.o"]),
        making.framework(tmp_path, ios(made["framework"])),
        making.framework(tmp_path / "second", ios(made["stats"]), files=reasons),
        xc(tmp_path, made),
        making.put(xc(tmp_path / "third", made, device="stats.o"), {f"ios-arm64/{k}": v for k, v in reasons.items()}),
    ):
        assert broken(path) == set(), path


def test_frameworks_inside_are_judged_too(made: Built, tmp_path: Path):
    place = making.framework(tmp_path / "x", ios(made["framework"]), {"CFBundleVersion": None})
    files = {f"ios-arm64/Good.framework/{one.name}": one.read_bytes() for one in place.iterdir()}
    device = making.entry("ios-arm64", LibraryPath="Good.framework", HeadersPath=None)
    path = making.xcframework(tmp_path, [device], files)
    found = {(one.rule.id, one.where) for one in lint(path).findings}
    assert found == {
        ("xcframework-simulator", str(path)),
        ("framework-version", f"{path}/ios-arm64/Good.framework"),
    }


def test_an_xcframework_in_a_zip(made: Built, tmp_path: Path):
    folder = OF_XCFRAMEWORKS["xcframework-platform"](tmp_path, made)
    path = tmp_path / "Good.xcframework.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for one in folder.rglob("*"):
            archive.write(one, one.relative_to(tmp_path))
    assert broken(path) == {"xcframework-platform"}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.txt", b"")
    with pytest.raises(InputError, match="no folder Good.xcframework in it"):
        lint(path)


def test_macos_frameworks_with_links(made: Built, tmp_path: Path):
    place = tmp_path / "Good.framework"
    plist = plistlib.dumps(
        {key: value for key, value in making.INFO.items() if not key.startswith(("Min", "CFBundleSup"))}
    )
    making.put(place / "Versions/A", {"Good": made["framework"], "Resources/Info.plist": plist})
    for link, target in (
        ("Versions/Current", "A"),
        ("Good", "Versions/Current/Good"),
        ("Resources", "Versions/Current/Resources"),
    ):
        (place / link).symlink_to(target)
    assert broken(place) == set()
    path = tmp_path / "Good.framework.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for one in sorted(place.rglob("*")):
            name = one.relative_to(tmp_path).as_posix()
            if one.is_symlink():
                info = zipfile.ZipInfo(name)
                info.external_attr = 0o120777 << 16
                archive.writestr(info, str(one.readlink()))
            elif one.is_file() and not any(parent.is_symlink() for parent in one.parents):
                archive.write(one, name)
    assert broken(path) == set()


def test_links_that_lead_out_are_refused(made: Built, tmp_path: Path):
    (tmp_path / "secret").write_bytes(made["dylib"])
    path = making.framework(tmp_path, ios(made["framework"]))
    (path / "Good").unlink()
    (path / "Good").symlink_to(tmp_path / "secret")
    (finding,) = [one for one in lint(path).findings if one.rule.id == "unreadable"]
    assert finding.what == "leads out of the folder"


@pytest.mark.parametrize("keep", [0, 4, 28, 60, 400, 0.5, 0.95])
def test_cut_off(keep: float, made: Built, tmp_path: Path):
    data = made["dylib"]
    path = library(tmp_path, data[: int(len(data) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(InputError, match="libgood.dylib: (not a|a damaged) Mach-O"):
        lint(path)
    archive = making.ar({"a.o": made["ios.o"]})
    write(tmp_path / "libgood.a", archive[: len(archive) // 2])
    with pytest.raises(InputError, match="a damaged archive: it ends within the file at byte 8"):
        lint(tmp_path / "libgood.a")


def test_bytes_that_are_wrong_are_errors_or_findings(made: Built, tmp_path: Path):
    for name, data in (("libgood.dylib", made["dylib"]), ("libgood.a", making.ar({"a.o": made["ios.o"]}))):
        for at in range(0, min(len(data), 1500), 12):
            for value in (0x00, 0x7F, 0xFF):
                path = write(tmp_path / name, data[:at] + bytes([value]) * 2 + data[at + 2 :])
                with contextlib.suppress(InputError):
                    lint(path)


@pytest.mark.parametrize(
    "plist", [b"", b"<plist>", b"bplist00", b"<x/>", plistlib.dumps([1]), plistlib.dumps({"AvailableLibraries": [{}]})]
)
def test_a_plist_that_is_none(plist: bytes, tmp_path: Path):
    path = making.put(tmp_path / "Good.xcframework", {"Info.plist": plist})
    with pytest.raises(InputError, match="Info.plist: "):
        lint(path)


def test_a_folder_without_anything(tmp_path: Path):
    for name, reason in (("a.framework", "no framework"), ("a.xcframework", "no XCFramework")):
        (tmp_path / name).mkdir()
        with pytest.raises(InputError, match=reason):
            lint(tmp_path / name)
