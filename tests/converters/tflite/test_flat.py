"""The literal schema is LiteRT's, and the file says what was put into it."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

from edgeort.converters.tflite import flat, schema
from edgeort.converters.tflite.graph import Graph, Quant
from edgeort.errors import MissingExtraError, OutputError

generated = pytest.importorskip("ai_edge_litert.schema_py_generated")
pytest.importorskip("flatbuffers")
SOURCE = inspect.getsource(generated)
KINDS = {"bool": "Bool", "int8": "Int8", "uint8": "Uint8", "int32": "Int32", "uint32": "Uint32", "float32": "Float32"}


def slots(table: str) -> dict[str, tuple[int, str]]:
    """field -> (slot, kind of its Prepend) of the module that LiteRT's schema compiler wrote."""
    pattern = rf"def {table}Add(\w+)\(builder, \w+\):\s*builder\.Prepend(\w+)Slot\((\d+),"
    return {
        re.sub(r"(?<!^)(?=[A-Z])", "_", f).lower(): (int(slot), kind) for f, kind, slot in re.findall(pattern, SOURCE)
    }


@pytest.mark.parametrize("table", schema.TABLES)
def test_slots(table: str):
    theirs = slots(table)
    for field, (slot, kind) in schema.TABLES[table].items():
        assert theirs[field] == (slot, KINDS.get(kind, "UOffsetTRelative")), field


def test_defaults_are_zero_or_listed():
    for table, fields in schema.TABLES.items():
        for field, (slot, kind) in fields.items():
            if kind in KINDS:
                pattern = rf"def {table}Add\w+\(builder, \w+\):\s*builder\.Prepend\w+Slot\({slot}, \w+, ([\w.]+)\)"
                (default,) = re.findall(pattern, SOURCE)
                wanted = schema.DEFAULTS.get((table, field), 0)
                assert {"False": 0.0, "True": 1.0}.get(default) == wanted or float(default) == wanted, (table, field)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({name.upper(): number for name, number in schema.TYPES.items()}, "TensorType"),
        (schema.ACTIVATIONS, "ActivationFunctionType"),
        (schema.PADDINGS, "Padding"),
        (schema.MIRRORS, "MirrorPadMode"),
        (schema.UNION, "BuiltinOptions"),
        ({name: code for name, (code, _) in schema.OPERATORS.items()}, "BuiltinOperator"),
    ],
)
def test_numbers(ours: dict[str, int], theirs: str):
    for name, number in ours.items():
        assert getattr(getattr(generated, theirs), name) == number


def test_options_of_operators_are_declared():
    tables = {options for _, options in schema.OPERATORS.values() if options}
    assert tables == set(schema.UNION) and tables <= set(schema.TABLES)


def small() -> Graph:
    graph = Graph()
    x = graph.tensor("x", (2, 3), "int8", Quant((0.5,), (-3,)))
    w = graph.constant("w", np.arange(12, dtype=np.int8).reshape(4, 3), Quant((0.1, 0.2, 0.3, 0.4), (0,) * 4, 0))
    unused = graph.constant("unused", np.zeros(3, np.float32))
    y = graph.tensor("y", (2, 4), "int8", Quant((0.25,), (7,)))
    graph.add("NEG", [unused], [graph.tensor("n", (3,), "float32")])
    graph.add("FULLY_CONNECTED", [x, w, -1], [y], fused_activation_function=1, keep_num_dims=True)
    graph.inputs, graph.outputs = [("in", x)], [("out", y)]
    return graph


def test_a_file_reads_back_as_it_was_made():
    data = small().to_bytes()
    assert data[4:8] == schema.IDENTIFIER
    model = generated.ModelT.InitFromPackedBuf(data, 0)
    (subgraph,), (signature,) = model.subgraphs, model.signatureDefs
    assert [t.name for t in subgraph.tensors] == [b"x", b"w", b"y"]  # what no output needs is not written
    (operator,) = subgraph.operators
    assert model.operatorCodes[operator.opcodeIndex].builtinCode == generated.BuiltinOperator.FULLY_CONNECTED
    assert operator.inputs.tolist() == [0, 1, -1] and operator.outputs.tolist() == [2]
    assert operator.builtinOptions.keepNumDims and operator.builtinOptions.fusedActivationFunction == 1
    assert model.operatorCodes[0].version == 12  # older readers take the first scale for all outputs
    quant = subgraph.tensors[1].quantization
    np.testing.assert_array_equal(quant.scale, np.float32([0.1, 0.2, 0.3, 0.4]))
    assert subgraph.tensors[0].quantization.zeroPoint.tolist() == [-3]
    assert bytes(model.buffers[subgraph.tensors[1].buffer].data) == bytes(range(12))
    assert (signature.inputs[0].name, signature.outputs[0].tensorIndex) == (b"in", 2)


def test_data_is_aligned_and_bytes_are_the_same_each_time():
    graph = Graph()
    arrays = [np.full(n, n, np.uint8) for n in (3, 17, 1, 64)]
    joined = graph.tensor("y", (85,), "uint8")
    graph.add("CONCATENATION", [graph.constant(str(a.size), a) for a in arrays], [joined], axis=0)
    graph.outputs = [("y", joined)]
    data = graph.to_bytes()
    assert all(data.index(a.tobytes()) % flat.ALIGNMENT == 0 for a in arrays if a.size > 3)
    assert data == graph.to_bytes()


def test_more_than_the_format_holds_is_refused():
    class Huge(bytes):
        def __len__(self) -> int:
            return 2**31

    with pytest.raises(OutputError, match=r"2.1 GB of weights do not fit") as error:
        flat.encode("Model", {"buffers": [{"data": Huge()}]})
    assert "edgeort quantize" in str(error.value.hint)


def test_without_flatbuffers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "flatbuffers", None)
    with pytest.raises(MissingExtraError) as error:
        small().to_bytes()
    assert error.value.hint == "pip install 'edgeort[litert]'"
