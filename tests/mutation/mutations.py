"""One change to a model each; MUTATIONS is the list. Each takes the model, which it edits, and the random generator."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable

import onnx
import onnx.defs
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import AttributeProto, TensorProto, helper

from tests.mutation.places import (
    Nowhere,
    a_node,
    a_scope,
    a_tensor,
    an_attribute,
    an_info,
    graphs,
    names,
    nodes,
    one_of,
)

Mutation = Callable[[onnx.ModelProto, random.Random], None]

INTEGERS = (0, 1, -1, 2, 3, -2, 5, 7, 8, 63, 64, 255, 1000, 2**16, 2**31 - 1, 2**31, -(2**31), 2**32, 2**40, 2**62)
INTEGERS += (2**63 - 1, -(2**63))
FLOATS = (0.0, -0.0, 1.0, -1.0, float("nan"), float("inf"), float("-inf"), 1e-45, 3e38, -3e38, 0.5, 1e10)
NAMES = ("", "x", "nothing", "a" * 5000, "a\0b", "../../x", "é界", "%s%n", "a b", "__proto__", "edgeort.quantised")
TYPES = (*range(27), 99, -1)  # TensorProto.DataType
# Of our own, which a file may hold, too.
KEYS = ("edgeort.group", "edgeort.role", "edgeort.bounds", "edgeort.names", "edgeort.activation")


@functools.cache
def operators() -> tuple[tuple[str, str], ...]:
    """Domain and name of every operator that ONNX knows, and those that edgeort gives a meaning."""
    known = {(schema.domain, schema.name) for schema in onnx.defs.get_all_schemas()}
    ours = [("edgeort", "DynamicQuantMatMul"), ("edgeort.nhwc", "Conv"), ("edgeort.standard", "Attention_0")]
    microsoft = ("MatMulNBits", "FusedMatMul", "SkipLayerNormalization", "QLinearAdd", "MultiHeadAttention", "Gelu")
    return (*sorted(known), *ours, *(("com.microsoft", name) for name in microsoft))


def drop_node(proto: onnx.ModelProto, rng: random.Random) -> None:
    scope = a_scope(proto, rng)
    del scope.node[rng.randrange(len(scope.node))]


def repeat_node(proto: onnx.ModelProto, rng: random.Random) -> None:
    scope = a_scope(proto, rng)
    copy = scope.node.add()
    copy.CopyFrom(rng.choice(list(scope.node)[:-1]))
    if rng.random() < 0.5:
        copy.output[:] = [f"{name}.again" for name in copy.output]


def reorder_nodes(proto: onnx.ModelProto, rng: random.Random) -> None:
    scope = a_scope(proto, rng)
    shuffled = [onnx.NodeProto.FromString(node.SerializeToString()) for node in scope.node]
    rng.shuffle(shuffled)
    del scope.node[:]
    scope.node.extend(shuffled)


def rename_input(proto: onnx.ModelProto, rng: random.Random) -> None:
    scope = a_scope(proto, rng)
    node = one_of([node for node in scope.node if node.input], rng)
    node.input[rng.randrange(len(node.input))] = rng.choice([*NAMES, *names(scope) * 3])


def rename_output(proto: onnx.ModelProto, rng: random.Random) -> None:
    scope = a_scope(proto, rng)
    node = one_of([node for node in scope.node if node.output], rng)
    node.output[rng.randrange(len(node.output))] = rng.choice([*NAMES, *names(scope)])


def swap_inputs(proto: onnx.ModelProto, rng: random.Random) -> None:
    node = one_of([node for node in nodes(proto) if len(node.input) > 1], rng)
    order = list(node.input)
    rng.shuffle(order)
    node.input[:] = order


def count_inputs(proto: onnx.ModelProto, rng: random.Random) -> None:
    scope = a_scope(proto, rng)
    node = rng.choice(list(scope.node))
    if node.input and rng.random() < 0.5:
        del node.input[rng.randrange(len(node.input)) :]
    else:
        node.input.extend(rng.choices(["", *names(scope)], k=rng.choice([1, 2, 40])))


def count_outputs(proto: onnx.ModelProto, rng: random.Random) -> None:
    node = a_node(proto, rng)
    if node.output and rng.random() < 0.5:
        del node.output[rng.randrange(len(node.output)) :]
    else:
        node.output.extend(f"{node.name}.more{i}" for i in range(rng.choice([1, 2, 40])))


def make_cycle(proto: onnx.ModelProto, rng: random.Random) -> None:
    scope = a_scope(proto, rng)
    node = one_of([node for node in scope.node if node.input], rng)
    later = [name for other in list(scope.node)[list(scope.node).index(node) :] for name in other.output if name]
    node.input[rng.randrange(len(node.input))] = one_of(later, rng)


def change_operator(proto: onnx.ModelProto, rng: random.Random) -> None:
    node = a_node(proto, rng)
    if rng.random() < 0.1:
        node.op_type = rng.choice(NAMES)
        return
    node.domain, node.op_type = rng.choice(operators())
    if node.domain and rng.random() < 0.8 and node.domain not in {entry.domain for entry in proto.opset_import}:
        proto.opset_import.append(helper.make_opsetid(node.domain, 1))


def change_domain(proto: onnx.ModelProto, rng: random.Random) -> None:
    domain = rng.choice(["ai.onnx", "ai.onnx.ml", "com.microsoft", "edgeort", "edgeort.nhwc", "edgeort.opaque", "é"])
    a_node(proto, rng).domain = domain
    if rng.random() < 0.7:
        proto.opset_import.append(helper.make_opsetid(domain, rng.choice([1, 2, 17])))


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


def rename_info(proto: onnx.ModelProto, rng: random.Random) -> None:
    an_info(proto, rng).name = rng.choice([*NAMES, *names(a_scope(proto, rng))])


def drop_info(proto: onnx.ModelProto, rng: random.Random) -> None:
    graph = rng.choice(graphs(proto))
    field = one_of([f for f in (graph.input, graph.output, graph.initializer, graph.value_info) if f], rng)
    del field[rng.randrange(len(field))]


def repeat_info(proto: onnx.ModelProto, rng: random.Random) -> None:
    graph = rng.choice(graphs(proto))
    field = one_of([f for f in (graph.input, graph.output, graph.initializer, graph.value_info) if f], rng)
    field.add().CopyFrom(rng.choice(list(field)[:-1] or [field[0]]))


def change_versions(proto: onnx.ModelProto, rng: random.Random) -> None:
    if rng.random() < 0.3:
        proto.ir_version = rng.choice([0, 1, 2, 3, 4, 8, 10, 13, 14, 99, 2**40, -1])
    elif proto.opset_import and rng.random() < 0.8:
        entry = rng.choice(list(proto.opset_import))
        entry.version = rng.choice([*range(5, 30), 0, -1, 1, 2**31, 2**63 - 1])
    else:
        proto.opset_import.add(domain=rng.choice(["", "ai.onnx", "é", "a" * 300]), version=rng.choice([1, 17, 2**40]))


def add_metadata(proto: onnx.ModelProto, rng: random.Random) -> None:
    node = a_node(proto, rng)
    values = ("", "anchor", "program", "0", node.name, '{"N": [1, 4]}', '{"N": [5, 1]}', "[1]", "nan", "{" * 2000)
    holder = rng.choice([proto, proto.graph, node, *proto.functions])
    for _ in range(rng.choice([1, 2, 3])):
        holder.metadata_props.add(key=rng.choice(KEYS), value=rng.choice(values))
    if rng.random() < 0.5:
        for key, value in (("edgeort.group", "g"), ("edgeort.role", rng.choice(values))):
            for member in a_scope(proto, rng).node[: rng.choice([1, 3])]:
                member.metadata_props.add(key=key, value=value)


def nest(proto: onnx.ModelProto, rng: random.Random) -> None:
    """The whole graph becomes a branch, over and over; protobuf itself allows some thirty levels."""
    if len(graphs(proto)) > 4:
        raise Nowhere
    for level in range(rng.choice([1, 2, 5, 20])):
        inner = onnx.GraphProto.FromString(proto.graph.SerializeToString())
        outer = onnx.GraphProto(name=f"level{level}", input=inner.input)
        condition = onnx.helper.make_tensor(f"go{level}", TensorProto.BOOL, [], [True])
        outer.initializer.append(condition)
        if rng.random() < 0.9:
            del inner.input[:]
        renamed = [f"{info.name}.{level}" for info in inner.output]
        both = {"then_branch": inner, "else_branch": inner if level < 3 else onnx.GraphProto(name="e")}
        outer.node.append(helper.make_node("If", [condition.name], renamed, **both))
        for info, name in zip(inner.output, renamed, strict=True):
            outer.output.add(name=name, type=info.type)
        proto.graph.CopyFrom(outer)


def wrap_in_function(proto: onnx.ModelProto, rng: random.Random) -> None:
    """A function of the name of a node's operator, with a body that may hold the operator itself."""
    node = a_node(proto, rng)
    function = proto.functions.add(name=node.op_type, domain=node.domain)
    function.input.extend(f"i{k}" for k in range(len(node.input)))
    function.output.extend(f"o{k}" for k in range(len(node.output)))
    inner = function.node.add()
    inner.CopyFrom(node)
    if rng.random() < 0.5:
        inner.op_type = rng.choice(["Identity", "Add", "Relu", node.op_type])
    inner.input[:], inner.output[:] = function.input, function.output
    function.opset_import.extend(proto.opset_import)
    if rng.random() < 0.5:
        node.domain = function.domain = "local"
        proto.opset_import.append(helper.make_opsetid("local", 1))
    if rng.random() < 0.3:
        function.attribute.append("alpha")


def change_body(proto: onnx.ModelProto, rng: random.Random) -> None:
    """Of control flow: its inputs, outputs, or all of it."""
    body = one_of([graph for graph in graphs(proto) if graph is not proto.graph and graph.output], rng)
    what = rng.randrange(5)
    if what == 0:
        del body.output[rng.randrange(len(body.output)) :]
    elif what == 1:
        body.output.add().CopyFrom(body.output[0])
    elif what == 2:
        body.input.add(name="more").type.tensor_type.elem_type = 1
    elif what == 3:
        body.output[0].name = rng.choice(names(a_scope(proto, rng)))
    else:
        body.CopyFrom(onnx.GraphProto.FromString(rng.choice(graphs(proto)).SerializeToString()))


MUTATIONS: tuple[Mutation, ...] = (
    drop_node,
    repeat_node,
    reorder_nodes,
    rename_input,
    rename_output,
    swap_inputs,
    count_inputs,
    count_outputs,
    make_cycle,
    change_operator,
    change_domain,
    change_attribute,
    add_attribute,
    drop_attribute,
    refer_attribute,
    change_dims,
    change_tensor_type,
    change_data,
    change_numbers,
    input_to_constant,
    move_data_outside,
    change_declared_shape,
    change_declared_type,
    rename_info,
    drop_info,
    repeat_info,
    change_versions,
    add_metadata,
    nest,
    wrap_in_function,
    change_body,
)
OFTEN: tuple[Mutation, ...] = (
    *(change_attribute, change_attribute, add_attribute, change_numbers, change_numbers, input_to_constant),
    *(change_declared_shape, change_declared_type, change_operator, rename_input, swap_inputs, drop_attribute),
    *(count_inputs, change_dims, change_tensor_type, change_body, change_versions),
)


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flips, cuts, repeats or fills some bytes of a file."""
    raw = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        at = rng.randrange(len(raw) or 1)
        what = rng.randrange(5)
        if what == 0:
            raw = raw[:at]
        elif what == 1 and raw:
            raw[at : at + 8] = raw[at : at + 8] * 2
        elif raw:
            raw[at] = rng.choice([raw[at] ^ 1 << rng.randrange(8), 0, 255, 127, 128])
        if not raw:
            break
    return bytes(raw)


def mutant(proto: onnx.ModelProto, seed: int) -> tuple[bytes, str]:
    """The file of one mutant, and which mutations made it. The same seed gives the same."""
    rng = random.Random(seed)
    if rng.random() < 0.1:
        return mutate_bytes(proto.SerializeToString(), rng), "mutate_bytes"
    changed = onnx.ModelProto.FromString(proto.SerializeToString())
    told = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        for _ in range(20):
            mutation = rng.choice(MUTATIONS + OFTEN)
            try:
                mutation(changed, rng)
            except (Nowhere, IndexError, DecodeError):  # a graph within itself too often
                continue
            told.append(mutation.__name__)
            break
    return changed.SerializeToString(), ", ".join(told)
