"""Apps (.apk) and libraries (.aar) of Android."""

from __future__ import annotations

import re
import struct
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from edgeort.errors import InputError
from edgeort.lint.readers import elf, manifest, tree
from edgeort.lint.subjects import AndroidArchive, ElfLibrary, Manifest, Member, Options, Subject, Unreadable

_FOLDERS = {True: "lib", False: "jni"}  # of native libraries, by whether it is an app
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_JAR_SIGNATURE = re.compile(r"META-INF/[^/]+\.(RSA|DSA|EC)")
_SIGNING_BLOCK = b"APK Sig Block 42"  # ends right before the central directory


def read(path: Path, options: Options) -> list[Subject]:
    """The archive, its libraries, and what in it cannot be read. InputError where it is no zip."""
    is_app = path.suffix.casefold() == ".apk"
    found: list[Subject] = []
    with tree.opened(path) as archive, path.open("rb") as file:
        described = _manifest(archive, found)
        libraries: dict[str, list[ElfLibrary]] = defaultdict(list)
        for name, abi, file_name in _libraries(archive, is_app):
            where = f"{path}: {name}"
            try:
                libraries[abi].append(_library(archive, name, where, file_name, options, described))
            except InputError as error:
                found.append(Unreadable(where, str(error).removeprefix(f"{where}: ")))
        subject = AndroidArchive(
            where=str(path),
            is_app=is_app,
            manifest=described,
            members={one.filename: _member(file, one, str(path)) for one in archive.entries.values()},
            libraries={abi: tuple(each) for abi, each in libraries.items()},
            signatures=_signatures(file, archive),
        )
    return [*found, subject, *(library for each in libraries.values() for library in each)]


def _manifest(archive: tree.Zip, found: list[Subject]) -> Manifest | None:
    name = "AndroidManifest.xml"
    if name not in archive.names:
        return None
    where = f"{archive.where}: {name}"
    try:
        return manifest.read(archive.read(name), where)
    except InputError as error:
        found.append(Unreadable(where, str(error).removeprefix(f"{where}: ")))
        return Manifest("unreadable", None, None, None, False, False)


def _libraries(archive: tree.Zip, is_app: bool) -> Iterator[tuple[str, str, str]]:
    """(name in the archive, ABI, file's name) of every native library."""
    for name in archive.names:
        parts = name.split("/")
        if len(parts) == 3 and parts[0] == _FOLDERS[is_app] and parts[2].endswith(".so"):
            yield name, parts[1], parts[2]


def _library(
    archive: tree.Zip, name: str, where: str, file_name: str, options: Options, described: Manifest | None
) -> ElfLibrary:
    least = described.min_sdk if described else None
    return elf.read(archive.read(name), where, file_name, options, min_api=least, in_archive=True)


def _member(file: BinaryIO, entry: zipfile.ZipInfo, where: str) -> Member:
    """Its data begins behind the local header, whose name and extra field may differ from those of the directory."""
    header = b""
    if entry.header_offset >= 0:  # zipfile subtracts what it takes for a program in front of the archive
        file.seek(entry.header_offset)
        header = file.read(_LOCAL_HEADER.size)
    if len(header) != _LOCAL_HEADER.size:
        raise InputError(f"{where}: not a zip archive: it ends within {entry.filename}")
    *_, name, extra = _LOCAL_HEADER.unpack(header)
    offset = entry.header_offset + _LOCAL_HEADER.size + name + extra
    return Member(entry.filename, offset, entry.compress_type == zipfile.ZIP_STORED)


def _signatures(file: BinaryIO, archive: tree.Zip) -> frozenset[str]:
    found = {"v1" for name in archive.names if _JAR_SIGNATURE.fullmatch(name)}
    if archive.directory >= len(_SIGNING_BLOCK):
        file.seek(archive.directory - len(_SIGNING_BLOCK))
        found |= {"v2"} if file.read(len(_SIGNING_BLOCK)) == _SIGNING_BLOCK else set()
    return frozenset(found)
