"""What rules speak of: each type holds what was read from a file, and no file of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Options:
    """What the caller knows: prefixes of the names that a library may export, and the lowest API level of the app."""

    prefixes: tuple[str, ...] = ()
    min_sdk: int | None = None


@dataclass(frozen=True)
class Segment:
    """A program header of an ELF file, sizes and addresses in bytes. `kind` is `load`, `gnu_relro`, `gnu_stack`, ..."""

    kind: str
    address: int
    memory_size: int
    alignment: int
    writable: bool
    executable: bool


@dataclass(frozen=True)
class ElfLibrary:
    """An ELF shared library. `machine` is `aarch64`, `arm`, `x86_64`, `i386` or what LIEF calls another one.

    `min_api` is the lowest Android API level it meets: that of the app, else of the library's own note; None: unknown.
    """

    where: str
    file_name: str
    machine: str
    is_64: bool
    is_android: bool
    built_api: int | None
    min_api: int | None
    soname: str | None
    needed: tuple[str, ...]
    run_paths: tuple[str, ...]
    segments: tuple[Segment, ...]
    has_text_relocations: bool
    binds_now: bool
    exported: tuple[str, ...]
    sections: tuple[str, ...]
    prefixes: tuple[str, ...]
    in_archive: bool

    def of_kind(self, kind: str) -> list[Segment]:
        """Its program headers of one kind."""
        return [segment for segment in self.segments if segment.kind == kind]


@dataclass(frozen=True)
class Manifest:
    """Of an AndroidManifest.xml; None: not given, or not as a number."""

    package: str | None
    min_sdk: int | None
    target_sdk: int | None
    extracts_libraries: bool | None
    is_debuggable: bool
    is_test_only: bool


@dataclass(frozen=True)
class Member:
    """A file of a zip archive: where its data starts, and whether they stand there as they are."""

    name: str
    offset: int
    is_stored: bool


@dataclass(frozen=True)
class AndroidArchive:
    """An .apk or .aar. `libraries` maps an ABI to its ELF libraries, `members` is every file."""

    where: str
    is_app: bool
    manifest: Manifest | None
    members: Mapping[str, Member]
    libraries: Mapping[str, tuple[ElfLibrary, ...]]
    signatures: frozenset[str]  # of "v1" (a jar's), "v2" (the block before the central directory, whatever its schemes)


@dataclass(frozen=True)
class Slice:
    """The code for one architecture in a Mach-O file; in an archive of objects, that of all objects together.

    `platforms` has `ios`, `ios-simulator`, `macos`, `maccatalyst`, ... ; `minimum` is the lowest version of the system.
    """

    where: str
    file_name: str
    architecture: str
    kind: str  # "dylib", "object" or another of LIEF's names
    platforms: frozenset[str]
    minimum: tuple[int, ...] | None
    install_name: str | None
    libraries: tuple[str, ...]
    writable_code: tuple[str, ...]
    exported: tuple[str, ...]
    undefined: frozenset[str]
    sections: frozenset[str]  # "__LLVM,__bitcode"
    is_signed: bool
    in_framework: bool
    prefixes: tuple[str, ...]


@dataclass(frozen=True)
class Framework:
    """A .framework. `plist` is None where there is none; `files` are paths below it; `declared` the categories of its
    privacy manifest, None without one."""

    where: str
    name: str
    plist: Mapping[str, Any] | None
    files: tuple[str, ...]
    slices: tuple[Slice, ...]
    declared: frozenset[str] | None

    @property
    def platforms(self) -> frozenset[str]:
        """Of all its slices."""
        return frozenset().union(*(one.platforms for one in self.slices))

    @property
    def is_flat(self) -> bool:
        """Whether its system wants all files at the top: all but macOS and Mac Catalyst do."""
        return not self.platforms & {"macos", "maccatalyst"}


@dataclass(frozen=True)
class PrivacyManifest:
    """A PrivacyInfo.xcprivacy: its content, and where it is."""

    where: str
    content: Mapping[str, Any]


@dataclass(frozen=True)
class XcLibrary:
    """An entry of AvailableLibraries and what lies in its folder."""

    identifier: str
    path: str
    headers: str | None
    architectures: frozenset[str]
    platform: str  # as in Slice.platforms
    is_there: bool
    has_headers: bool
    slices: tuple[Slice, ...]
    declared: frozenset[str] | None = None


@dataclass(frozen=True)
class XcFramework:
    """An .xcframework: its Info.plist, the libraries that it lists, and the folders that are there."""

    where: str
    plist: Mapping[str, Any]
    libraries: tuple[XcLibrary, ...]
    folders: frozenset[str]
    is_signed: bool


@dataclass(frozen=True)
class PeLibrary:
    """A DLL of Windows."""

    where: str
    file_name: str
    machine: str
    moves: bool  # DYNAMIC_BASE
    has_no_execute: bool  # NX_COMPAT
    writable_code: tuple[str, ...]
    needed: tuple[str, ...]
    exported: tuple[str, ...]
    prefixes: tuple[str, ...]


@dataclass(frozen=True)
class Unreadable:
    """A file inside of another that is not what its name says."""

    where: str
    reason: str


Subject = ElfLibrary | AndroidArchive | Slice | Framework | PrivacyManifest | XcFramework | PeLibrary | Unreadable
