"""Changes to attributes, tensors and declarations, one function each: types, sizes, numbers, data."""

from __future__ import annotations

import random

import onnx
import onnx.defs
from onnx import AttributeProto, TensorProto, helper

from tests.mutation.places import (
    NAMES,
    Nowhere,
    a_node,
    a_tensor,
    an_attribute,
    an_info,
    graphs,
    nodes,
    one_of,
)

INTEGERS = (0, 1, -1, 2, 3, -2, 5, 7, 8, 63, 64, 255, 1000, 2**16, 2**31 - 1, 2**31, -(2**31), 2**32, 2**40, 2**62)
INTEGERS += (2**63 - 1, -(2**63))
FLOATS = (0.0, -0.0, 1.0, -1.0, float("nan"), float("inf"), float("-inf"), 1e-45, 3e38, -3e38, 0.5, 1e10)
TYPES = (*range(27), 99, -1)  # TensorProto.DataType


def change_attribute(proto: onnx.ModelProto, rng: random.Random) -> None:
    """Another value of the same type, or of another."""
    attribute = an_attribute(proto, rng)
    kind = attribute.type if rng.random() < 0.6 else rng.choice([*range(15), 99])
    _set(attribute, kind, rng)


def _set(attribute: AttributeProto, kind: int, rng: random.Random) -> None:
    old = AttributeProto.FromString(attribute.SerializeToString())
    for field in ("f", "i", "s", "t", "floats", "ints", "strings", "tensors"):
        attribute.ClearField(field)
    if kind in AttributeProto.AttributeType.values():
        attribute.type = kind  # type: ignore[assignment]
    many = rng.choice([0, 1, 2, 3, 9, 70])
    if kind == AttributeProto.FLOAT:
        attribute.f = rng.choice(FLOATS)
    elif kind == AttributeProto.INT:
        attribute.i = rng.choice([*INTEGERS, min(old.i + 1, 2**63 - 1), max(old.i - 1, -(2**63)), ~old.i])
    elif kind == AttributeProto.STRING:
        attribute.s = rng.choice([*(name.encode() for name in NAMES), b"\xff\xfe", b"NOTSET", b"SAME_UPPER", b"linear"])
    elif kind == AttributeProto.TENSOR:
        attribute.t.CopyFrom(_tensor(rng))
    elif kind == AttributeProto.FLOATS:
        attribute.floats.extend(rng.choices(FLOATS, k=many))
    elif kind == AttributeProto.INTS:
        attribute.ints.extend([*old.ints] or rng.choices(INTEGERS, k=many))
        if attribute.ints and rng.random() < 0.7:
            attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(INTEGERS)
        elif attribute.ints:
            attribute.ints[:] = list(attribute.ints) * rng.choice([0, 2, 8])
    elif kind == AttributeProto.STRINGS:
        attribute.strings.extend(rng.choices([name.encode() for name in NAMES], k=many))


def _tensor(rng: random.Random) -> TensorProto:
    kind = rng.choice([TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL, TensorProto.INT32, TensorProto.STRING])
    dims = rng.choice([[], [1], [2], [0], [2, 2], [1, 1, 1], [70], [2**20]])
    tensor = TensorProto(data_type=kind, dims=dims, name=rng.choice(NAMES))
    if kind != TensorProto.STRING and dims != [2**20]:
        count = 1
        for dim in dims:
            count *= dim
        width = {TensorProto.FLOAT: 4, TensorProto.INT64: 8, TensorProto.BOOL: 1, TensorProto.INT32: 4}[kind]
        tensor.raw_data = rng.randbytes(count * width)
    return tensor


def add_attribute(proto: onnx.ModelProto, rng: random.Random) -> None:
    """One that the operator may have, or may not."""
    node = a_node(proto, rng)
    try:
        own = list(onnx.defs.get_schema(node.op_type, node.domain).attributes)
    except onnx.defs.SchemaError:
        own = []
    attribute = node.attribute.add(name=rng.choice([*own, *own, "axis", "nothing", ""]))
    if rng.random() < 0.1:
        attribute.ref_attr_name = "alpha"
    _set(attribute, rng.choice([1, 2, 2, 3, 4, 6, 7, 8]), rng)


def drop_attribute(proto: onnx.ModelProto, rng: random.Random) -> None:
    node = one_of([node for node in nodes(proto) if node.attribute], rng)
    del node.attribute[rng.randrange(len(node.attribute))]


def refer_attribute(proto: onnx.ModelProto, rng: random.Random) -> None:
    an_attribute(proto, rng).ref_attr_name = rng.choice(["alpha", "axis", ""])


def change_dims(proto: onnx.ModelProto, rng: random.Random) -> None:
    """Of a tensor, whose data stays."""
    tensor = a_tensor(proto, rng)
    what = rng.randrange(5)
    if what == 0 and tensor.dims:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(INTEGERS)
    elif what == 1:
        dims = list(tensor.dims)
        rng.shuffle(dims)
        tensor.dims[:] = dims
    elif what == 2:
        tensor.dims.extend([1] * rng.choice([1, 3, 9, 65, 100]))
    elif what == 3:
        tensor.dims[:] = []
    else:
        tensor.dims[:] = rng.choices(INTEGERS, k=rng.choice([1, 2, 4]))


def change_tensor_type(proto: onnx.ModelProto, rng: random.Random) -> None:
    tensor = a_tensor(proto, rng)
    tensor.data_type = rng.choice(TYPES)


def change_data(proto: onnx.ModelProto, rng: random.Random) -> None:
    """Bytes of a tensor, or how many there are."""
    tensor = one_of([t for g in graphs(proto) for t in g.initializer if t.raw_data], rng)
    raw = bytearray(tensor.raw_data)
    what = rng.randrange(4)
    if what == 0:
        raw = raw[: rng.randrange(len(raw))]
    elif what == 1:
        raw += rng.randbytes(rng.choice([1, 4, 8, 64]))
    elif what == 2:
        tensor.float_data.append(1.0)
    else:
        for _ in range(rng.choice([1, 4, 16])):
            raw[rng.randrange(len(raw))] = rng.choice([0, 1, 127, 128, 255])
    tensor.raw_data = bytes(raw)


def change_numbers(proto: onnx.ModelProto, rng: random.Random) -> None:
    """A shape, axis, size or the like that is a constant."""
    held = [t for g in graphs(proto) for t in g.initializer if t.data_type in (TensorProto.INT64, TensorProto.INT32)]
    held += [a.t for n in nodes(proto) for a in n.attribute if a.HasField("t") and a.t.data_type == TensorProto.INT64]
    tensor = one_of([t for t in held if t.raw_data or t.int64_data or t.int32_data], rng)
    try:
        array = onnx.numpy_helper.to_array(tensor).copy()
    except (ValueError, onnx.checker.ValidationError):  # of another mutation
        raise Nowhere from None
    flat = array.reshape(-1)
    if not flat.size:
        raise Nowhere
    value = rng.choice(INTEGERS)
    flat[rng.randrange(flat.size)] = value if -(2**31) <= value < 2**31 or array.itemsize == 8 else -7
    tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))


def input_to_constant(proto: onnx.ModelProto, rng: random.Random) -> None:
    """An operand that runs would give becomes a constant of odd numbers: what a graph does with those is folded."""
    info = one_of([info for info in proto.graph.input if info.type.HasField("tensor_type")], rng)
    kind = info.type.tensor_type.elem_type
    dims = [dim.dim_value or 1 for dim in info.type.tensor_type.shape.dim]
    count = 1
    for dim in dims:
        count *= dim
    if not 0 <= count <= 4096 or kind not in TensorProto.DataType.values() or kind in (0, TensorProto.STRING):
        raise Nowhere
    integer = kind in (TensorProto.INT64, TensorProto.INT32)
    values = rng.choices(INTEGERS if kind == TensorProto.INT64 else (0, 1, 2, 3, 4, 100), k=count)
    if not integer:
        values = rng.choices((0, 1, 1, 2, 3), k=count)
    proto.graph.initializer.append(helper.make_tensor(info.name, kind, dims, values))
    proto.graph.input.remove(info)


def move_data_outside(proto: onnx.ModelProto, rng: random.Random) -> None:
    tensor = a_tensor(proto, rng)
    tensor.data_location = TensorProto.EXTERNAL
    location = rng.choice(["", "/etc/passwd", "../x", "w.bin", "/dev/zero", "/dev/stdin", ".", "model.onnx", "a\0b"])
    tensor.external_data.add(key="location", value=location)
    if rng.random() < 0.5:
        tensor.external_data.add(key=rng.choice(["offset", "length"]), value=rng.choice(["-1", "1e9", "9" * 30, "8"]))
    if rng.random() < 0.5:
        tensor.ClearField("raw_data")


def change_declared_shape(proto: onnx.ModelProto, rng: random.Random) -> None:
    info = an_info(proto, rng)
    shape = info.type.tensor_type.shape
    what = rng.randrange(6)
    if what == 0:
        info.type.tensor_type.ClearField("shape")
    elif what == 1:
        for _ in range(rng.choice([1, 5, 9, 70])):
            shape.dim.add(dim_value=rng.choice([1, 2, 2**31]))
    elif not shape.dim:
        raise Nowhere
    elif what == 2:
        del shape.dim[rng.randrange(len(shape.dim)) :]
    elif what == 3:
        shape.dim[rng.randrange(len(shape.dim))].dim_param = rng.choice([*NAMES, "N", "?"])
    elif what == 4:
        rng.choice(list(shape.dim)).ClearField("dim_value")
    else:
        shape.dim[rng.randrange(len(shape.dim))].dim_value = rng.choice(INTEGERS)


def change_declared_type(proto: onnx.ModelProto, rng: random.Random) -> None:
    info = an_info(proto, rng)
    what = rng.randrange(5)
    if what == 0:
        info.ClearField("type")
    elif what == 1:
        inner = onnx.TypeProto.FromString(info.type.SerializeToString())
        info.type.sequence_type.elem_type.CopyFrom(inner)
    elif what == 2:
        inner = onnx.TypeProto.FromString(info.type.SerializeToString())
        info.type.optional_type.elem_type.CopyFrom(inner)
    else:
        info.type.tensor_type.elem_type = rng.choice(TYPES)
