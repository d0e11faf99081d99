"""A recipe in front of a model's graph: the input becomes the picture itself.

    x: float32 [1, 3, 224, 224]  ->  x: uint8 [height, width, 3]; x_tensor = edgeort.image.Picture(x, table)

ONNX has no operators for this node's arithmetic, so it is added behind the passes, to the graph that is lowered. It
takes in what the passes left behind the input: a change of layout, and where all that read the input quantise it alike,
the quantisation.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.passes import layout
from edgeort.passes.edit import ints, is_op
from edgeort.passes.quantised import HIGH, LOW, UNSIGNED_BIAS, quantity
from edgeort.recipes.form import Form
from edgeort.recipes.front import Front
from edgeort.recipes.picture import FITS, METHODS, Recipe
from edgeort.recipes.reference import LUMA, channels_of, table
from edgeort.recipes.tail import PICTURE

DOMAIN = "edgeort.image"
NAME = "Picture"


def add_picture(model: ir.Model, front: Front, *, channels_last: bool) -> None:
    """Puts the recipe in front of its input, which the passes left `channels_last` or not."""
    graph, recipe, form = model.graph, front.recipe, front.form
    old = next(value for value in graph.inputs if value.name == form.name)
    result, levels, channels_last, gone = _taken_in(old, table(recipe, form), channels_last)
    picture = ir.Value(
        name=form.name,
        shape=ir.Shape(front.picture.shape or ()),
        type=ir.TensorType(ir.DataType.UINT8),
    )
    constant = ir.Value(name=f"{form.name}_levels", const_value=ir.tensor(levels, name=f"{form.name}_levels"))
    constant.type, constant.shape = ir.TensorType(ir.DataType.from_numpy(levels.dtype)), ir.Shape(levels.shape)
    if result is old:
        old.name = f"{form.name}_tensor"
    made = ir.Value(name=result.name, shape=result.shape, type=result.type)
    node = ir.Node(
        DOMAIN, NAME, [picture, constant], attributes_of(recipe, form, channels_last), outputs=[made],
        name=f"{form.name}_picture",
    )  # fmt: skip
    result.replace_all_uses_with(made, replace_graph_outputs=True)
    graph.inputs[list(graph.inputs).index(old)] = picture
    for value in [value for value in graph.inputs if value.name == PICTURE]:  # what stands behind the model reads it
        value.replace_all_uses_with(picture)
        graph.inputs.remove(value)
    graph.initializers[f"{form.name}_levels"] = constant
    graph.insert_before(next(iter(graph)), node)
    for reader in gone:
        graph.remove(reader, safe=True)
    model.opset_imports.setdefault(DOMAIN, 1)


def attributes_of(recipe: Recipe, form: Form, channels_last: bool) -> list[ir.Attr]:
    """What PictureParams has."""
    picked = channels_of(recipe, form.channels)
    luma = [0] * 4
    if picked is None:
        picked = (0,) * form.channels
        for name, weight in zip("rgb", LUMA, strict=True):
            luma[recipe.source.index(name)] = weight
    resize, crop = recipe.resize, recipe.crop
    numbers = {
        "source": recipe.channels,
        "channels": form.channels,
        "fit": 0 if resize is None else 1 + list(FITS).index(resize.fit),
        "fill": recipe.fill,
        "method": 0 if resize is None else METHODS.index(resize.method),
        "antialias": int(resize is not None and resize.antialias),
        "channels_last": int(channels_last),
    }
    lists = {
        "map": [*picked, *[0] * (4 - len(picked))],
        "luma": luma,
        "size": [1, 1] if resize is None or resize.size is None else list(resize.size),
        "crop": [0, 0] if crop is None or crop.size is None else list(crop.size),
    }
    return [ir.AttrInt64(name, value) for name, value in numbers.items()] + [
        ir.AttrInt64s(name, values) for name, values in lists.items()
    ]


def _taken_in(
    value: ir.Value, levels: np.ndarray, channels_last: bool
) -> tuple[ir.Value, np.ndarray, bool, list[ir.Node]]:
    """What the node can make at once, its table and layout, and the nodes that this spares, the last one first."""
    gone: list[ir.Node] = []
    while readers := [] if value.is_graph_output() else [use.node for use in value.uses()]:
        other = layout.to_first(4) if channels_last else layout.to_last(4)
        made = [_quantised(levels, node) for node in readers]
        if all(is_op(node, "Transpose") and tuple(ints(node, "perm", ())) == other for node in readers):
            channels_last = not channels_last
        elif made[0] is not None and all(_same(made[0], one) for one in made):
            levels = made[0]
        else:
            break
        value, gone = _merged(readers), [*readers, *gone]
    return value, levels, channels_last, gone


def _same(a: np.ndarray, b: np.ndarray | None) -> bool:
    return b is not None and a.dtype == b.dtype and np.array_equal(a, b)


def _merged(nodes: list[ir.Node]) -> ir.Value:
    """The first node's result, in the place of all."""
    first = nodes[0].outputs[0]
    for node in nodes[1:]:
        node.outputs[0].replace_all_uses_with(first)
    return first


def _quantised(levels: np.ndarray, node: ir.Node) -> np.ndarray | None:
    """The levels behind a QuantizeLinear with one scale, as the runtime rounds; None of any other node."""
    found = quantity(node) if is_op(node, "QuantizeLinear") and levels.dtype == np.float32 else None
    if found is None:
        return None
    canonical = np.rint(levels * found.factor) + np.float32(found.zero_point)
    canonical = np.clip(canonical, LOW, HIGH).astype(np.int16)
    unsigned = found.dtype == ir.DataType.UINT8
    return (canonical + UNSIGNED_BIAS).astype(np.uint8) if unsigned else canonical.astype(np.int8)
