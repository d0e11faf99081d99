"""manifest.json: its schema, and its own protection against changes.

The text is canonical (sorted keys, two spaces, "\\n"), and its last member `digest` is the SHA-256 of the text without
that member, so that a change of any byte shows.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from edgeort import records
from edgeort.device_profiles import Measured
from edgeort.elements import NAMES
from edgeort.errors import BundleError
from edgeort.providers import Node
from edgeort.recipes.front import Front
from edgeort.values import Value

if TYPE_CHECKING:
    from edgeort.recipes.hearing import Hearing

FORMAT = 3
NAME = "manifest.json"
MAX_BYTES = 64 << 20
INT8 = "int8"  # the precision of nodes that work on quantised integers


@dataclass(frozen=True)
class Target:
    """What the code is compiled for. `qemu` is the -cpu of an emulator that has what the device has, no more."""

    os: str
    arch: str
    triple: str
    isa: tuple[str, ...]
    qemu: str | None = None


@dataclass(frozen=True)
class File:
    """A file of the bundle."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Manifest:
    """What a bundle says about itself. `budgets` are the profile's limits; `files` maps a path with `/` to its hash.

    `artefact` is the file that `edgeort_open` takes, made by `provider`. Outputs are the golden ones bit for bit where
    `min_sqnr_db` is None, else so near to them. `requirements` are pip packages that the device needs, `candidates` the
    table from which the provider was chosen, `measured` what the profile says was measured on the device, but for the
    rates of other engines.
    """

    edgeort: str
    model: str
    model_sha256: str
    device: str
    provider: str
    artefact: str
    target: Target
    threads: int
    ram_limit: int  # bytes that activations may take; 0: any
    io_layout: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    kernels: tuple[str, ...]  # what a library for the plan must hold
    budgets: dict[str, float]
    tools: dict[str, str]
    library: str  # path in the bundle; "": there is none
    harness: str
    min_sqnr_db: float | None = None
    requirements: tuple[str, ...] = ()
    model_licence: str = ""  # an SPDX expression
    candidates: tuple[dict[str, Any], ...] = ()
    measured: Measured | None = None
    preprocessing: dict[str, Any] | None = None  # how pictures become an input: Front.to_dict
    sound: dict[str, Any] | None = None  # how a signal becomes an input: Hearing.to_dict
    quantization: dict[str, Any] | None = None  # how int8 was made, its budget, and what was measured
    postprocessing: dict[str, Any] | None = None  # its `recipe`, and the names of its `outputs`, which come first
    tokenizer: dict[str, Any] | None = None  # `type`, the path of its `vocabulary` in the bundle, whether it is `cased`
    options: dict[str, Any] = field(default_factory=dict)  # of the build, as pipeline/recording.py tells them
    files: dict[str, File] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        data = {"format": FORMAT, **asdict(self)}
        data["inputs"] = [value.to_dict() for value in self.inputs]
        data["outputs"] = [value.to_dict() for value in self.outputs]
        return data

    @property
    def own_outputs(self) -> tuple[Value, ...]:
        """Those of the model itself, behind what post-processing made of them."""
        return self.outputs[len((self.postprocessing or {}).get("outputs", ())) :]

    @property
    def front(self) -> Front | None:
        """How pictures become an input of the model; None where the build saw none. Raises BundleError."""
        return None if self.preprocessing is None else Front.from_dict(self.preprocessing)

    @property
    def hearing(self) -> Hearing | None:
        """How a signal becomes an input of the model; None where the bundle takes none. Raises BundleError."""
        from edgeort.recipes.hearing import Hearing

        return None if self.sound is None else Hearing.from_dict(self.sound)

    @property
    def built_in(self) -> Front | None:
        """The recipe that the bundle's own graph has."""
        front = self.front
        return front if front is not None and front.built_in else None

    @property
    def digest(self) -> str:
        """SHA-256 of what it says, in hex: which bundle this is."""
        return _digest(self.to_dict())

    def to_json(self) -> bytes:
        """The bytes of manifest.json."""
        data = self.to_dict()
        return _text({**data, "digest": _digest(data)})

    @classmethod
    def from_json(cls, raw: bytes, where: str) -> Manifest:
        """The manifest in `raw`. BundleError names `where` when it is not one, of another version, or was changed."""
        try:
            data = json.loads(raw)
            version, digest = data.pop("format"), data.pop("digest")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise BundleError(f"{where}: {NAME} is not the manifest of a bundle", hint=_HINT) from None
        if version != FORMAT:
            raise BundleError(f"{where}: the bundle has format {version!r}; this edgeort reads {FORMAT}", hint=_HINT)
        text = raw.replace(b'\n  "digest": "%s",\n' % str(digest).encode(errors="replace"), b"\n", 1)
        if hashlib.sha256(text).hexdigest() != digest:
            raise BundleError(f"{where}: {NAME} was changed", hint=_HINT)
        try:
            manifest: Manifest = records.decode(cls, data)
            is_canonical = _text(manifest.to_dict()) == text  # also where something is left out that has a default
        except (TypeError, ValueError, RecursionError) as error:
            raise BundleError(f"{where}: {NAME} is not sound: {error}", hint=_HINT) from None
        if not is_canonical:
            raise BundleError(f"{where}: {NAME} was changed", hint=_HINT)
        manifest._check(where)
        return manifest

    def _check(self, where: str) -> None:
        """BundleError for what would lead out of a folder, or nowhere: names are those of files that others make."""
        for name in (self.model, self.device):
            if name in ("", ".", "..") or set(name) & set("/\0"):
                raise BundleError(f"{where}: {NAME} has the name {name!r}, which no file can have", hint=_HINT)
        for value in (*self.inputs, *self.outputs):
            if value.dtype not in NAMES:
                raise BundleError(f"{where}: {value.name!r} is of the unknown type {value.dtype!r}", hint=_HINT)
        made = (self.postprocessing or {}).get("outputs", [])
        if not isinstance(made, list) or made != [value.name for value in self.outputs[: len(made)]]:
            raise BundleError(f"{where}: the outputs do not begin with those of post-processing", hint=_HINT)


_HINT = "build the bundle again: edgeort build MODEL --device NAME"


def _text(data: dict[str, Any]) -> bytes:
    return (json.dumps(data, indent=2, sort_keys=True, ensure_ascii=True) + "\n").encode()


def _digest(data: dict[str, Any]) -> str:
    return hashlib.sha256(_text(data)).hexdigest()
