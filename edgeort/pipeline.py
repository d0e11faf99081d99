"""build(): from an ONNX model and a device's profile to a checked bundle. Reads top to bottom as the list of stages."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

import edgeort
from edgeort import lowering, model, passes, toolchain
from edgeort.bench import Measurement, Verdict, enforce, judge, measure
from edgeort.bundle import Bundle, Contents, Manifest, golden, notices, write_bundle
from edgeort.bundle import manifest as manifests
from edgeort.bundle.writing import check_writable
from edgeort.compiling import signature
from edgeort.device_profiles import Profile
from edgeort.devices import Job, open_device
from edgeort.errors import CheckError, DeviceError, InputError, ModelError, OutputError
from edgeort.lowering.plan import PlanBuilder
from edgeort.passes.context import IoLayout
from edgeort.progress import Progress
from edgeort.session import open_plan
from edgeort.validate import Comparison, reference_outputs
from edgeort.validate.validation import compare_with_reference, feeds_of

_TOOLS = ("onnx", "onnx-ir", "onnxruntime", "onnxscript", "ziglang")


@dataclass(frozen=True)
class BuildResult:
    """What a build made. Sizes in bytes; `checked_on` says where the outputs came from that were compared."""

    bundle: Path
    model: str
    device: str
    bundle_bytes: int
    library_bytes: int
    harness_bytes: int
    plan_bytes: int
    arena_bytes: int
    ram_limit: int | None
    nodes: int
    checked_on: str
    comparisons: tuple[Comparison, ...]
    measurement: Measurement | None
    budgets: tuple[Verdict, ...]
    rewrites: dict[str, int]
    refusals: tuple[str, ...]
    seconds: dict[str, float]

    @property
    def max_difference(self) -> float:
        """The largest difference to ONNX Runtime, relative to the range of the output."""
        return max((result.max_difference for result in self.comparisons), default=0.0)

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {**asdict(self), "bundle": str(self.bundle), "max_difference": self.max_difference}


@dataclass
class _Walk:
    """Times the stages, tells of each, and keeps the model after each when asked."""

    progress: Progress | None
    folder: Path | None
    seconds: dict[str, float] = field(default_factory=dict)
    kept: int = 0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        if self.progress:
            self.progress(name)
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start

    def keep(self, name: str, graph: ir.Model) -> None:
        if self.folder is None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            ir.save(graph, self.folder / f"{self.kept:02d}-{name}.onnx")
        except OSError as error:
            raise OutputError(
                f"{self.folder} cannot be written: {error.strerror}", hint="leave out --keep-stages"
            ) from error
        self.kept += 1


def build(
    model_path: str | os.PathLike[str],
    profile: Profile | str,
    out: str | os.PathLike[str],
    *,
    shapes: Mapping[str, Sequence[int | str]] | None = None,
    io_layout: IoLayout = "nchw",
    threads: int | None = None,
    ram_limit: int | None = None,
    keep_stages: bool = False,
    progress: Progress | None = None,
) -> BuildResult:
    """Builds the bundle `out` (a folder, or one archive when it ends in .zip) for a device.

    `shapes` fixes dimensions of inputs; `io_layout` is that of rank-4 inputs and outputs; `threads` is the bundle's
    default, the profile's when None. `ram_limit` is what activations may take, in bytes: the runtime works in smaller
    strips to keep it, or BudgetError says the least that it needs. With `keep_stages`, `<out>.stages/` gets the ONNX
    model after every stage.
    Raises an EdgeortError; then nothing stands at `out` that was not there before.
    """
    if ram_limit is not None and not 0 < ram_limit < 2**63:
        raise InputError(f"ram_limit is {ram_limit}; it is a number of bytes, 1 or more")
    path, out, device = Path(model_path), Path(out), _load_profile(profile)
    target = toolchain.target(device.target.os, device.target.arch)
    check_writable(out)
    walk = _Walk(progress, out.with_name(f"{out.name}.stages") if keep_stages else None)
    with walk.stage("load"):
        graph = model.load(path, shapes=shapes)
        walk.keep("load", graph)
    with walk.stage("clean"):
        graph = model.clean(graph)
        walk.keep("clean", graph)
    with walk.stage("passes"):
        context = _run_passes(graph, device, io_layout, walk)
    with walk.stage("lower"):
        plan = lowering.lower(graph)
        plan.ram_limit = ram_limit or 0
    with walk.stage("compile"):
        levels = tuple(level for level in target.levels if level in device.cpu.isa)
        levels = toolchain.held_levels(plan.ops, levels)
        library, harness = toolchain.library_and_harness(target, plan.ops, levels)
    manifest = _manifest(path, device, target, levels, graph, plan, io_layout, threads)
    contents = _contents(manifest, plan, library, harness)
    with walk.stage("check"):
        inputs = _golden_inputs(path, manifest)
        ran = _run(out, manifest, contents, inputs)
        comparisons = compare_with_reference(path, manifest, inputs, ran.outputs)
    with walk.stage("bundle"):
        contents |= golden.files(inputs, dict(zip(manifest.outputs, ran.outputs, strict=True)))
        sizes = {name: len(c) if isinstance(c, bytes) else c.stat().st_size for name, c in contents.items()}
        verdicts = judge(manifest.budgets, sum(sizes.values()), ran.measurement) if ran.measurement else []
        enforce(verdicts)
        write_bundle(out, manifest, contents)
    return BuildResult(
        bundle=out,
        model=path.stem,
        device=device.name,
        bundle_bytes=sum(sizes.values()),
        library_bytes=sizes[manifest.library],
        harness_bytes=sizes[manifest.harness],
        plan_bytes=sizes["model.plan"],
        arena_bytes=ran.arena_bytes,
        ram_limit=ram_limit,
        nodes=len(plan.nodes),
        checked_on=ran.where,
        comparisons=tuple(comparisons),
        measurement=ran.measurement,
        budgets=tuple(verdicts),
        rewrites=dict(context.counts),
        refusals=tuple(map(str, context.log)),
        seconds=walk.seconds,
    )


def _load_profile(profile: Profile | str) -> Profile:
    from edgeort import device_profiles

    return device_profiles.load(profile) if isinstance(profile, str) else profile


def _run_passes(graph: ir.Model, profile: Profile, io_layout: IoLayout, walk: _Walk) -> passes.PassContext:
    context = passes.PassContext(profile=profile, io_layout=io_layout)
    if walk.folder is None:
        passes.run_passes(graph, context)
        return context
    for step in passes.PASSES:
        passes.run_passes(graph, context, (step,))
        walk.keep(step.__name__, graph)
    return context


def _manifest(
    path: Path,
    profile: Profile,
    target: toolchain.Target,
    levels: tuple[str, ...],
    graph: ir.Model,
    plan: PlanBuilder,
    io_layout: IoLayout,
    threads: int | None,
) -> Manifest:
    inputs, outputs = signature(graph)
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from error
    budgets = {name: value for name, value in asdict(profile.budget).items() if value is not None}
    return Manifest(
        edgeort=edgeort.__version__,
        model=path.stem,
        model_sha256=digest,
        device=profile.name,
        target=manifests.Target(target.os, target.arch, target.triple, levels, profile.cpu.qemu),
        threads=threads or profile.runtime.threads,
        ram_limit=plan.ram_limit,
        io_layout=io_layout,
        inputs=inputs,
        outputs=outputs,
        nodes=tuple(
            manifests.Node(node.name, node.op, "cpu", plan.precision(node), plan.reasons.get(node.name, ""))
            for node in plan.nodes
        ),
        kernels=tuple(plan.ops),
        budgets=budgets,
        tools={name: version(name) for name in _TOOLS},
        library=f"lib/{target.library}",
        harness=f"bin/{target.exe}",
    )


def _contents(manifest: Manifest, plan: PlanBuilder, library: Path, harness: Path) -> dict[str, bytes | Path]:
    """Everything but golden/."""
    return {
        "model.plan": plan.to_bytes(),
        manifest.library: library,
        manifest.harness: harness,
        "include/edgeort.h": toolchain.RUNTIME / "include/edgeort.h",
        **notices.files(),
    }


def _golden_inputs(path: Path, manifest: Manifest) -> list[np.ndarray]:
    """Golden inputs; integers are small where the model looks them up in a table that ends before 127."""
    inputs = list(golden.make_inputs(manifest.inputs).values())
    if any(array.dtype.kind in "iu" and array.itemsize > 1 for array in inputs):
        try:
            reference_outputs(path, feeds_of(manifest, inputs))
        except CheckError:
            return list(golden.make_inputs(manifest.inputs, binary=True).values())
    return inputs


@dataclass(frozen=True)
class _Ran:
    """A run on the golden inputs."""

    outputs: list[np.ndarray]
    where: str
    arena_bytes: int
    measurement: Measurement | None


def _run(out: Path, manifest: Manifest, contents: Contents, inputs: list[np.ndarray]) -> _Ran:
    """The outputs that the bundle, to be written to `out`, gives on the golden inputs.

    From its own harness, here or emulated, where that can be; else from the same plan in a library for this CPU, which
    has to give the same bytes.
    """
    with tempfile.TemporaryDirectory(prefix="edgeort-") as folder:
        place, results = Path(folder) / "bundle", Path(folder) / "outputs"
        results.mkdir()
        try:
            write_bundle(place, manifest, {**contents, **golden.files(inputs, {})})
        except OutputError as error:
            raise OutputError(str(error), hint="set TMPDIR to a folder with room") from error
        trial = Bundle(out, place, manifest)
        try:
            device = open_device(None, manifest)
        except DeviceError as error:
            return _run_here(trial, inputs, error)
        runs = 10 if device.is_real else 1
        job = Job(threads=manifest.threads, runs=runs, warmup=min(runs - 1, 2), outputs=results)
        found = measure(trial, device, job)
        outputs = [np.load(results / f"output{index}.npy") for index in range(len(found.outputs))]
        return _Ran(outputs, device.name, found.arena_bytes, found)


def _run_here(trial: Bundle, inputs: list[np.ndarray], why: DeviceError) -> _Ran:
    engine = open_plan(trial.plan, trial.manifest.kernels, trial.manifest.threads)
    try:
        outputs = engine.run(inputs)
        hint = f" ({why.hint})" if why.hint else ""
        where = f"this machine's build of the same plan; not as built: {why}{hint}"
        return _Ran(outputs, where, engine.stats.arena_bytes, None)
    finally:
        engine.close()
