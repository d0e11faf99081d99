"""The packaged sample as a user finds it."""

from __future__ import annotations

import onnx

from edgeort import sample


def test_file_is_small_valid_and_states_its_facts():
    proto = onnx.load(sample.path())
    onnx.checker.check_model(proto, full_check=True)
    facts = {prop.key: prop.value for prop in proto.metadata_props}
    assert sample.path().stat().st_size <= 200_000
    assert float(facts["accuracy"]) >= 0.98
    assert facts["classes"].split(",") == [str(digit) for digit in range(10)]
    assert "examples/train_digits.py" in facts["trained_by"]


def test_signature_is_as_documented():
    graph = onnx.load(sample.path()).graph
    shapes = [value.type.tensor_type.shape for value in (*graph.input, *graph.output)]
    assert [graph.input[0].name, graph.output[0].name] == ["image", "logits"]
    assert [[dim.dim_param or dim.dim_value for dim in shape.dim] for shape in shapes] == [["n", 1, 8, 8], ["n", 10]]


def test_no_path_of_the_machine_that_made_it():
    data = sample.path().read_bytes()
    assert b"site-packages" not in data and b"/home/" not in data and b'.py", line' not in data
