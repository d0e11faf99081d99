"""From a model file to a plan, and the cache that spares a session the way."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeort.cache import cache_dir
from edgeort.device_profiles.rates import macs_per_cycle
from edgeort.errors import OutputError
from edgeort.values import Dims, Value

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeort.device_profiles import Profile
    from edgeort.lowering.plan import PlanBuilder

# Folders whose code decides what stands in a plan.
_COMPILER = ("model", "passes", "lowering")
_TOOLS = ("onnx", "onnx-ir", "onnxscript")


@dataclass(frozen=True)
class CachedPlan:
    """A plan in the cache, the kernels it calls, and what goes in and comes out."""

    path: Path
    ops: tuple[str, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


def plan_of(path: Path, profile: Profile) -> tuple[PlanBuilder, ir.Model]:
    """The plan of the model in that file, and the graph it was lowered from."""
    from edgeort import lowering, model, passes
    from edgeort.lowering.where_int8 import rates_of

    graph = model.clean(model.load(path))
    passes.run_passes(graph, passes.PassContext(profile=profile))
    return lowering.lower(graph, rates_of(profile)), graph


def signature(model: ir.Model) -> tuple[tuple[Value, ...], tuple[Value, ...]]:
    """Inputs and outputs of the graph."""
    from edgeort.model import bounds

    limits = bounds(model)
    inputs, outputs = model.graph.inputs, model.graph.outputs
    return tuple(_value(value, limits) for value in inputs), tuple(_value(value, {}) for value in outputs)


def _value(value: ir.Value, limits: Mapping[str, tuple[int, int]]) -> Value:
    shape: Dims | None = None
    if value.shape is not None:
        shape = tuple(dim if isinstance(dim, int) else dim.value for dim in value.shape)
    dtype = "float32" if value.type is None else _dtype(value.type)
    named = ((axis, dim) for axis, dim in enumerate(shape or ()) if isinstance(dim, str) and dim in limits)
    bounds = tuple((axis, *limits[dim]) for axis, dim in named)
    return Value(str(value.name), dtype, shape, bounds)


def _dtype(kind: ir.TypeProtocol) -> str:
    """As `Value` names it."""
    import onnx_ir as ir

    if isinstance(kind, (ir.SequenceType, ir.OptionalType)):
        return f"{'sequence' if isinstance(kind, ir.SequenceType) else 'optional'}({_dtype(kind.elem_type)})"
    name = kind.dtype.name.lower()
    return {"float": "float32", "double": "float64"}.get(name, name)


def cached_plan(model_file: Path, profile: Profile, make: Callable[[], tuple[PlanBuilder, ir.Model]]) -> CachedPlan:
    """The plan of that file from the user's cache, or `make() -> (plan, lowered graph)` and then kept there.

    A profile whose rates choose other precisions has a plan of its own.

    Safe when two processes do it at once. A model with weights in other files is lowered each time, since its own
    bytes do not tell whether those changed.
    """
    try:
        data = model_file.read_bytes()
    except OSError:
        data = b"location"  # `make` says what is wrong with the file
    plans = cache_dir() / "plans"
    external = b"location" in data
    folder = plans / _key(data, _fingerprint().encode(), repr(macs_per_cycle(profile)).encode())
    if not external and (found := _read(folder)):
        return found
    plan, model = make()
    raw, (inputs, outputs) = plan.to_bytes(), signature(model)
    about = {
        "bytes": len(raw),
        "ops": plan.ops,
        "inputs": [v.to_dict() for v in inputs],
        "outputs": [v.to_dict() for v in outputs],
    }
    if external:
        folder = plans / _key(raw, json.dumps(about).encode())
    try:
        _store(folder, raw, about)
    except OSError as error:
        raise OutputError(
            f"cannot write to the cache {folder}: {error.strerror}", hint="set EDGEORT_CACHE to a folder with room"
        ) from error
    stored = _read(folder)
    assert stored is not None
    return stored


def _key(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:32]


def _read(folder: Path) -> CachedPlan | None:
    """None where it is not there, or damaged as far as it shows without reading all of the plan."""
    plan = folder / "model.plan"
    try:
        about = json.loads((folder / "plan.json").read_text())
        values = {key: tuple(Value.from_dict(value) for value in about[key]) for key in ("inputs", "outputs")}
        return CachedPlan(plan, tuple(about["ops"]), **values) if plan.stat().st_size == about["bytes"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _store(folder: Path, plan: bytes, about: dict[str, Any]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as staging:
        made = Path(staging) / "made"
        made.mkdir()
        (made / "model.plan").write_bytes(plan)
        (made / "plan.json").write_text(json.dumps(about))
        try:
            os.rename(made, folder)
        except OSError:
            if _read(folder):  # another process was first, with the same bytes
                return
            if not folder.exists():
                raise
            os.rename(folder, Path(staging) / "damaged")
            os.rename(made, folder)


@functools.cache
def _fingerprint() -> str:
    """Changes when anything that writes plans changes."""
    digest = hashlib.sha256(" ".join(f"{name} {version(name)}" for name in _TOOLS).encode())
    for name in _COMPILER:
        for path in sorted((Path(__file__).parent / name).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
