"""What a provider is: it runs models on some devices, and makes what a bundle needs for that.

A provider answers four questions: can it serve this profile (`cannot_serve`, `missing`); which nodes can it not take,
and why (`refusals`); the artefact (`make`); how it is run and measured: through the C API of edgeort.h, which every
`Made` with a library has, so that sessions, `bench`, `validate` and apps do not ask who is behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import onnx_ir as ir

from edgeort.device_profiles import Profile
from edgeort.lowering.costs import Cost
from edgeort.lowering.storage import SparseWeights
from edgeort.passes.context import IoLayout
from edgeort.recipes.front import Front
from edgeort.values import Value


@dataclass(frozen=True)
class Node:
    """A node of an artefact: who runs it, in which precision, and why not in int8 where the model would allow it.

    `weights`: how those of a product are stored, f32, f16, int8 or int4, "sparse" before it where without their zeros.
    `macs` are its multiply-adds on the golden inputs, `functions` the exponentials and the like that its program
    evaluates, `moved_bytes` the sizes of its operands and results; None where they are not known.
    """

    name: str
    op: str
    provider: str
    precision: str
    reason: str = ""
    weights: str = ""
    macs: int | None = None
    functions: int | None = None
    moved_bytes: int | None = None


@dataclass(frozen=True)
class Refusal:
    """A node that a provider cannot take, and why."""

    node: str
    op: str
    reason: str


class Part(NamedTuple):
    """Software in a bundle: `licence` is an SPDX expression, `source` where it and the licence's text are."""

    name: str
    licence: str
    source: str
    use: str
    version: str = ""


class Stages(Protocol):
    """Tells of the steps of a build, and keeps graphs between them when asked."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Times the block."""

    def tell(self, what: str) -> None:
        """Says how far a stage is."""

    def keep(self, name: str, graph: ir.Model) -> ir.Model:
        """The graph, saved where models are kept."""

    @property
    def keeps(self) -> bool:
        """Whether they are."""


@dataclass(frozen=True)
class Request:
    """What is to be made.

    `parts` of the runtime are those that few libraries have: toolchain.TEXT, SIGNATURE, EMBEDDED; with `static` there
    is a static library, too. `options` are the engine's own settings by name, which stand before those that a provider
    chooses. `front` goes into the graph: the input is then a picture.
    """

    profile: Profile
    io_layout: IoLayout
    threads: int
    ram_limit: int | None
    stages: Stages
    parts: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    front: Front | None = None
    static: bool = False


Costs = Callable[[Mapping[str, tuple[int, ...]]], Sequence[Cost]]


@dataclass(frozen=True)
class Made:
    """An artefact: the `files` of a bundle but for golden/ and licences/, and what its manifest says of them.

    `model` is the file that `edgeort_open` takes, `library` has the C API, `harness` measures ("": there is none).
    `min_sqnr_db` is how near outputs come to those of another run; None: they are the same bytes everywhere.
    `requirements` are pip packages, pinned, that the device needs beside the bundle. `notices` are of what `files` hold
    of others', `tools` the versions of what made it. `costs` gives those of the nodes for inputs of such shapes, by
    name; None: the engine's nodes are its own. With `takes_pictures` a recipe for them is all in it; else golden inputs
    are tensors.
    """

    provider: str
    triple: str
    files: Mapping[str, bytes | Path]
    model: str
    library: str
    harness: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    levels: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ()
    sparse: tuple[SparseWeights, ...] = ()
    min_sqnr_db: float | None = None
    requirements: tuple[str, ...] = ()
    notices: tuple[Part, ...] = ()
    tools: Mapping[str, str] = field(default_factory=dict)
    rewrites: Mapping[str, int] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    costs: Costs | None = None
    takes_pictures: bool = True


class Provider(Protocol):
    """See the module."""

    @property
    def name(self) -> str:
        """As profiles and the command line have it."""

    def missing(self) -> str | None:
        """What this machine lacks to make artefacts, with the command that installs it; None: nothing."""

    def describe(self) -> str:
        """What of it is installed here, and its version."""

    def not_here(self) -> str | None:
        """Why bundles for this very system still cannot run on this machine; None: nothing is known."""
        return None

    def environment(self) -> dict[str, str]:
        """Variables by which bundles find their engine, where it was installed here and is not in them."""
        return {}

    def cannot_serve(self, request: Request) -> str | None:
        """Why the profile's device, or what is asked for, is not for this provider; None: it is."""

    def refusals(self, graph: ir.Model, request: Request) -> list[Refusal]:
        """The nodes of a cleaned model that it cannot take. `graph` is left as it is."""

    def make(self, graph: ir.Model, request: Request) -> Made:
        """The artefact of a cleaned model, which is left as it is. Raises an EdgeortError."""
