"""Mach-O libraries, universal ones and archives of objects, by LIEF."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from edgeort.errors import InputError
from edgeort.lint.readers import objects
from edgeort.lint.readers.binaries import damaged, lief, name_of
from edgeort.lint.subjects import Options, Slice

MAGICS = (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf")
_CATALYST = "mac-catalyst"  # as LIEF calls it; an XCFramework's plist says maccatalyst
_VERSION_MIN = {
    "version_min_macosx": "macos",
    "version_min_iphoneos": "ios",
    "version_min_tvos": "tvos",
    "version_min_watchos": "watchos",
}
_WRITE, _EXECUTE = 2, 4
_EXTERNAL, _PRIVATE, _TYPE, _DEBUG = 0x01, 0x10, 0x0E, 0xE0  # of n_type, <mach-o/nlist.h>


def read(data: bytes, where: str, file_name: str, options: Options, *, in_framework: bool = False) -> tuple[Slice, ...]:
    """A slice an architecture. InputError where it is no Mach-O file and no archive of such objects."""
    slices: list[Slice] = []
    for part in objects.parts(data, where):
        if part.startswith(objects.AR):
            found = [
                _one(content, f"{where}({name})", file_name, options) for name, content in objects.members(part, where)
            ]
            if not found:
                raise InputError(f"{where}: an archive without objects")
            slices += (replace(one, where=where) for one in _joined(found))
        else:
            slices.append(_one(part, where, file_name, options))
    named = [replace(one, in_framework=in_framework) for one in slices]
    if len(named) > 1:
        named = [replace(one, where=f"{where} [{one.architecture}]") for one in named]
    return tuple(named)


def _one(data: bytes, where: str, file_name: str, options: Options) -> Slice:
    if not data.startswith(MAGICS[:2]):
        raise InputError(f"{where}: not a Mach-O file")
    with damaged(where, "Mach-O file"):
        return _slice(data, where, file_name, options)


def _slice(data: bytes, where: str, file_name: str, options: Options) -> Slice:
    module = lief().MachO
    fat = module.parse(data, module.ParserConfig.quick)
    binary = fat.at(0) if fat is not None and fat.size else None
    if binary is None or not _is_whole(binary, data):
        raise InputError(f"{where}: a damaged Mach-O file")
    platforms, minimum = _system(binary)
    exported, undefined = _names(binary)
    identity = [str(one.name) for one in binary.libraries if name_of(one.command) == "id_dylib"]
    return Slice(
        where=where,
        file_name=file_name,
        architecture=_architecture(binary.header),
        kind=name_of(binary.header.file_type),
        platforms=platforms,
        minimum=minimum,
        install_name=identity[0] if identity else None,
        libraries=tuple(str(one.name) for one in binary.libraries if name_of(one.command) != "id_dylib"),
        writable_code=tuple(str(one.name) for one in binary.segments if _is_writable_code(one)),
        exported=tuple(sorted(exported)),
        undefined=frozenset(undefined),
        sections=frozenset(f"{one.segment_name},{one.name}" for one in binary.sections),
        is_signed=bool(binary.has_code_signature),
        in_framework=False,
        prefixes=options.prefixes,
    )


def _is_whole(binary: Any, data: bytes) -> bool:
    """Whether all load commands and segments are there."""
    commands = len(list(binary.commands))
    return 0 < commands == binary.header.nb_cmds and all(
        segment.file_offset + segment.file_size <= len(data) for segment in binary.segments
    )


def _is_writable_code(segment: Any) -> bool:
    # an object has one segment without a name, in which sections of all kinds are
    return bool(segment.name) and bool(segment.init_protection & _WRITE) and bool(segment.init_protection & _EXECUTE)


def _architecture(header: Any) -> str:
    name, kind = name_of(header.cpu_type), header.cpu_subtype & 0x00FFFFFF
    if name == "arm64":
        return "arm64e" if kind == 2 else "arm64"  # CPU_SUBTYPE_ARM64E
    return {"x86": "i386"}.get(name, name)


def _system(binary: Any) -> tuple[frozenset[str], tuple[int, ...] | None]:
    """(platforms, lowest version) of the load commands that say so."""
    platforms, minimum = set(), None
    for command in binary.commands:
        kind = name_of(command.command)
        if kind == "build_version":
            name = name_of(command.platform).replace("_", "-")
            platforms.add("maccatalyst" if name == _CATALYST else name)
            minimum = tuple(command.minos)
        elif kind in _VERSION_MIN:
            platforms.add(_VERSION_MIN[kind])
            minimum = tuple(command.version)
    return frozenset(platforms), minimum


def _names(binary: Any) -> tuple[set[str], set[str]]:
    """(defined for others, asked of others), without the underscore that C's names have in front."""
    defined, asked = set(), set()
    for symbol in binary.symbols:
        kind, name = int(symbol.raw_type), str(symbol.name)
        if kind & _DEBUG or not kind & _EXTERNAL or not name:
            continue
        if kind & _TYPE == 0:
            asked.add(name.removeprefix("_"))
        elif not kind & _PRIVATE:
            defined.add(name.removeprefix("_"))
    return defined, asked


def _joined(found: Iterable[Slice]) -> Iterator[Slice]:
    """One slice an architecture, of all objects of an archive."""
    groups: dict[str, list[Slice]] = defaultdict(list)
    for one in found:
        groups[one.architecture].append(one)
    for group in groups.values():
        exported = {name for one in group for name in one.exported}
        versions = [one.minimum for one in group if one.minimum is not None]
        yield replace(
            group[0],
            platforms=frozenset().union(*(one.platforms for one in group)),
            minimum=max(versions, default=None),
            exported=tuple(sorted(exported)),
            undefined=frozenset().union(*(one.undefined for one in group)) - exported,
            sections=frozenset().union(*(one.sections for one in group)),
        )
