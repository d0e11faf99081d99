"""Times of the blocks by other engines on a device, and their rates.

Each block is a model of its own, for a run of such an engine begins and ends with its call, and with inputs and outputs
that it brings into its layout and back. Its time is told by the kernels that the runtime would call for the same block.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

import onnx_ir as ir

import edgeort
from edgeort import model, providers
from edgeort.bench.predicting import RUN
from edgeort.bundle import Manifest
from edgeort.bundle.manifest import Target
from edgeort.device_profiles import KernelRate, Measured, Profile
from edgeort.devices import Transport
from edgeort.errors import DeviceError, UnsupportedError
from edgeort.lowering.costs import Cost
from edgeort.model import counting
from edgeort.probing import blocks
from edgeort.probing.programs import printed
from edgeort.probing.rates import Explained, Timed, explain
from edgeort.probing.timing import plan
from edgeort.progress import Progress
from edgeort.providers import Made, Provider, Request
from edgeort.providers.adapted import FOLDER

_PASSES = 3  # over all blocks, for what makes one slower may last; the fastest counts
_SHARE = 20  # of the time of a measurement, a block's in a pass: there are many, and each is loaded anew
_PARTS = 4  # of the runs of a pass
_KINDS = ("float32", "int8")


class _Silent:
    """Stages that nobody hears of."""

    keeps = False

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Nothing."""
        yield

    def tell(self, what: str) -> None:
        """Nothing."""

    def keep(self, name: str, graph: ir.Model) -> ir.Model:
        """Nothing."""
        return graph


def candidates() -> list[Provider]:
    """Those that are not the runtime itself."""
    return [provider for provider in providers.PROVIDERS if provider.name != "cpu"]


def measure(
    provider: Provider, there: Transport, profile: Profile, peaks: Measured, milliseconds: int, say: Progress
) -> tuple[str, Explained]:
    """The engine with its version, and its rates on the device, for one thread and those of `peaks`.

    EdgeortError says why it cannot be measured there.
    """
    request = Request(profile, "nchw", peaks.threads, None, _Silent())
    if reason := provider.missing() or provider.cannot_serve(request):
        raise UnsupportedError(reason)
    with tempfile.TemporaryDirectory(prefix="edgeort-") as name:
        say(f"converting blocks for {provider.name}")
        watch = _Stopwatch(provider, there, request, Path(name), milliseconds / _SHARE)
        timed: dict[int, list[Timed]] = {}
        for threads in sorted({1, peaks.threads}):
            timed[threads] = watch.time(threads, say)
    found = explain(timed, peaks)
    return watch.version, replace(found, kernels=(*found.kernels, *_free(timed, found.kernels)))


def _free(timed: Mapping[int, Sequence[Timed]], known: Sequence[KernelRate]) -> Iterator[KernelRate]:
    """Kernels whose work takes the engine no time of its own: it is a part of what stands before."""
    named = {(rate.op, rate.threads) for rate in known}
    for threads, times in timed.items():
        for op in dict.fromkeys(op for block in times for op, cost in block.kernels if cost.moved_bytes):
            if (op, threads) not in named:
                yield KernelRate(op, threads, 0.0)


class _Stopwatch:
    """The blocks that an engine takes, on the device as models, ready to be timed."""

    def __init__(
        self, provider: Provider, there: Transport, request: Request, folder: Path, milliseconds: float
    ) -> None:
        self._name, self._there, self._milliseconds = provider.name, there, max(1, round(milliseconds))
        self._kernels: dict[str, tuple[tuple[str, Cost], ...]] = {}
        files: dict[str, Path] = {}
        for kind in _KINDS:
            costed = plan(kind == "int8", request.profile, all_int8=True)
            for branch, graph, border in _models(kind == "int8"):
                try:
                    made = provider.make(graph, request)
                except UnsupportedError:
                    continue  # a kernel that stands in such blocks alone gets no rate
                if not self._kernels:
                    self._environment = there.admit(_manifest(made, request))
                    self._harness, self._model = made.harness, made.model.removeprefix(f"{FOLDER}/")
                    self.version = ", ".join(made.requirements) or provider.describe()
                block = f"{kind}/{branch}"
                self._kernels[block] = (*costed.kernels(branch), (RUN, Cost(0, 0, border)))
                files |= _files(made, block, folder)
        if not self._kernels:
            raise UnsupportedError(f"{provider.name} takes none of the blocks")
        self._folder = there.push(files)

    def time(self, threads: int, say: Progress) -> list[Timed]:
        """Every block with so many threads; `say` hears how long it takes. DeviceError where it does not run there."""
        what, passes = f"timing {self._name} with {threads} thread(s)", list[dict[str, float]]()
        say(f"{what}: {len(self._kernels)} blocks, {_PASSES} times")
        for left in reversed(range(_PASSES)):
            began = time.monotonic()
            passes.append({block: self._us(block, threads) for block in self._kernels})
            if left:
                say(f"{what}: about {math.ceil(left * (time.monotonic() - began))} s more")
        return [Timed(block, kernels, min(us[block] for us in passes)) for block, kernels in self._kernels.items()]

    def _us(self, block: str, threads: int) -> float:
        """Microseconds of a run."""
        arguments = [f"{self._folder}/{self._harness}", f"{self._folder}/{block}/{self._model}", "--json"]
        options = {"--threads": threads, "--time": f"{self._milliseconds}ms", "--warmup": 3}
        arguments += [str(part) for pair in options.items() for part in pair]
        times = printed(self._there, arguments, "the harness", self._environment)["latencies_ms"]
        if not times:
            raise DeviceError(f"the harness timed no run on {self._there.name}")
        size = max(1, len(times) // _PARTS)
        return 1e3 * min(median(times[at : at + size]) for at in range(0, size * min(_PARTS, len(times)), size))


def _models(quantised: bool) -> Iterator[tuple[str, ir.Model, int]]:
    """The blocks by name, each with the bytes that cross its borders."""
    for branch, net in blocks.networks(quantised):
        graph = model.infer_shapes(net.model())  # there is nothing to clean
        shapes = (counting.fixed(value) for value in (*graph.graph.inputs, *graph.graph.outputs))
        yield branch, graph, sum(4 * math.prod(shape) for shape in shapes if shape is not None)  # all are float32


def _files(made: Made, block: str, folder: Path) -> dict[str, Path]:
    """What a run needs: the engine at its place, the model and its settings below the block's name."""
    found: dict[str, Path] = {}
    for name, content in made.files.items():
        top, _, rest = name.partition("/")
        if top not in (FOLDER, "lib", "bin"):
            continue
        place = f"{block}/{rest}" if top == FOLDER else name
        if isinstance(content, bytes):
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            content = path
        found[place] = content
    return found


def _manifest(made: Made, request: Request) -> Manifest:
    """What a transport asks of the bundles of an engine."""
    target = request.profile.target
    return Manifest(
        edgeort=edgeort.__version__,
        model="blocks",
        model_sha256="",
        device=request.profile.name,
        provider=made.provider,
        artefact=made.model,
        target=Target(target.os, target.arch, made.triple, made.levels, request.profile.cpu.qemu),
        threads=request.threads,
        ram_limit=0,
        io_layout=request.io_layout,
        inputs=(),
        outputs=(),
        nodes=(),
        kernels=(),
        budgets={},
        tools={},
        library=made.library,
        harness=made.harness,
        min_sqnr_db=made.min_sqnr_db,
        requirements=made.requirements,
    )
