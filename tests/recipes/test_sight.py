"""Boxes go back to where the recipe took the picture's pixels from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeort.model.bodies.builder import Writer
from edgeort.recipes.front import bind
from edgeort.recipes.picture_steps import parse
from edgeort.recipes.sight import PictureSight
from edgeort.values import Value
from tests.kernels.support import reference
from tests.recipes.attached import behind, identity, run_proto

RECIPES = [
    "yolo",
    "letterbox 96x160",
    "resize 96x160",
    "resize short=100; crop 96x160",
    "resize cover=97x163; crop 96x160",
    "resize share=0.875; crop",
    "crop fill=3",
]
SIZES = [(96, 160), (480, 640), (641, 333), (97, 161), (1, 5), (37, 21), (1080, 1919)]


@pytest.mark.parametrize("text", RECIPES)
def test_the_nodes_do_the_recipes_arithmetic(text: str, tmp_path: Path):
    front = bind(parse(text), [Value("x", "float32", (1, 3, 96, 160))], built_in=True)
    writer = Writer(17)
    place = PictureSight(front.recipe).write(writer, "picture")
    outputs = [place.scale, place.offset, place.size]
    graph = onnx.helper.make_graph(
        writer.nodes,
        "sight",
        [onnx.helper.make_tensor_value_info("picture", onnx.TensorProto.UINT8, ["h", "w", 3])],
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2]) for name in outputs],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    for size in SIZES:
        picture = np.zeros((*size, 3), np.uint8)
        want = front.placement(size)
        scale, offset, sides = run_proto(model, [picture], tmp_path)
        for ours, theirs in zip((scale, offset, sides), reference(model, [picture]), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(scale, np.float32(want.scale))
        np.testing.assert_array_equal(offset, [want.left, want.top])
        np.testing.assert_array_equal(sides, size[::-1])


def test_boxes_are_in_the_picture_and_end_at_its_edges(tmp_path: Path):
    front = bind(parse("yolo"), [Value("x", "float32", (1, 3, 100, 100))], built_in=True)
    rows = np.float32([[50, 50, 20, 10, 0.9], [5, 50, 30, 10, 0.8], [50, 90, 10, 40, 0.7]])
    attached = behind(identity("float[1, 5, 3] y"), "yolo", (100, 100), PictureSight(front.recipe))
    assert attached.reads == ("y", "postprocess.picture")
    model = onnx.load_from_string(attached.check)
    picture = np.zeros((100, 200, 3), np.uint8)  # half as large in the input, between borders of 25 lines
    for boxes in (reference(model, [rows.T[None], picture])[0], run_proto(model, [rows.T[None], picture], tmp_path)[0]):
        np.testing.assert_array_equal(boxes, [[80, 40, 120, 60], [0, 40, 40, 60], [90, 90, 110, 100]])
