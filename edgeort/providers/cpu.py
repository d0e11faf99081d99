"""The runtime of this project, with the kernels of this one model: the only provider with the numeric contract."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import onnx_ir as ir

from edgeort import javascript, lowering, passes, toolchain
from edgeort.compiling import signature
from edgeort.elements import NAMES
from edgeort.errors import UnsupportedError
from edgeort.lowering.costs import costs
from edgeort.lowering.plan import PlanBuilder
from edgeort.lowering.storage import sparse_weights
from edgeort.lowering.where_int8 import rates_of
from edgeort.passes.add_picture import add_picture
from edgeort.providers import adapted
from edgeort.providers.provider import Costs, Made, Node, Provider, Refusal, Request
from edgeort.values import Value

NAME = "cpu"
PLAN = "model.plan"
# What the parts of the runtime are to a user.
_PARTS = {
    toolchain.TEXT: "tokenizer (--vocab)",
    toolchain.SIGNATURE: "check of signatures (--signatures)",
    toolchain.EMBEDDED: "model in it (--embed-model): a page fetches both at once",
}
# What JavaScript has arrays of: DTYPES of runtime/javascript/feeds.js.
_NUMBERS = frozenset(NAMES[: NAMES.index("bfloat16") + 1])


class Cpu(Provider):
    """Compiles; see edgeort/runtime."""

    name = NAME

    def missing(self) -> str | None:
        """Nothing: the compiler comes with edgeort."""
        return None

    def describe(self) -> str:
        """The runtime is as old as edgeort."""
        return "the runtime of edgeort, compiled for the device"

    def cannot_serve(self, request: Request) -> str | None:
        """Where there is no code for the system."""
        try:
            target = _target(request)
        except UnsupportedError as error:
            return str(error)
        if request.threads > 1 and (target.is_wasm or target.is_bare):
            return f"the code for {request.profile.name} has one thread, and {request.threads} are asked for"
        if target.is_wasm and request.static:
            return f"the code for {target.os} is a module, and --static asks for a library"
        if target.is_wasm and request.parts:
            return f"the code for {target.os} has no {' and no '.join(map(_PARTS.__getitem__, request.parts))}"
        if target.is_bare and toolchain.TEXT in request.parts:
            return "the tokenizer (--vocab) reads its vocabulary from a file, and there are none without a system"
        return None

    def refusals(self, graph: ir.Model, request: Request) -> list[Refusal]:
        """What is left without a kernel behind the passes."""
        lowered = graph.clone()
        passes.run_passes(lowered, passes.PassContext(profile=request.profile, io_layout=request.io_layout))
        return [adapted.refusal(node, reason) for node, reason in lowering.unsupported_nodes(lowered)]

    def make(self, graph: ir.Model, request: Request) -> Made:
        """Plan, library and harness."""
        lowered, plan, context = _lowered(graph, request)
        target, (inputs, outputs) = _target(request), signature(lowered)
        if target.is_wasm:
            _check_numbers((*inputs, *outputs))
        with request.stages.stage("compile"):
            levels = _levels(request, target, plan)
            raw = plan.to_bytes()
            if target.is_wasm:
                files = _modules(target, plan, levels, len(raw))
            else:
                files = _programs(target, plan, levels, request, raw)
        return Made(
            NAME,
            target.triple,
            {PLAN: raw, **files},
            PLAN,
            f"lib/{target.library}",
            f"bin/{target.exe}" if target.exe else "",
            inputs,
            outputs,
            _nodes(plan),
            levels=levels,
            kernels=tuple(plan.ops),
            sparse=tuple(sparse_weights(plan)),
            min_sqnr_db=_near(graph) if target.is_wasm else None,
            rewrites=dict(context.counts),
            refused=tuple(map(str, context.log)),
            costs=functools.partial(costs, plan, lowered),
        )


def nodes_of(
    graph: ir.Model, request: Request, *, all_int8: bool = False
) -> tuple[tuple[Value, ...], tuple[Node, ...], Costs]:
    """The inputs and nodes that a cleaned model's plan would have, and what gives their costs. Nothing is compiled.

    With `all_int8`, also products for which the profile's cores are faster in float32.
    """
    lowered, plan, _ = _lowered(graph, request, all_int8=all_int8)
    return signature(lowered)[0], _nodes(plan), functools.partial(costs, plan, lowered)


def _lowered(
    graph: ir.Model, request: Request, *, all_int8: bool = False
) -> tuple[ir.Model, PlanBuilder, passes.PassContext]:
    lowered, stages = graph.clone(), request.stages
    with stages.stage("passes"):
        context = _run_passes(lowered, request)
        if request.front is not None:
            last = request.front.form.channels_last or request.io_layout == "nhwc"
            add_picture(lowered, request.front, channels_last=last)
    with stages.stage("lower"):
        plan = lowering.lower(lowered, None if request.ram_limit or all_int8 else rates_of(request.profile))
        plan.ram_limit = request.ram_limit or 0
        plan.leaves_out_zeros = request.profile.target.os != "none"  # flash is larger than memory there
    return lowered, plan, context


def _check_numbers(values: Sequence[Value]) -> None:
    """UnsupportedError for a value that JavaScript has no array for."""
    for value in values:
        if value.dtype not in _NUMBERS:
            raise UnsupportedError(
                f"{value.text()}: bundles for browsers have tensors of numbers alone",
                hint="--postprocess gives numbers without labels=",
            )


def _target(request: Request) -> toolchain.Target:
    return toolchain.target(request.profile.target.os, request.profile.target.arch)


def _levels(request: Request, target: toolchain.Target, plan: PlanBuilder) -> tuple[str, ...]:
    """The levels of the profile that the runtime has kernels of the plan for."""
    levels = tuple(level for level in target.levels if level in request.profile.cpu.isa)
    return toolchain.held_levels(plan.ops, levels)


def _run_passes(graph: ir.Model, request: Request) -> passes.PassContext:
    context = passes.PassContext(profile=request.profile, io_layout=request.io_layout)
    if not request.stages.keeps:
        passes.run_passes(graph, context)
        return context
    for step in passes.PASSES:
        passes.run_passes(graph, context, (step,))
        request.stages.keep(step.__name__, graph)
    return context


def _nodes(plan: PlanBuilder) -> tuple[Node, ...]:
    return tuple(
        Node(node.name, node.op, NAME, plan.precision(node), plan.reasons.get(node.name, ""), plan.weights(node)[0])
        for node in plan.nodes
    )


def _programs(
    target: toolchain.Target, plan: PlanBuilder, levels: tuple[str, ...], request: Request, raw: bytes
) -> dict[str, bytes | Path]:
    """`raw` is the plan as it stands in the bundle."""
    files: dict[str, bytes | Path] = {"include/edgeort.h": toolchain.RUNTIME / "include/edgeort.h"}
    kernels, parts, tell = (target, plan.ops, levels), request.parts, request.stages.tell
    embeds = toolchain.EMBEDDED in parts
    if target.is_bare:
        files["include/edgeort_memory.h"] = toolchain.RUNTIME / "include/edgeort_memory.h"
    if embeds:
        files[f"lib/{target.library}"] = toolchain.embedded_library(*kernels, parts, raw, tell)
    if not target.exe:
        return files if embeds else {**files, f"lib/{target.library}": toolchain.library(*kernels, parts)}
    if embeds:
        files[f"bin/{target.exe}"] = toolchain.harness(*kernels)
    else:
        library, files[f"bin/{target.exe}"] = toolchain.library_and_harness(*kernels, parts, tell)
        files[f"lib/{target.library}"] = library
    if request.static and not target.is_archive:
        make = toolchain.embedded_static_library
        made = make(*kernels, parts, raw) if embeds else toolchain.static_library(*kernels, parts)
        files[f"lib/{toolchain.STATIC}"] = made
    return files


def _modules(
    target: toolchain.Target, plan: PlanBuilder, levels: tuple[str, ...], plan_bytes: int
) -> dict[str, bytes | Path]:
    """A module for each level, of which a page takes one, and one program with all, for engines that have them all."""
    files: dict[str, bytes | Path] = {f"bin/{target.exe}": toolchain.harness(target, plan.ops, levels)}
    stem, dot, kind = target.library.partition(".")
    for level in levels:
        name = f"{stem}{level.removeprefix(levels[0])}{dot}{kind}"
        files[f"lib/{name}"] = toolchain.library(target, plan.ops, (level,))
    files["lib/edgeort.js"] = javascript.joined(plan_bytes)
    files["lib/edgeort.d.ts"] = javascript.FOLDER / "edgeort.d.ts"
    return files


def _near(graph: ir.Model) -> float:
    """How near outputs are to those of an engine that rounds products otherwise (NUMERICS.md, "WebAssembly")."""
    return adapted.QUANTISED_DB if adapted.is_quantised(graph) else adapted.FLOAT_DB
