"""Makes the files that rules are asked of: libraries by zig, archives and bundles by Python."""

from __future__ import annotations

import plistlib
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

SOURCE = '__attribute__((visibility("default"))) int good_sum(int a, int b) { return a + b; }\n'
ANDROID = ("-target", "aarch64-linux-android.29", "-shared", "-nostdlib", "-fno-builtin")
MACOS = ("-target", "aarch64-macos.12.0")
IOS = ("-target", "aarch64-ios.15.0")
SIMULATOR = ("-target", "aarch64-ios.15.0-simulator")


def zig(folder: Path, name: str, flags: Iterable[str], source: str = SOURCE, inputs: Sequence[Path] = ()) -> Path:
    """`folder/name`, compiled of `source` with `inputs` behind it."""
    folder.mkdir(parents=True, exist_ok=True)
    code, made = folder / f"{name}.c", folder / name
    code.write_text(source)
    command = [sys.executable, "-m", "ziglang", "cc", "-O1", "-fPIC", "-fvisibility=hidden", "-fno-sanitize=all"]
    # names without a folder: where a linked library has no SONAME, what was written here becomes DT_NEEDED
    end = [*flags, code.name, *(str(one.relative_to(folder)) for one in inputs), "-o", made.name]
    result = subprocess.run([*command, *end], cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return made


def elf(
    folder: Path,
    name: str = "libgood.so",
    flags: Iterable[str] = (),
    *,
    target: Sequence[str] = ANDROID,
    source: str = SOURCE,
    needs: Sequence[Path] = (),
    page: int = 16384,
    soname: bool = True,
) -> Path:
    """A library for Android that breaks no rule, but for what the arguments change."""
    named = [f"-Wl,-soname,{name}"] if soname else []
    strip = [] if "-g" in flags else ["-s"]
    linked = [*target, *strip, f"-Wl,-z,max-page-size={page}", "-Wl,-z,now", "-Wl,-z,relro", *named, *flags]
    return zig(folder, name, linked, source, needs)


def stub(folder: Path, name: str, soname: str | None) -> Path:
    """A library of that name to link with."""
    named = [f"-Wl,-soname,{soname}"] if soname else []
    return zig(
        folder,
        name,
        [*ANDROID, *named],
        "void other_function(void) {}\n".replace("void o", '__attribute__((visibility("default"))) void o'),
    )


def with_segment(path: Path, kind: int, *, flags: int | None = None, shrink: int = 0) -> Path:
    """Changes p_flags, or p_filesz and p_memsz, of every program header of a kind in a 64-bit ELF file."""
    data = bytearray(path.read_bytes())
    (table,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for at in range(table, table + size * count, size):
        if struct.unpack_from("<I", data, at)[0] == kind:
            if flags is not None:
                struct.pack_into("<I", data, at + 4, flags)
            for field in (32, 40):
                (old,) = struct.unpack_from("<Q", data, at + field)
                struct.pack_into("<Q", data, at + field, old - min(shrink, old))
    path.write_bytes(data)
    return path


def without_segment(path: Path, kind: int) -> Path:
    """Turns program headers of a kind into PT_NULL."""
    data = bytearray(path.read_bytes())
    (table,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for at in range(table, table + size * count, size):
        if struct.unpack_from("<I", data, at)[0] == kind:
            struct.pack_into("<I", data, at, 0)
    path.write_bytes(data)
    return path


def without_sections(path: Path) -> Path:
    """Takes the section headers out, as packers do."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<Q", data, 40, 0)
    struct.pack_into("<HHH", data, 58, 0, 0, 0)
    path.write_bytes(data)
    return path


# --- zip


def archive(
    path: Path, files: Mapping[str, bytes], *, stored: bool = True, page: int = 16384, signed: bool = True
) -> Path:
    """A zip whose .so begin at multiples of `page`, with a block where apksigner puts its own."""
    with zipfile.ZipFile(path, "w") as made:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            start = made.fp.tell() + 30 + len(name) + 4  # type: ignore[union-attr]
            padding = -start % (page if name.endswith(".so") else 4)
            info.extra = struct.pack("<HH", 0xD935, padding) + bytes(padding)
            made.writestr(info, content)
    if signed:
        _sign(path)
    return path


def _sign(path: Path) -> None:
    """Puts an (empty) signing block in front of the central directory."""
    data = path.read_bytes()
    end = data.rindex(b"PK\5\6")
    (directory,) = struct.unpack_from("<I", data, end + 16)
    block = struct.pack("<Q", 24) + struct.pack("<Q", 24) + b"APK Sig Block 42"
    tail = bytearray(data[end:])
    struct.pack_into("<I", tail, 16, directory + len(block))
    path.write_bytes(data[:directory] + block + data[directory:end] + tail)


def manifest_text(package: str = "com.example.good", uses: str = 'android:minSdkVersion="24"') -> bytes:
    """An AndroidManifest.xml of an .aar."""
    android = 'xmlns:android="http://schemas.android.com/apk/res/android"'
    named = f'package="{package}"' if package else ""
    return f"<manifest {android} {named}><uses-sdk {uses}/></manifest>".encode()


_ATTRIBUTES = {
    "minSdkVersion": 0x0101020C,
    "targetSdkVersion": 0x01010270,
    "extractNativeLibs": 0x010104EA,
    "debuggable": 0x0101000F,
    "testOnly": 0x01010272,
}


def manifest_binary(
    sdk: Mapping[str, int], application: Mapping[str, bool], *, utf8: bool = False, named: bool = True
) -> bytes:
    """A compiled AndroidManifest.xml; without names of attributes where not `named`, as resource shrinkers leave it."""
    keys = [*sdk, *application]
    strings = [
        *(key if named else "" for key in keys),
        "package",
        "com.example.good",
        "manifest",
        "uses-sdk",
        "application",
    ]
    at = {text: len(strings) - 1 - strings[::-1].index(text) for text in strings}
    chunks = [_pool(strings, utf8), struct.pack("<HHI", 0x0180, 8, 8 + 4 * len(keys))]
    chunks[1] += struct.pack(f"<{len(keys)}I", *(_ATTRIBUTES[key] for key in keys))
    chunks.append(_element(at["manifest"], [(at["package"], 0x03, at["com.example.good"])]))
    chunks.append(_element(at["uses-sdk"], [(keys.index(key), 0x10, value) for key, value in sdk.items()]))
    truths = [(keys.index(key), 0x12, 0xFFFFFFFF if value else 0) for key, value in application.items()]
    chunks.append(_element(at["application"], truths))
    body = b"".join(chunks)
    return struct.pack("<HHI", 0x0003, 8, 8 + len(body)) + body


def _pool(strings: Sequence[str], utf8: bool) -> bytes:
    content, offsets = b"", []
    for text in strings:
        offsets.append(len(content))
        raw = text.encode() if utf8 else text.encode("utf-16-le")
        content += bytes([len(text), len(raw)]) + raw + b"\0" if utf8 else struct.pack("<H", len(text)) + raw + b"\0\0"
    content += bytes(-len(content) % 4)
    start = 28 + 4 * len(strings)
    header = struct.pack("<HHIIIIII", 1, 28, start + len(content), len(strings), 0, 256 if utf8 else 0, start, 0)
    return header + struct.pack(f"<{len(offsets)}I", *offsets) + content


def _element(name: int, attributes: Sequence[tuple[int, int, int]]) -> bytes:
    none = 0xFFFFFFFF
    body = struct.pack("<IIHHHHHH", none, name, 20, 20, len(attributes), 0, 0, 0)
    for key, kind, value in attributes:
        body += struct.pack("<IIIHBBI", none, key, value if kind == 3 else none, 8, 0, kind, value)
    return struct.pack("<HHIII", 0x0102, 16, 16 + len(body), 1, none) + body


# --- Apple


def with_platform(data: bytes, platform: int, minimum: tuple[int, int] = (15, 0)) -> bytes:
    """The Mach-O file with another LC_BUILD_VERSION: 1 macOS, 2 iOS, 6 Mac Catalyst, 7 iOS's simulator."""
    changed = bytearray(data)
    for at, command, _ in commands(data):
        if command == 0x32:
            struct.pack_into("<II", changed, at + 8, platform, minimum[0] << 16 | minimum[1] << 8)
    return bytes(changed)


def commands(data: bytes) -> Iterable[tuple[int, int, int]]:
    """(offset, command, size) of the load commands of a 64-bit Mach-O file."""
    (count,) = struct.unpack_from("<I", data, 16)
    at = 32
    for _ in range(count):
        command, size = struct.unpack_from("<II", data, at)
        yield at, command, size
        at += size


def ar(objects: Mapping[str, bytes]) -> bytes:
    """An archive of objects, with BSD's long names."""
    made = b"!<arch>\n"
    for name, content in objects.items():
        raw = name.encode() + bytes(-len(name) % 8)
        size = len(raw) + len(content)
        made += f"#1/{len(raw):<13}{0:<12}{0:<6}{0:<6}{'100644':<8}{size:<10}".encode() + b"`\n" + raw + content
        made += b"\n" * (size % 2)
    return made


def universal(*parts: bytes) -> bytes:
    """A universal file of Mach-O files or archives, of arm64 each but for what they are."""
    table, body, at = b"", b"", 4096
    for part in parts:
        table += struct.pack(">5I", 0x0100000C, 0, at, len(part), 12)
        padded = part + bytes(-len(part) % 4096)
        body, at = body + padded, at + len(padded)
    header = struct.pack(">II", 0xCAFEBABE, len(parts)) + table
    return header + bytes(4096 - len(header)) + body


INFO: dict[str, Any] = {
    "CFBundleExecutable": "Good",
    "CFBundleIdentifier": "com.example.Good",
    "CFBundleShortVersionString": "1.0.0",
    "CFBundleVersion": "1",
    "CFBundlePackageType": "FMWK",
    "CFBundleSupportedPlatforms": ["iPhoneOS"],
    "MinimumOSVersion": "15.0",
}


def framework(
    folder: Path, library: bytes, changes: Mapping[str, Any] | None = None, files: Mapping[str, bytes] | None = None
) -> Path:
    """Good.framework for iOS; a key of `changes` that is None is left out."""
    made = folder / "Good.framework"
    info = {**INFO, **(changes or {})}
    plist = plistlib.dumps({key: value for key, value in info.items() if value is not None})
    return put(made, {"Info.plist": plist, "Good": library, **(files or {})})


def put(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Writes files below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def entry(identifier: str, variant: str | None = None, **changes: Any) -> dict[str, Any]:
    """Of AvailableLibraries."""
    made = {
        "LibraryIdentifier": identifier,
        "LibraryPath": "libgood.a",
        "HeadersPath": "Headers",
        "SupportedArchitectures": ["arm64"],
        "SupportedPlatform": "ios",
        "SupportedPlatformVariant": variant,
        **changes,
    }
    return {key: value for key, value in made.items() if value is not None}


def xcframework(folder: Path, entries: Sequence[Mapping[str, Any]], files: Mapping[str, bytes], **changes: Any) -> Path:
    """Good.xcframework with these entries and files."""
    info = {
        "CFBundlePackageType": "XFWK",
        "XCFrameworkFormatVersion": "1.0",
        "AvailableLibraries": list(entries),
        **changes,
    }
    content = {"Info.plist": plistlib.dumps(info), "_CodeSignature/CodeResources": b"", **files}
    return put(folder / "Good.xcframework", content)


def privacy(*categories: str, reasons: Sequence[str] = ("35F9.1",), **more: Any) -> bytes:
    """A PrivacyInfo.xcprivacy."""
    types = [{"NSPrivacyAccessedAPIType": one, "NSPrivacyAccessedAPITypeReasons": list(reasons)} for one in categories]
    return plistlib.dumps({"NSPrivacyTracking": False, "NSPrivacyAccessedAPITypes": types, **more})
