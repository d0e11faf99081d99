"""Frameworks and XCFrameworks of Apple's systems, as folders or inside a .zip."""

from __future__ import annotations

import plistlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from xml.parsers.expat import ExpatError

from edgeort.errors import InputError
from edgeort.lint.readers import macho, tree
from edgeort.lint.subjects import (
    Framework,
    Options,
    PrivacyManifest,
    Slice,
    Subject,
    Unreadable,
    XcFramework,
    XcLibrary,
)

_PLISTS = (
    "Info.plist",
    "Resources/Info.plist",
    "Versions/Current/Resources/Info.plist",
    "Versions/A/Resources/Info.plist",
)
_PRIVACY = "PrivacyInfo.xcprivacy"
_MOST_BYTES = 16 << 20  # of a property list
_MOST_LIBRARIES = 64
_PLATFORMS = {"xros": "visionos"}  # of SupportedPlatform, where ours is another name


def read(path: Path, options: Options) -> list[Subject]:
    """The framework at `path` and everything in it. InputError where it is none."""
    if path.is_dir():
        return _read(tree.Folder(path), path.name, options)
    with tree.opened(path) as archive:
        tops = {name.split("/")[0] for name in archive.names} - {"__MACOSX"}
        name = path.name.removesuffix(path.suffix)
        if name not in tops:
            raise InputError(f"{path}: no folder {name} in it")
        return _read(tree.Below(archive, name), name, options)


def _read(files: tree.Tree, name: str, options: Options) -> list[Subject]:
    if name.casefold().endswith(".xcframework"):
        return list(_xcframework(files, options))
    return list(_framework(files, name, options))


def _framework(files: tree.Tree, folder: str, options: Options) -> Iterator[Subject]:
    name = folder.removesuffix(".framework")
    content = next((_plist(files, one) for one in _PLISTS if _is_there(files, one)), None)
    executable = (content or {}).get("CFBundleExecutable")
    slices: tuple[Slice, ...] = ()
    for library in (executable if isinstance(executable, str) else name, name):
        found = next((one for one in (library, f"Versions/A/{library}") if _is_there(files, one)), None)
        if found is not None:
            try:
                slices = macho.read(files.read(found), f"{files.where}/{found}", library, options, in_framework=True)
            except InputError as error:
                yield _unreadable(f"{files.where}/{found}", error)
            break
    if content is None and not slices:
        raise InputError(f"{files.where}: no framework: it has no Info.plist and no library {name}")
    manifests = [_privacy(files, one) for one in files.names if PurePosixPath(one).name == _PRIVACY]
    yield Framework(files.where, name, content, files.names, slices, _declared(manifests))
    yield from slices
    yield from manifests


def _xcframework(files: tree.Tree, options: Options) -> Iterator[Subject]:
    if "Info.plist" not in files.names:
        raise InputError(f"{files.where}: no XCFramework: it has no Info.plist")
    content = _plist(files, "Info.plist")
    manifests = [_privacy(files, one) for one in files.names if PurePosixPath(one).name == _PRIVACY]
    inside: list[Subject] = []
    libraries = [_library(files, entry, options, inside, manifests) for entry in _entries(files, content)]
    folders = {name.split("/")[0] for name in files.names if "/" in name}
    yield XcFramework(files.where, content, tuple(libraries), frozenset(folders), "_CodeSignature" in folders)
    yield from inside
    seen = {one.where for one in inside if isinstance(one, PrivacyManifest)}
    yield from (one for one in manifests if one.where not in seen)


def _entries(files: tree.Tree, content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    entries = content.get("AvailableLibraries", [])
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise InputError(f"{files.where}/Info.plist: AvailableLibraries is no array of dictionaries")
    if len(entries) > _MOST_LIBRARIES:
        raise InputError(f"{files.where}/Info.plist: more than {_MOST_LIBRARIES} libraries")
    for entry in entries:
        for key in ("LibraryIdentifier", "LibraryPath", "SupportedPlatform"):
            if not isinstance(entry.get(key), str):
                raise InputError(f"{files.where}/Info.plist: an entry of AvailableLibraries without {key}")
    return entries


def _library(
    files: tree.Tree,
    entry: Mapping[str, Any],
    options: Options,
    inside: list[Subject],
    manifests: list[PrivacyManifest | Unreadable],
) -> XcLibrary:
    """An entry; what lies in its folder is added to `inside`."""
    identifier, path = entry["LibraryIdentifier"], entry["LibraryPath"]
    headers, architectures = entry.get("HeadersPath"), entry.get("SupportedArchitectures", [])
    place = f"{identifier}/{path}"
    is_folder = any(name.startswith(f"{place}/") for name in files.names)
    slices: tuple[Slice, ...] = ()
    try:
        if is_folder:
            found = list(_framework(tree.Below(files, place), path, options))
            inside += found
            slices = tuple(one for one in found if isinstance(one, Slice))
        elif place in files.names:
            slices = macho.read(files.read(place), f"{files.where}/{place}", PurePosixPath(path).name, options)
            inside += slices
    except InputError as error:
        inside.append(_unreadable(f"{files.where}/{place}", error))
    return XcLibrary(
        identifier=identifier,
        path=path,
        headers=headers if isinstance(headers, str) else None,
        architectures=frozenset(map(str, architectures)) if isinstance(architectures, list) else frozenset(),
        platform=_platform(entry),
        is_there=is_folder or place in files.names,
        has_headers=any(name.startswith(f"{identifier}/{headers}/") for name in files.names),
        slices=slices,
        declared=_declared(manifests),
    )


def _platform(entry: Mapping[str, Any]) -> str:
    system = _PLATFORMS.get(entry["SupportedPlatform"], entry["SupportedPlatform"])
    variant = entry.get("SupportedPlatformVariant")
    if variant == "maccatalyst":
        return "maccatalyst"
    return f"{system}-{variant}" if variant else str(system)


def _is_there(files: tree.Tree, name: str) -> bool:
    if name in files.names:
        return True
    try:
        files.read(name)  # through links
    except InputError:
        return False
    return True


def _plist(files: tree.Tree, name: str) -> Mapping[str, Any]:
    where, data = f"{files.where}/{name}", files.read(name)
    if len(data) > _MOST_BYTES:
        raise InputError(f"{where}: larger than {_MOST_BYTES >> 20} MiB")
    try:
        content = plistlib.loads(data)
    except (
        plistlib.InvalidFileException,
        ExpatError,
        ValueError,
        TypeError,
        LookupError,
        OverflowError,
        RecursionError,
    ) as error:
        raise InputError(f"{where}: not a property list: {error}") from error
    except AttributeError as error:  # plistlib's own, on XML that is no property list
        raise InputError(f"{where}: not a property list") from error
    if not isinstance(content, dict):
        raise InputError(f"{where}: not a property list of keys and values")
    return content


def _privacy(files: tree.Tree, name: str) -> PrivacyManifest | Unreadable:
    try:
        return PrivacyManifest(f"{files.where}/{name}", _plist(files, name))
    except InputError as error:
        return _unreadable(f"{files.where}/{name}", error)


def _declared(manifests: list[PrivacyManifest | Unreadable]) -> frozenset[str] | None:
    """Categories for which a reason is given; None without a manifest."""
    found = [one.content.get("NSPrivacyAccessedAPITypes", []) for one in manifests if isinstance(one, PrivacyManifest)]
    if not found:
        return None
    entries = [entry for each in found if isinstance(each, list) for entry in each if isinstance(entry, dict)]
    kinds = [one.get("NSPrivacyAccessedAPIType") for one in entries if one.get("NSPrivacyAccessedAPITypeReasons")]
    return frozenset(kind for kind in kinds if isinstance(kind, str))


def _unreadable(where: str, error: InputError) -> Unreadable:
    return Unreadable(where, str(error).removeprefix(f"{where}: "))
