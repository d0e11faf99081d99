"""The bundle reader: whatever it is given, it says BundleError, or there is a sound bundle. Files are in memory.

The first byte of an input says what the rest is: a .zip; a manifest without its digest, for which there are files; or
golden data; or samples.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from edgeort.bundle import Manifest, golden, open_bundle, write_bundle
from edgeort.bundle.manifest import _text
from edgeort.bundle.reading import is_bundle
from edgeort.errors import BundleError, InputError
from edgeort.quantize.samples import open_samples
from edgeort.recipes.front import Front
from edgeort.values import Value
from tests.bundle.test_bundle import CONTENTS, MANIFEST

ARCHIVE, MANIFEST_TEXT, ARRAY, SAMPLES = 0, 1, 2, 3
_INPUTS = (Value("x", "float32", (1, 3)),)
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
_ODD: tuple[Any, ...] = (None, True, 0, -1, 1 << 70, 0.5, "", "a", "../x", "/x", "\ud800", "a\0", [], {}, [[]], {"": 1})


def one(data: bytes) -> None:
    """Raises for a bug."""
    if data:
        _FORMS[data[0] % len(_FORMS)](data[1:])


def unsealed(manifest: Manifest) -> bytes:
    """The text of a manifest without its digest."""
    return _text(manifest.to_dict())


@cache
def _place() -> Path:
    """A folder in memory, in which `bundle` is a sound bundle; unpacked ones go there, too."""
    place = Path(tempfile.mkdtemp(prefix="edgeort-fuzz-", dir=MEMORY))
    tempfile.tempdir = str(place)
    write_bundle(place / "bundle", MANIFEST, CONTENTS)
    return place


def _archive(data: bytes) -> None:
    path = _place() / "b.zip"
    path.write_bytes(data)
    is_bundle(path)
    with contextlib.suppress(BundleError), open_bundle(path) as bundle:
        bundle.manifest.to_json()
        _check(bundle.manifest)
    assert {entry.name for entry in _place().iterdir()} <= {"bundle", "b.zip"}, "something is left, or outside"


def _manifest(data: bytes) -> None:
    try:
        told = json.loads(data)
        text = _text({**told, "digest": ""})
    except (ValueError, TypeError, RecursionError):
        return
    digest = hashlib.sha256(text.replace(b'\n  "digest": "",\n', b"\n", 1)).hexdigest().encode()
    sealed = text.replace(b'\n  "digest": "",\n', b'\n  "digest": "%s",\n' % digest, 1)
    (_place() / "bundle/manifest.json").write_bytes(sealed)
    with contextlib.suppress(BundleError), open_bundle(_place() / "bundle") as bundle:
        assert bundle.manifest.to_json() == sealed
        _check(bundle.manifest)


def _check(manifest: Manifest) -> None:
    """What is read is of the types that everything else relies on."""
    assert isinstance(manifest.threads, int) and all(isinstance(value.name, str) for value in manifest.inputs)
    for value in (*manifest.inputs, *manifest.outputs):
        value.text()
    with contextlib.suppress(BundleError, InputError):
        assert isinstance(manifest.front, Front | None)


def _array(data: bytes) -> None:
    with contextlib.suppress(InputError):
        golden.array_of(data)


def _samples(data: bytes) -> None:
    path = _place() / ("x.npz" if data[:2] == b"PK" else "x.npy")
    path.write_bytes(data)
    with contextlib.suppress(InputError):
        for _ in open_samples(path, _INPUTS).limited(3):
            pass
    path.unlink()


_FORMS = (_archive, _manifest, _array, _samples)


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Values of a manifest are changed, moved, left out or added; of all else, bytes."""
    import atheris

    rng = random.Random(seed)
    if not data or data[0] % len(_FORMS) != MANIFEST_TEXT or rng.random() < 0.2:
        return bytes(atheris.Mutate(data, most))
    try:
        told = json.loads(data[1:])
    except (ValueError, RecursionError):
        return bytes(atheris.Mutate(data, most))
    for _ in range(rng.choice([1, 1, 2, 3])):
        told = _changed(told, rng)
    return (data[:1] + json.dumps(told).encode())[:most]


def _changed(value: Any, rng: random.Random) -> Any:
    """The same with another value at one place."""
    if not isinstance(value, (dict, list)) or not value or rng.random() < 0.1:
        return rng.choice(_ODD)
    places = list(value) if isinstance(value, dict) else list(range(len(value)))
    at = rng.choice(places)
    what = rng.randrange(8)
    changed = dict(value) if isinstance(value, dict) else list(value)
    if what == 0:
        del changed[at]
    elif what == 1:
        changed[at] = value[rng.choice(places)]
    elif what == 2 and isinstance(changed, dict):
        changed[rng.choice(("a", "../x", "bin", "lib/x", ""))] = value[at]
    else:
        changed[at] = _changed(value[at], rng)
    return changed
