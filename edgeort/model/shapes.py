"""Shapes of a model's inputs: what the user fixes with `--shape`, and what is free."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import onnx_ir as ir

from edgeort.errors import ShapeError
from edgeort.model.inference import infer_shapes
from edgeort.model.tensors import ELEMENT_LIMIT

UNKNOWN = "?"
DIM_LIMIT = 2**31 - 1
_FORM = (
    "write --shape NAME=1x3x224x224; a dimension is a number, a range such as 1-128, a name, or ? for unknown "
    "(with commas: NAME=1,seq,80); a scalar has none: NAME="
)
_RANGE = re.compile(r"([0-9]{1,10})-([0-9]{1,10})")
_BOUNDS = "edgeort.bounds"  # metadata of a model: JSON, symbol -> [least, greatest]


def parse_shape(text: str) -> tuple[str, tuple[int | str, ...]]:
    """`"x=1x3x224x224"` -> `("x", (1, 3, 224, 224))`.

    A dimension is a whole number from 1, a range of them such as `1-128` (free within it), a name (symbolic), or `?`;
    with commas between them, names may contain an x. A scalar has no dimensions: `"sr="` -> `("sr", ())`.
    Raises ShapeError, whose hint shows the right form.
    """
    name, equals, dims = text.rpartition("=")
    if not equals or not name.strip():
        raise ShapeError(f"'{text}' is not a shape: it names no input", hint=_FORM)
    parts = [part.strip() for part in dims.split("," if "," in dims else "x")] if dims.strip() else []
    return name.strip(), tuple(_parse_dim(part, text) for part in parts)


def parse_shapes(texts: Iterable[str]) -> dict[str, tuple[int | str, ...]]:
    """The shapes of several inputs, each as `parse_shape` takes it. ShapeError when two are of the same input."""
    found: dict[str, tuple[int | str, ...]] = {}
    for text in texts:
        name, dims = parse_shape(text)
        if found.setdefault(name, dims) != dims:
            first, second = map(_dims_text, (found[name], dims))
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
    given = _dims_text(new)
    hint = f"write --shape {name}={'x'.join(map(str, was))}"
    hint += " with a number from 1 in place of each name and ?" if any(isinstance(dim, str) for dim in was) else ""
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
    return "unknown rank" if shape is None else _dims_text(_dims(shape))


def _dims_text(dims: Sequence[int | str]) -> str:
    return "x".join(map(str, dims)) or "scalar"


def _ir_dim(dim: int | str) -> int | str | None:
    return None if dim == UNKNOWN else dim


def _produced(model: ir.Model) -> Iterator[ir.Value]:
    for node in model.graph.all_nodes():
        yield from node.outputs
