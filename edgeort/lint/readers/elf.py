"""ELF shared libraries, by LIEF."""

from __future__ import annotations

import struct
from typing import Any

from edgeort.errors import InputError
from edgeort.lint.readers.binaries import damaged, lief, name_of
from edgeort.lint.subjects import ElfLibrary, Options, Segment

MAGIC = b"\x7fELF"
_UNDEFINED, _ABSOLUTE = 0, 0xFFF1  # sections of names that are asked for, and of names of versions
_SHORTEST = 52  # bytes of the header of a 32-bit file
_ANDROID_NOTE = ".note.android.ident"
_BIONIC = {"libc.so", "libm.so", "libdl.so", "liblog.so", "libandroid.so"}  # Linux has a version behind such names


def read(
    data: bytes,
    where: str,
    file_name: str,
    options: Options,
    *,
    min_api: int | None = None,
    in_archive: bool = False,
) -> ElfLibrary:
    """The library in `data`. `min_api` is the app's; `in_archive`: it is in an .apk or .aar, and so Android's.

    InputError where it is no ELF shared library.
    """
    if not data.startswith(MAGIC):
        raise InputError(f"{where}: not an ELF file")
    with damaged(where, "ELF file"):
        return _library(data, where, file_name, options, min_api, in_archive)


def _library(
    data: bytes, where: str, file_name: str, options: Options, min_api: int | None, in_archive: bool
) -> ElfLibrary:
    module = lief().ELF
    binary = module.parse(data, _config(module))
    if binary is None or len(data) < _SHORTEST:
        raise InputError(f"{where}: a damaged ELF file")
    if binary.header.file_type != module.Header.FILE_TYPE.DYN:
        kind = name_of(binary.header.file_type)
        raise InputError(f"{where}: an ELF file, and no shared library (its type is {kind})")
    if not _is_whole(binary, data):
        raise InputError(f"{where}: a damaged ELF file")
    sections = tuple(str(section.name) for section in binary.sections if section.name)
    needed = tuple(map(str, binary.libraries))
    named = in_archive or options.min_sdk is not None  # as Android's
    built = _built_api(binary)
    return ElfLibrary(
        where=where,
        file_name=file_name,
        machine=name_of(binary.header.machine_type),
        is_64=binary.header.identity_class == module.Header.CLASS.ELF64,
        is_android=named or _ANDROID_NOTE in sections or bool(_BIONIC & set(needed)),
        built_api=built,
        min_api=options.min_sdk or min_api or built,
        soname=_text(module, binary, "SONAME"),
        needed=needed,
        run_paths=tuple(filter(None, (_text(module, binary, "RPATH"), _text(module, binary, "RUNPATH")))),
        segments=tuple(_segment(module, segment) for segment in binary.segments),
        exported=tuple(sorted(_exported(module, binary))),
        sections=sections,
        prefixes=options.prefixes,
        in_archive=in_archive,
        **_flags(module, binary),
    )


def _config(module: Any) -> Any:
    config = module.ParserConfig()
    config.parse_relocations = False
    config.parse_notes = False
    config.parse_overlay = False
    config.parse_symtab_symbols = False
    return config


def _is_whole(binary: Any, data: bytes) -> bool:
    """Whether all segments and the section headers are there."""
    header = binary.header
    ends = [segment.file_offset + segment.physical_size for segment in binary.segments]
    sections = header.section_header_offset + header.section_header_size * header.numberof_sections
    return bool(ends) and max(*ends, sections) <= len(data)


def _segment(module: Any, segment: Any) -> Segment:
    flags = module.Segment.FLAGS
    return Segment(
        kind=name_of(segment.type),
        address=int(segment.virtual_address),
        memory_size=int(segment.virtual_size),
        alignment=int(segment.alignment),
        writable=segment.has(flags.W),
        executable=segment.has(flags.X),
    )


def _text(module: Any, binary: Any, tag: str) -> str | None:
    """The text of a dynamic entry; None where there is none."""
    entry = binary.get(getattr(module.DynamicEntry.TAG, tag))
    if entry is None:
        return None
    return str(entry.name if tag == "SONAME" else getattr(entry, tag.casefold()))


def _flags(module: Any, binary: Any) -> dict[str, bool]:
    tag = module.DynamicEntry.TAG
    values = {one: int(entry.value) for one in (tag.FLAGS, tag.FLAGS_1) if (entry := binary.get(one)) is not None}
    flags, flags_1 = values.get(tag.FLAGS, 0), values.get(tag.FLAGS_1, 0)
    return {
        "has_text_relocations": binary.get(tag.TEXTREL) is not None or bool(flags & 0x4),  # DF_TEXTREL
        # DF_BIND_NOW, DF_1_NOW; without a table of functions there is nothing to bind
        "binds_now": bool(flags & 0x8 or flags_1 & 0x1)
        or any(binary.get(one) is not None for one in (tag.BIND_NOW,))
        or binary.get(tag.JMPREL) is None,
    }


def _exported(module: Any, binary: Any) -> set[str]:
    binding, seen = module.Symbol.BINDING, module.Symbol.VISIBILITY
    return {
        str(symbol.name)
        for symbol in binary.dynamic_symbols
        if symbol.name
        and symbol.shndx not in (_UNDEFINED, _ABSOLUTE)
        and symbol.binding in (binding.GLOBAL, binding.WEAK, binding.GNU_UNIQUE)
        and symbol.visibility in (seen.DEFAULT, seen.PROTECTED)
    }


def _built_api(binary: Any) -> int | None:
    """The API level in the note that the NDK's linker flags leave: name "Android", type 1, a number first."""
    section = binary.get_section(_ANDROID_NOTE)
    if section is None:
        return None
    content = bytes(section.content)
    if len(content) < 24 or content[12:20] != b"Android\0":
        return None
    return int(struct.unpack_from("<I", content, 20)[0])
