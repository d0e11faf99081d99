"""Signatures of bundles: Ed25519 (RFC 8032) of the bytes of a file, in NAME.sig beside it.

manifest.json.sig vouches for everything, since the manifest has the hash of every file. model.plan.sig is what a device
checks that gets a new plan and nothing else: `edgeort_open_signed` of edgeort_signature.h. `openssl pkeyutl -rawin`
makes and verifies the same.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeort.bundle.reading import SIGNATURE, Bundle, open_bundle, signed_names
from edgeort.bundle.writing import pack, writing
from edgeort.errors import BundleError, InputError, MissingExtraError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_NEW_KEY = "openssl genpkey -algorithm ed25519 -out key.pem"
_PUBLIC = "openssl pkey -in key.pem -pubout -out public.pem"


@dataclass(frozen=True)
class Signed:
    """Which files have a signature, and the 32 bytes of the public key that it belongs to."""

    names: tuple[str, ...]
    public_key: bytes


def sign(path: str | os.PathLike[str], key: Path) -> Signed:
    """Signs a bundle, a folder or a .zip, with the private key in a PEM file; earlier signatures are replaced.

    Raises BundleError for a bundle that is not sound, InputError for a file that is no such key, OutputError where the
    signatures cannot be written (the bundle is then as it was), MissingExtraError.
    """
    private = _private_key(key)
    with open_bundle(path) as bundle:
        names = signed_names(bundle.manifest)
        signatures = {f"{name}{SIGNATURE}": private.sign((bundle.folder / name).read_bytes()) for name in names}
        with writing(bundle.path):
            (_add_to_archive if bundle.is_archive else _add_to_folder)(bundle, signatures)
    return Signed(names, private.public_key().public_bytes_raw())


def verify(bundle: Bundle, key: Path) -> Signed:
    """Checks the signatures of an open bundle against the public key in a PEM file.

    Raises BundleError for one that is missing or by another key, InputError for a file that is no such key,
    MissingExtraError.
    """
    public = _public_key(key)
    from cryptography.exceptions import InvalidSignature

    names = signed_names(bundle.manifest)
    for name in names:
        file = bundle.folder / f"{name}{SIGNATURE}"
        if not file.is_file():
            raise BundleError(f"{bundle.path}: {name} is not signed", hint=f"edgeort sign {bundle.path} --key key.pem")
        try:
            public.verify(file.read_bytes(), (bundle.folder / name).read_bytes())
        except InvalidSignature:
            raise BundleError(
                f"{bundle.path}: the signature of {name} is not by {key}",
                hint="do not use this bundle, or ask for the key",
            ) from None
    return Signed(names, public.public_bytes_raw())


def _add_to_folder(bundle: Bundle, signatures: Mapping[str, bytes]) -> None:
    for name, signature in signatures.items():
        place = bundle.folder / name
        partial = place.with_name(f".{place.name}.{os.getpid()}.partial")
        try:
            partial.write_bytes(signature)
            os.replace(partial, place)
        finally:
            partial.unlink(missing_ok=True)


def _add_to_archive(bundle: Bundle, signatures: Mapping[str, bytes]) -> None:
    for name, signature in signatures.items():
        (bundle.folder / name).write_bytes(signature)
    with tempfile.TemporaryDirectory(prefix=f".{bundle.path.name}.", dir=bundle.path.parent) as scratch:
        archive = Path(scratch) / "bundle.zip"
        pack(bundle.folder, archive)
        shutil.copymode(bundle.path, archive)
        os.replace(archive, bundle.path)


def _private_key(path: Path) -> Ed25519PrivateKey:
    _need_cryptography()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    raw = _read(path, _NEW_KEY)
    try:
        key = load_pem_private_key(raw, password=None)
    except (ValueError, TypeError) as error:  # TypeError: it is encrypted
        public = b"PUBLIC KEY-----" in raw
        what = "a public key, and a private one signs" if public else "no private key without a password"
        raise InputError(f"{path}: this is {what}", hint=_NEW_KEY) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"{path}: this key is not of Ed25519", hint=_NEW_KEY)
    return key


def _public_key(path: Path) -> Ed25519PublicKey:
    _need_cryptography()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    raw = _read(path, _PUBLIC)
    try:
        key = load_pem_public_key(raw)
    except ValueError as error:
        if b"PRIVATE KEY-----" not in raw:
            raise InputError(f"{path}: this is no public key in PEM", hint=_PUBLIC) from error
        raise InputError(
            f"{path}: this is a private key, which nobody else should have; its public one checks signatures",
            hint=_PUBLIC.replace("key.pem", str(path)),
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(f"{path}: this key is not of Ed25519", hint=_PUBLIC)
    return key


def _read(path: Path, hint: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", hint=hint) from error


def _need_cryptography() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("signatures need cryptography", hint="pip install 'edgeort[sign]'") from error
