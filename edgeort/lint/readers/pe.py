"""Windows DLLs, by LIEF."""

from __future__ import annotations

from edgeort.errors import InputError
from edgeort.lint.readers.binaries import damaged, lief, name_of
from edgeort.lint.subjects import Options, PeLibrary

MAGIC = b"MZ"
# IMAGE_DLLCHARACTERISTICS_... and IMAGE_SCN_MEM_... of the PE format
_DYNAMIC_BASE, _NX_COMPAT = 0x0040, 0x0100
_EXECUTE, _WRITE = 0x20000000, 0x80000000


def read(data: bytes, where: str, file_name: str, options: Options) -> PeLibrary:
    """The DLL in `data`. InputError where it is none."""
    if not data.startswith(MAGIC):
        raise InputError(f"{where}: not a DLL")
    with damaged(where, "DLL"):
        return _library(data, where, file_name, options)


def _library(data: bytes, where: str, file_name: str, options: Options) -> PeLibrary:
    binary = lief().PE.parse(data)
    if binary is None:
        raise InputError(f"{where}: a damaged DLL")
    if any(one.pointerto_raw_data + one.sizeof_raw_data > len(data) for one in binary.sections):
        raise InputError(f"{where}: a damaged DLL: it ends within its sections")
    flags = int(binary.optional_header.dll_characteristics)
    exported = [str(one.name) for one in binary.get_export().entries if one.name] if binary.has_exports else []
    return PeLibrary(
        where=where,
        file_name=file_name,
        machine=name_of(binary.header.machine),
        moves=bool(flags & _DYNAMIC_BASE),
        has_no_execute=bool(flags & _NX_COMPAT),
        writable_code=tuple(
            str(one.name) for one in binary.sections if one.characteristics & _EXECUTE and one.characteristics & _WRITE
        ),
        needed=tuple(str(one.name) for one in binary.imports),
        exported=tuple(sorted(exported)),
        prefixes=options.prefixes,
    )
