"""Opening a bundle: every file is there, is the one the manifest names, and nothing else is."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shlex
import stat
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from edgeort.bundle.manifest import MAX_BYTES, NAME, Manifest
from edgeort.errors import BundleError, OutputError
from edgeort.recipes.written import FOLDER as POSTPROCESS
from edgeort.unreadable import UNREADABLE

SIGNATURE = ".sig"  # behind the name of a file: its signature (bundle/signing.py)
SIGNATURE_BYTES = 64

# What a bundle has at its top.
TOPS = frozenset(
    {NAME, f"{NAME}{SIGNATURE}", "model.plan", f"model.plan{SIGNATURE}", "model", "lib", "include", "bin", "golden"}
    | {"licences", "python", "tokenizer", POSTPROCESS, "requirements.txt", "run.py", "README.md"}
)
MAX_FILES = 10_000
MAX_TOTAL_BYTES = 8 << 30
MAX_RATIO = 200  # unpacked to packed, of a whole archive: weights do not compress tenfold

_COMPILED = "python/__pycache__/"  # what Python writes where the module of a bundle is imported

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)  # where an archive is unpacked to
_AGAIN = "build or copy the bundle again"


@dataclass
class Bundle:
    """An open, verified bundle. `folder` holds its files; those of a .zip are unpacked until `close`."""

    path: Path  # as the user knows it
    folder: Path
    manifest: Manifest
    _unpacked: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)

    @property
    def artefact(self) -> Path:
        """The file that `edgeort_open` takes."""
        return self.folder / self.manifest.artefact

    @property
    def library(self) -> Path:
        """The shared library for the target."""
        return self.folder / self.manifest.library

    @property
    def harness(self) -> Path:
        """The measuring program for the target."""
        return self.folder / self.manifest.harness

    @property
    def golden(self) -> Path:
        """The folder with the golden inputs and outputs."""
        return self.folder / "golden"

    @property
    def is_archive(self) -> bool:
        """Whether it is a .zip."""
        return self._unpacked is not None

    @property
    def size_bytes(self) -> int:
        """Of all files, without the manifest."""
        return sum(entry.size_bytes for entry in self.manifest.files.values())

    def close(self) -> None:
        """Removes what was unpacked."""
        if self._unpacked is not None:
            self._unpacked.cleanup()
            self._unpacked = None

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def signed_names(manifest: Manifest) -> tuple[str, ...]:
    """The files that have a signature in a signed bundle: the manifest, and a plan, which an app may load alone."""
    return (NAME, manifest.artefact) if manifest.provider == "cpu" else (NAME,)


def looks_like_bundle(path: str | os.PathLike[str]) -> bool:
    """Whether `path` is a folder or .zip that claims to be a bundle; `open_bundle` says whether it is a sound one."""
    path = Path(path)
    if path.is_dir():
        return (path / NAME).is_file()
    return path.is_file() and zipfile.is_zipfile(path) and path.suffix == ".zip"


def is_bundle(path: Path) -> bool:
    """Whether `path` holds a bundle of ours and nothing else, sound or not: what may be replaced by a new one."""
    try:
        if path.is_dir():
            tops, raw = {entry.name for entry in path.iterdir()}, (path / NAME).read_bytes()
        else:
            with zipfile.ZipFile(path) as archive:
                tops, raw = {name.split("/")[0] for name in archive.namelist()}, archive.read(NAME)
        manifest = json.loads(raw)
        return tops <= TOPS and isinstance(manifest, dict) and {"edgeort", "format", "digest"} <= set(manifest)
    except UNREADABLE:
        return False


def open_bundle(path: str | os.PathLike[str]) -> Bundle:
    """The bundle at `path`, a folder or a .zip. BundleError names the first file that is missing, changed or alien."""
    path = Path(path)
    if path.is_dir():
        return Bundle(path, path, _verify(path, str(path)))
    if not path.exists():
        raise BundleError(f"{path}: there is no such bundle", hint="edgeort build MODEL --device NAME")
    if not zipfile.is_zipfile(path):
        model = shlex.quote(str(path)) if path.suffix == ".onnx" else "MODEL"
        raise BundleError(
            f"{path}: this is neither a bundle's folder nor a .zip", hint=f"edgeort build {model} --device host"
        )
    unpacked = tempfile.TemporaryDirectory(prefix="edgeort-", ignore_cleanup_errors=True)
    try:
        folder = Path(unpacked.name)
        _unpack(path, folder)
        return Bundle(path, folder, _verify(folder, str(path)), unpacked)
    except BaseException:
        unpacked.cleanup()
        raise


def _verify(folder: Path, where: str) -> Manifest:
    try:
        with (folder / NAME).open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise BundleError(
            f"{where}: {NAME} is missing: this is not a bundle", hint="edgeort build MODEL --device NAME"
        ) from None
    except OSError as error:
        raise BundleError(f"{where}: {NAME} cannot be read: {error.strerror}", hint=_AGAIN) from error
    if len(raw) > MAX_BYTES:
        raise BundleError(f"{where}: {NAME} has over {MAX_BYTES} bytes: this is not a bundle", hint=_AGAIN)
    manifest = Manifest.from_json(raw, where)
    for name in manifest.files:
        _check_name(name, where)
    present = _names(folder, where)
    signatures = {f"{name}{SIGNATURE}" for name in signed_names(manifest)} & present
    for name in sorted(signatures):
        if (folder / name).stat().st_size != SIGNATURE_BYTES:
            raise BundleError(f"{where}: {name} is not {SIGNATURE_BYTES} bytes: this is no signature", hint=_AGAIN)
    for name in sorted(present - set(manifest.files) - signatures - {NAME}):
        raise BundleError(f"{where}: {name} does not belong to the bundle", hint=f"remove it, or {_AGAIN}")
    for name, entry in sorted(manifest.files.items()):
        if name not in present:
            raise BundleError(f"{where}: {name} is missing", hint=_AGAIN)
        if _sha256(folder / name, where) != entry.sha256:
            raise BundleError(f"{where}: {name} was changed", hint=_AGAIN)
    for role in filter(None, (manifest.library, manifest.harness, manifest.artefact)):
        if role not in manifest.files and not any(name.startswith(f"{role}/") for name in manifest.files):
            raise BundleError(f"{where}: {NAME} lists no {role}", hint=_AGAIN)
    return manifest


def _names(folder: Path, where: str) -> set[str]:
    """Paths of all files below `folder`; a link would lead out of what the manifest vouches for."""
    found: set[str] = set()
    for base, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(base) / name
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink():
                raise BundleError(f"{where}: {relative} is a link", hint=_AGAIN)
        found.update((Path(base) / name).relative_to(folder).as_posix() for name in files)
    return {name for name in found if not name.startswith(_COMPILED)}


def _sha256(path: Path, where: str) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"{where}: {path.name} cannot be read: {error.strerror}", hint=_AGAIN) from error


def _check_name(name: str, where: str) -> None:
    parts = PurePosixPath(name).parts
    sane = name == "/".join(parts) and not {"..", "/", "."} & set(parts) and not set(name) & set("\\:\0")
    if not sane or not parts:
        raise BundleError(f"{where}: {name!r} is a path out of the bundle", hint="do not use this bundle")


def _unpack(path: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
            _check_members(members, path)
            for info in members:
                to = folder / info.filename
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(archive.read(info))
                if info.filename.startswith("bin/"):
                    to.chmod(0o755)
    except BundleError:
        raise
    except UNREADABLE as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            hint = "set TMPDIR to a folder with room"
            raise OutputError(f"{path}: cannot be unpacked to {folder}: {error.strerror}", hint=hint) from error
        raise BundleError(f"{path}: the archive is damaged: {error}", hint=_AGAIN) from error


def _check_members(members: list[zipfile.ZipInfo], path: Path) -> None:
    where = str(path)
    total = sum(info.file_size for info in members)
    if len(members) > MAX_FILES or total > MAX_TOTAL_BYTES or total > MAX_RATIO * path.stat().st_size:
        raise BundleError(
            f"{where}: the archive unpacks to {len(members)} files of {total} bytes: this is no bundle", hint=_AGAIN
        )
    seen: set[str] = set()
    for info in members:
        _check_name(info.filename, where)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise BundleError(f"{where}: {info.filename} is a link", hint=_AGAIN)
        if info.filename in seen:
            raise BundleError(f"{where}: {info.filename} stands in the archive twice", hint=_AGAIN)
        seen.add(info.filename)
