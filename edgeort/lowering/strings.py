"""Operators on strings (runtime/kernels/strings), and those that look keys up."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from edgeort.lowering.context import Group, Lowering, attribute, choice, integer, integers, text, unsupported
from edgeort.lowering.layout import STRING
from edgeort.lowering.move import axis_params
from edgeort.lowering.params import PARAMS
from edgeort.lowering.plan import dtype_code
from edgeort.lowering.regex import Unreadable, program
from edgeort.lowering.typed import CODES
from edgeort.recipes.lines import DOMAIN, JOIN

_ACTIONS = ("NONE", "LOWER", "UPPER")


def texts(ctx: Lowering, node: ir.Node, name: str, values: Sequence[str | bytes]) -> int:
    """A constant list of strings."""
    return ctx.weights(f"{node.name}.{name}", np.array(values, object), STRING)


def _concat(ctx: Lowering, node: ir.Node, group: Group) -> None:
    ctx.emit("StringConcat", node)


def _join(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """JoinStrings of recipes/lines.py."""
    ctx.emit("StringJoin", node)


def _split(ctx: Lowering, node: ir.Node, group: Group) -> None:
    delimiter = texts(ctx, node, "delimiter", [text(node, "delimiter")])
    inputs = [ctx.value(node.inputs[0]), delimiter]
    ctx.emit("StringSplit", node, axis_params(axis=integer(node, "maxsplit", -1)), inputs=inputs)


def _normalizer(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """StringNormalizer; the tables of its cases are operands, where it needs them."""
    action = choice(node, "case_change_action", _ACTIONS, "NONE")
    words = [str(word) for word in attribute(node, "stopwords") or ()]  # type: ignore[attr-defined]
    compared = -1 if integer(node, "is_case_sensitive", 0) or not words else _cases(ctx, node, "LOWER")
    changed = -1 if not action else _cases(ctx, node, _ACTIONS[action])
    inputs = [ctx.value(node.inputs[0]), texts(ctx, node, "stopwords", words), compared, changed]
    ctx.emit("StringNormalizer", node, inputs=inputs)


def _cases(ctx: Lowering, node: ir.Node, action: str) -> int:
    return ctx.weights(f"{node.name}.{action.lower()}", case_pairs(action), CODES["i32"])


@functools.cache
def case_pairs(action: str) -> np.ndarray:
    """int32 [n, 2]: characters and the one that they become, where it is one (Unicode's simple mapping)."""
    change = str.upper if action == "UPPER" else str.lower
    codes = (code for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    made = ((code, change(chr(code))) for code in codes)
    return np.array([(code, ord(to)) for code, to in made if len(to) == 1 and ord(to) != code], np.int32)


def _regex(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """RegexFullMatch."""
    ctx.emit("RegexFullMatch", node, inputs=[ctx.value(node.inputs[0]), *_pattern(ctx, node, text(node, "pattern"))])


def _pattern(ctx: Lowering, node: ir.Node, pattern: str) -> list[int]:
    """A program and its ranges."""
    try:
        code, ranges = program(pattern)
    except Unreadable as error:
        raise unsupported(node, f"its pattern {error}", "write it with what both RE2 and Python's re have") from error
    arrays = {"program": np.array(code, np.int64), "ranges": np.array(ranges, np.int64).reshape(-1, 2)}
    return [ctx.weights(f"{node.name}.{name}", array, CODES["i64"]) for name, array in arrays.items()]


def _tokenizer(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Tokenizer of com.microsoft: by a pattern of tokens, of what separates them, or into characters."""
    separators = [str(s) for s in attribute(node, "separators") or ()]  # type: ignore[attr-defined]
    tokens = text(node, "tokenexp")
    mode = 1 if tokens else 0 if separators == [""] else 2
    if mode == 2 and not separators:
        raise unsupported(node, "it has neither separators nor a pattern of tokens")
    pattern = tokens or "|".join(f"(?:{separator})" for separator in separators)
    pad = texts(ctx, node, "pad", [text(node, "pad_value")])
    values = [mode, integer(node, "mark", 0), integer(node, "mincharnum", 1)]
    inputs = [ctx.value(node.inputs[0]), *_pattern(ctx, node, pattern), pad]
    ctx.emit("Tokenizer", node, PARAMS["ListParams"].pack(count=3, values=values), inputs=inputs)


_KINDS = {"strings": object, "int64s": np.int64, "floats": np.float32}
_OTHERS = {"strings": ("string", "_Unused"), "int64s": ("int64", -1), "floats": ("float", -0.0)}


def _listed(node: ir.Node, side: str) -> np.ndarray | None:
    """An attribute of keys or of values, in whichever form it is."""
    tensor = attribute(node, f"{side}_tensor")
    if tensor is not None:
        return tensor.numpy().reshape(-1)  # type: ignore[attr-defined]
    for kind, dtype in _KINDS.items():
        found = attribute(node, f"{side}_{kind}")
        if found is not None:
            return np.array(found, dtype)
    return None


def _default(node: ir.Node, like: np.ndarray) -> np.ndarray:
    """The value of what is no key."""
    tensor = attribute(node, "default_tensor")
    if tensor is not None:
        return tensor.numpy().reshape(-1)  # type: ignore[attr-defined]
    kind = "strings" if like.dtype == object else "int64s" if like.dtype.kind in "iu" else "floats"
    name, other = _OTHERS[kind]
    return np.array([attribute(node, f"default_{name}", other)], like.dtype)


def _label_encoder(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """LabelEncoder; of ai.onnx.ml 1, strings and their numbers."""
    classes = attribute(node, "classes_strings")
    if classes is not None:
        _mapper(ctx, node, np.array(classes, object), np.arange(len(classes)))  # type: ignore[arg-type]
        return
    keys, values = _listed(node, "keys"), _listed(node, "values")
    if keys is None or values is None or keys.size != values.size:
        raise unsupported(node, "it has no value for each of its keys")
    _lookup(ctx, node, keys, values, _default(node, values))


def _category_mapper(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """CategoryMapper: strings to integers, or back."""
    names = np.array(attribute(node, "cats_strings") or (), object)
    _mapper(ctx, node, names, np.array(integers(node, "cats_int64s") or [], np.int64))


def _mapper(ctx: Lowering, node: ir.Node, names: np.ndarray, numbers: np.ndarray) -> None:
    if names.size != numbers.size:
        raise unsupported(node, "it has no number for each of its strings")
    keys, values = (names, numbers) if ctx.code(node.inputs[0]) == STRING else (numbers, names)  # type: ignore[arg-type]
    _lookup(ctx, node, keys, values, _default(node, values))


def _lookup(ctx: Lowering, node: ir.Node, keys: np.ndarray, values: np.ndarray, other: np.ndarray) -> None:
    """Of equal keys the first one counts."""
    x = node.inputs[0]
    assert x is not None
    if keys.dtype == object:
        keys = np.array([key.encode() if isinstance(key, str) else key for key in keys], object)
    if _code(keys) != ctx.code(x):
        raise unsupported(node, "its keys are of another type than its input")
    order = np.argsort(keys, kind="stable")
    arrays = {"keys": keys[order], "values": values[order], "default": other.astype(values.dtype)}
    operands = [ctx.weights(f"{node.name}.{name}", array, _code(array)) for name, array in arrays.items()]
    ctx.emit("Lookup", node, inputs=[ctx.value(x), *operands])


def _code(array: np.ndarray) -> int:
    return STRING if array.dtype == object else dtype_code(ir.DataType.from_numpy(array.dtype).value, "a key or value")


HANDLERS = {
    ("", "StringConcat"): _concat,
    ("", "StringSplit"): _split,
    (DOMAIN, JOIN): _join,
    ("", "StringNormalizer"): _normalizer,
    ("", "RegexFullMatch"): _regex,
    ("com.microsoft", "Tokenizer"): _tokenizer,
    ("ai.onnx.ml", "LabelEncoder"): _label_encoder,
    ("ai.onnx.ml", "CategoryMapper"): _category_mapper,
}
