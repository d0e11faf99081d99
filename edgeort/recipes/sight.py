"""Where a picture is in a model's input, in nodes: the arithmetic of `Recipe.placement`, from the picture's shape."""

from __future__ import annotations

from dataclasses import dataclass

from edgeort.model.bodies.builder import DOUBLE, FLOAT, INT64, Writer
from edgeort.recipes.picture import Recipe, Size
from edgeort.recipes.tail import Place


@dataclass(frozen=True)
class PictureSight:
    """Of a recipe that is bound to the model's input. Values are [2], of y and x, in float64 until they are done."""

    recipe: Recipe

    def write(self, writer: Writer, picture: str) -> Place:
        """Scale, offset and the picture's size, of x and y."""
        shape = writer.op("Slice", writer.op("Shape", picture), writer.ints(0), writer.ints(2))
        sides = writer.cast(shape, DOUBLE)
        resized = self._resized(writer, shape, sides)
        scale, offset = writer.op("Div", resized, sides), self._offset(writer, resized)
        turned = [writer.op("Gather", value, writer.ints(1, 0), axis=0) for value in (scale, offset, sides)]
        return Place(*(writer.cast(value, FLOAT) for value in turned))

    def _resized(self, w: Writer, shape: str, sides: str) -> str:
        resize = self.recipe.resize
        if resize is None or resize.size is None:
            return sides
        size = _constant(w, resize.size)
        if resize.fit == "stretch":
            return size
        if resize.fit == "short":
            least = w.op("ReduceMin", shape, keepdims=0)
            longer = w.op("Mul", shape, w.array(resize.size[0], INT64))
            return w.cast(w.op("Div", longer, least), DOUBLE)
        pick = "ReduceMax" if resize.fit == "cover" else "ReduceMin"
        scale = w.op(pick, w.op("Div", size, sides), keepdims=0)
        rounded = w.op("Round", w.op("Mul", sides, scale))
        if resize.fit == "cover":
            return w.op("Max", rounded, size)
        return w.op("Min", w.op("Max", rounded, w.array(1.0, DOUBLE)), size)

    def _offset(self, w: Writer, resized: str) -> str:
        """How far the window begins from the resized picture's corner; negative where there are borders."""
        resize, crop = self.recipe.resize, self.recipe.crop
        if resize is not None and resize.fit == "letterbox" and resize.size is not None:
            half = self._half(w, resized, resize.size)
            return w.op("Ceil", half)
        if crop is None or crop.size is None:
            return w.array([0.0, 0.0], DOUBLE)
        half = self._half(w, resized, crop.size)
        larger = w.op("Less", w.array(0.0, DOUBLE), half)
        return w.op("Where", larger, w.op("Round", half), w.op("Ceil", half))

    def _half(self, w: Writer, resized: str, size: Size) -> str:
        return w.op("Mul", w.op("Sub", resized, _constant(w, size)), w.array(0.5, DOUBLE))


def _constant(w: Writer, size: Size) -> str:
    return w.array([float(side) for side in size], DOUBLE)
