"""Shapes of a model: what the user fixes with `--shape`, what is free, and ONNX shape inference for the rest."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import onnx
import onnx_ir as ir

from edgeort.errors import ShapeError
from edgeort.model.tensors import ELEMENT_LIMIT

log = logging.getLogger(__name__)

UNKNOWN = "?"
DIM_LIMIT = 2**31 - 1
RANK_LIMIT = 64  # NumPy's
INFERENCE_ROUNDS = 16  # each needs a Reshape to a computed shape behind that of the round before
VECTOR_LIMIT = 1024  # entries of a shape, generously
BIG_INITIALIZER_BYTES = 1024  # shape inference reads values of small initializers (shapes, axes), never of weights

# operator -> which input holds the shape of the output
_SHAPE_INPUT = {"ConstantOfShape": 0, "Expand": 1, "Reshape": 1}
# operators through which inference follows the values of shapes
_PROPAGATING = frozenset(
    {
        "Add",
        "Cast",
        "Ceil",
        "Concat",
        "Div",
        "Floor",
        "Gather",
        "Identity",
        "Mul",
        "Size",
        "Slice",
        "Squeeze",
        "Sub",
        "Unsqueeze",
    }
)
_OPAQUE = "edgeort.opaque"

_FORM = (
    "write --shape NAME=1x3x224x224; a dimension is a number, a range such as 1-128, a name, or ? for unknown "
    "(with commas: NAME=1,seq,80)"
)
_RANGE = re.compile(r"([0-9]{1,10})-([0-9]{1,10})")
_BOUNDS = "edgeort.bounds"  # metadata of a model: JSON, symbol -> [least, greatest]


def parse_shape(text: str) -> tuple[str, tuple[int | str, ...]]:
    """`"x=1x3x224x224"` -> `("x", (1, 3, 224, 224))`.

    A dimension is a whole number from 1, a range of them such as `1-128` (free within it), a name (symbolic), or `?`;
    with commas between them, names may contain an x.
    Raises ShapeError, whose hint shows the right form.
    """
    name, equals, dims = text.rpartition("=")
    if not equals or not name.strip():
        raise ShapeError(f"'{text}' is not a shape: it names no input", hint=_FORM)
    parts = [part.strip() for part in dims.split("," if "," in dims else "x")]
    return name.strip(), tuple(_parse_dim(part, text) for part in parts)


def parse_shapes(texts: Iterable[str]) -> dict[str, tuple[int | str, ...]]:
    """The shapes of several inputs, each as `parse_shape` takes it. ShapeError when two are of the same input."""
    found: dict[str, tuple[int | str, ...]] = {}
    for text in texts:
        name, dims = parse_shape(text)
        if found.setdefault(name, dims) != dims:
            first, second = ("x".join(map(str, shape)) for shape in (found[name], dims))
            raise ShapeError(f"input {name!r} is given two shapes, {first} and {second}", hint="keep one --shape of it")
    return found


def _parse_dim(part: str, text: str) -> int | str:
    if part == UNKNOWN or re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", part):
        return part
    if ends := _RANGE.fullmatch(part):
        least, most = map(int, ends.groups())
        if not 1 <= least <= most <= DIM_LIMIT:
            raise ShapeError(f"'{text}' is not a shape: {part} is no range from 1 to {DIM_LIMIT}", hint=_FORM)
        return part if least < most else most
    if not re.fullmatch(r"[0-9]{1,10}", part) or not 1 <= int(part) <= DIM_LIMIT:
        what = f"'{part}' is not a dimension from 1 to {DIM_LIMIT}" if part else "a dimension is empty"
        raise ShapeError(f"'{text}' is not a shape: {what}", hint=_FORM)
    return int(part)


def bounds(model: ir.Model) -> dict[str, tuple[int, int]]:
    """Least and greatest size of the symbolic dimensions that `fix_shapes` gave a range."""
    try:
        found = json.loads(model.metadata_props.get(_BOUNDS, "{}"))
        ends = {symbol: (int(least), int(most)) for symbol, (least, most) in found.items()}
    except (ValueError, TypeError, AttributeError, OverflowError):  # not ours
        return {}
    return {symbol: pair for symbol, pair in ends.items() if 1 <= pair[0] <= pair[1] <= DIM_LIMIT}


def free_dimensions(model: ir.Model) -> dict[str, tuple[int | str, ...] | None]:
    """Inputs whose shape is not fixed: name -> dimensions (`?` if nameless), or None where the rank is unknown."""
    found: dict[str, tuple[int | str, ...] | None] = {}
    for value in model.graph.inputs:
        dims = None if value.shape is None else _dims(value.shape)
        if dims is None or any(isinstance(dim, str) for dim in dims):
            found[str(value.name)] = dims
    return found


def fix_shapes(model: ir.Model, shapes: Mapping[str, Sequence[int | str]]) -> ir.Model:
    """Set dimensions of graph inputs, in place, and infer the shapes of everything behind them; returns `model`.

    A name sets (or renames) a symbolic dimension, `?` leaves one as it is, a range such as "1-128" bounds it: see
    `bounds`. A symbol that gets a number gets it everywhere. Raises ShapeError for an unknown input, another rank, and
    contradictions with the model or in `shapes`.
    """
    inputs = {str(value.name): value for value in model.graph.inputs}
    symbols: dict[str, int | str] = {}
    limits = bounds(model)
    for name, dims in shapes.items():
        if name not in inputs:
            listed = ", ".join(f"{key} ({_text(value.shape)})" for key, value in inputs.items()) or "none"
            example = next(iter(inputs), "NAME")
            raise ShapeError(
                f"the model has no input '{name}'; its inputs are {listed}",
                hint=f"write --shape {example}={'x'.join(map(str, dims))}",
            )
        inputs[name].shape = ir.Shape([_ir_dim(dim) for dim in _merge(name, inputs[name].shape, dims, symbols, limits)])
    if limits:
        model.metadata_props[_BOUNDS] = json.dumps(limits)
    outputs = set(model.graph.outputs)
    declared = {value: value.shape for value in _produced(model) if value.shape is not None}
    for value in (*inputs.values(), *declared):
        if value.shape is not None:
            value.shape = ir.Shape([_ir_dim(symbols.get(str(d), d)) for d in _dims(value.shape)])
    # Exporters write down shapes of the one size they traced, also for values that depend on a free dimension.
    forgotten = {value: value.shape for value in declared}
    for value in forgotten:
        value.shape = None
    infer_shapes(model)
    for value, shape in forgotten.items():
        if value.shape is None and value not in outputs:
            value.shape = shape
    return model


def _merge(
    name: str,
    old: ir.Shape | None,
    new: Sequence[int | str],
    symbols: dict[str, int | str],
    limits: dict[str, tuple[int, int]],
) -> list[int | str]:
    """Dimensions of input `name`; records in `symbols` what the model's own stand for, in `limits` their ranges."""
    was = tuple(UNKNOWN for _ in new) if old is None else _dims(old)
    given = "x".join(map(str, new))
    hint = f"write --shape {name}={'x'.join(map(str, was))} with a number from 1 in place of each name and ?"
    if len(was) != len(new):
        raise ShapeError(
            f"input '{name}' has {len(was)} dimensions ({_text(old)}), but {given} has {len(new)}", hint=hint
        )
    if math.prod(map(_largest, new)) > ELEMENT_LIMIT:
        raise ShapeError(f"{given} for input '{name}' is absurdly large", hint=hint)
    merged: list[int | str] = []
    for axis, (before, after) in enumerate(zip(was, new, strict=True)):
        if isinstance(after, str) and _RANGE.fullmatch(after):
            symbol = before if isinstance(before, int) or _is_symbol(before) else f"{name}_{axis}"
            if why := _limit(symbol, after, limits):
                raise ShapeError(f"{given} does not fit input '{name}' ({_text(old)}): {after}, but {why}", hint=hint)
            merged.append(symbol)
            continue
        if after == UNKNOWN:
            merged.append(before)
            continue
        if isinstance(after, int) and after < 1:
            raise ShapeError(f"{given} for input '{name}' has the dimension {after}; they start at 1", hint=hint)
        fixed = symbols.setdefault(before, after) if isinstance(before, str) and _is_symbol(before) else before
        if fixed != after and fixed != UNKNOWN and (isinstance(before, int) or _is_symbol(before)):
            why = f"'{before}' is {fixed} already" if isinstance(before, str) else f"the model fixes {before} there"
            raise ShapeError(f"{given} does not fit input '{name}' ({_text(old)}): {after}, but {why}", hint=hint)
        merged.append(after)
    return merged


def _limit(dim: int | str, text: str, limits: dict[str, tuple[int, int]]) -> str | None:
    """Records the range `text` of a symbol; of that, or of a fixed size, why it cannot be, or None."""
    least, most = map(int, text.split("-"))
    if isinstance(dim, int):
        return None if least <= dim <= most else f"the model fixes {dim} there"
    known = limits.setdefault(dim, (least, most))
    return None if known == (least, most) else f"'{dim}' is {known[0]}-{known[1]} already"


def _largest(dim: int | str) -> int:
    if isinstance(dim, int):
        return dim
    return int(ends[2]) if (ends := _RANGE.fullmatch(dim)) else 1


def _is_symbol(name: str) -> bool:
    """Whether equal names mean equal sizes: some exporters write ?, -1, None or the like for everything unknown."""
    return name.isidentifier() and name.lower() not in {"none", "unk", "unknown", "dynamic"}


def _dims(shape: ir.Shape) -> tuple[int | str, ...]:
    return tuple(dim if isinstance(dim, int) else (dim.value or UNKNOWN) for dim in shape)


def _text(shape: ir.Shape | None) -> str:
    return "unknown rank" if shape is None else "x".join(map(str, _dims(shape))) or "scalar"


def _ir_dim(dim: int | str) -> int | str | None:
    return None if dim == UNKNOWN else dim


def _produced(model: ir.Model) -> Iterator[ir.Value]:
    for node in model.graph.all_nodes():
        yield from node.outputs


def infer_shapes(model: ir.Model) -> ir.Model:
    """Fill in types and shapes of the values that nodes produce, in place, by ONNX shape inference; returns `model`.

    Where a target shape is computed at run time, its length still gives the rank. Never contradicts what is declared;
    leaves the model alone where inference has no answer.
    """
    for _ in range(INFERENCE_ROUNDS):
        learnt = _infer_once(model, data_prop=False) | _set_products(model)
        if not model.functions:  # through whose bodies inference would follow values, too
            learnt |= _set_ranks(model)
            learnt |= _infer_once(model, data_prop=True)
        if not learnt:
            break
    return model


def _infer_once(model: ir.Model, *, data_prop: bool) -> bool:
    """One run of inference, with `data_prop` following the values of shapes; returns whether anything was learnt."""
    try:
        light = without_weights(model, small_only=data_prop)
        inferred = ir.from_proto(onnx.shape_inference.infer_shapes(light, data_prop=data_prop))
    except Exception as error:  # the C++ library and onnx-ir raise their own types, without a common base
        log.warning("shape inference failed, shapes stay as they are: %s", str(error).split("\n")[0])
        return False
    changed = False
    for graph, other in zip(model.graphs(), inferred.graphs(), strict=True):
        found = {value.name: value for node in other for value in node.outputs}
        changed |= _copy_shapes((value for node in graph for value in node.outputs), found)
    return changed


def _set_ranks(model: ir.Model) -> bool:
    """Give the outputs that have no shape one of unknown dimensions, as many as the operator's shape input has entries.

    Returns whether there was one, so that inference can go on behind it. ONNX's own leaves these without a rank.
    """
    changed = False
    for node in model.graph.all_nodes():
        position = _SHAPE_INPUT.get(node.op_type) if node.domain == "" else None
        if position is None or len(node.inputs) <= position or node.outputs[0].shape is not None:
            continue
        target = node.inputs[position]
        if target is None or target.shape is None or len(target.shape) != 1 or not isinstance(target.shape[0], int):
            continue
        rank = target.shape[0]
        if node.op_type == "Expand":
            data = node.inputs[0]
            if data is None or data.shape is None:
                continue
            rank = max(rank, len(data.shape))
        if rank <= RANK_LIMIT:
            node.outputs[0].shape = ir.Shape([None] * rank)
            changed = True
    return changed


def _set_products(model: ir.Model) -> bool:
    """Give the results of com.microsoft's MatMulNBits, which ONNX does not know, types and shapes; whether it did."""
    changed = False
    for node in model.graph.all_nodes():
        if (node.domain, node.op_type) != ("com.microsoft", "MatMulNBits") or node.inputs[0] is None:
            continue
        x, out = node.inputs[0], node.outputs[0]
        if out.type is None and x.type is not None:
            out.type, changed = x.type, True
        if out.shape is None and x.shape is not None and "N" in node.attributes:
            out.shape, changed = ir.Shape([*list(x.shape)[:-1], node.attributes["N"].as_int()]), True
    return changed


def _copy_shapes(values: Iterable[ir.Value], found: Mapping[str | None, ir.Value]) -> bool:
    changed = False
    for value in values:
        source = found.get(value.name)
        if source is None:
            continue
        if value.type is None and source.type is not None:
            value.type = source.type
            changed = True
        if source.shape is not None and source.shape != value.shape:
            value.shape = ir.Shape(list(source.shape))  # not the source's own: deserialised shapes are frozen
            changed = True
    return changed


def without_weights(model: ir.Model, *, small_only: bool = False) -> onnx.ModelProto:
    """The model as a small message: large initializers are declared as inputs, which inference cannot tell apart.

    With `small_only`, shape arithmetic on anything but short vectors is hidden behind operators without a definition:
    inference writes out the elements of every vector that it follows, of however many millions (onnx 1.23).
    """
    light = model.clone()
    graph = light.graph
    for name, value in list(graph.initializers.items()):
        if value.const_value is not None and value.const_value.nbytes > BIG_INITIALIZER_BYTES:
            value.type, value.shape = ir.TensorType(value.const_value.dtype), ir.Shape(value.const_value.shape.numpy())
            del graph.initializers[name]
            value.const_value = None
            graph.inputs.append(value)
    if small_only:
        for node in graph.all_nodes():
            if node.domain == "" and node.op_type in _PROPAGATING and not _is_small(node):
                node.domain = _OPAQUE
                light.opset_imports[_OPAQUE] = 1
    return ir.to_proto(light)


def _is_small(node: ir.Node) -> bool:
    """Whether following the values through `node` is cheap: it never happens from rank 2, and vectors must be short."""
    for value in (*node.inputs, *node.outputs):
        if value is None or (value.shape is not None and len(value.shape) > 1):
            continue
        if value.shape is None or any(not isinstance(dim, int) or dim > VECTOR_LIMIT for dim in value.shape):
            return False
    return True
