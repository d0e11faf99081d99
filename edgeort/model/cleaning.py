"""Generic clean-up by the ONNX project's own optimizer; what is specific to a device is in `edgeort.passes`."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import onnx
import onnx_ir as ir

from edgeort.errors import ModelError
from edgeort.model.bodies import add_bodies
from edgeort.model.constant_products import fold_products
from edgeort.model.dynamic_products import is_known
from edgeort.model.dynamic_recurrence import is_recurrence
from edgeort.model.identities import eliminate_identities
from edgeort.model.inference import infer_shapes
from edgeort.model.limits import merge_limits
from edgeort.model.logs import at_level
from edgeort.model.neutral import neutral_rules
from edgeort.model.sequences import resolve_sequences

if TYPE_CHECKING:
    from onnxscript.rewriter import RewriteRule

log = logging.getLogger(__name__)

ROUNDS = 4
BODY_ROUNDS = 64
SMALL_ELEMENTS = 8192  # of a result that is always worth storing
LARGE_ELEMENTS = 65536  # of a result that never is, unless it takes the place of inputs that are as large

# fmt: off
# Operators that NumPy evaluates in time and memory proportional to their output: large weights may be folded.
_CHEAP = frozenset({
    "Abs", "Add", "Cast", "Ceil", "Clip", "Concat", "Div", "Exp", "Flatten", "Floor", "Gather", "Identity", "Log",
    "Max", "Min", "Mul", "Neg", "Pow", "Reciprocal", "Reshape", "Round", "Slice", "Split", "Sqrt", "Squeeze",
    "Sub", "Transpose", "Unsqueeze",
})
# Operators whose output may be of any size, whatever the size of their inputs.
_GROWING = frozenset({
    "BlackmanWindow", "CenterCropPad", "Col2Im", "ConstantOfShape", "ConvTranspose", "Einsum", "Expand",
    "EyeLike", "HammingWindow", "HannWindow", "ImageDecoder", "MaxUnpool", "MelWeightMatrix", "OneHot", "Pad",
    "Range", "Resize", "ScatterND", "Tile", "Upsample",
})
# fmt: on
# Kept as they are: they carry the quantisation that later stages read.
_KEPT = frozenset({"DequantizeLinear", "DynamicQuantizeLinear", "QuantizeLinear"})

Step = tuple[str, Callable[[ir.Model], ir.passes.PassResult]]


def clean(model: ir.Model) -> ir.Model:
    """Fold constants, inline functions, drop what is dead, an identity or a repetition, and infer all shapes.

    Returns a new model that computes the same from the same inputs to the same outputs; `model` is left as it was.
    Symbolic dimensions stay, no large constant appears, constants become initializers. Run it before the passes: it
    inlines functions, the composites of passes among them; only dynamic products stay, which have a kernel, and dynamic
    recurrences become operators.

    A step that fails is left out with a warning. Raises ModelError when the failure is the model's own fault.
    """
    # Here, not on top: onnxscript is slow to import, and `edgeort inspect` must not wait for it.
    import onnx_ir.passes.common as common
    from onnxscript.rewriter import RewritePass

    simplify: tuple[Step, ...] = (
        ("fold constants", _fold),
        ("resolve sequences", resolve_sequences),
        ("rewrite", RewritePass(_rules())),
        ("merge limits", merge_limits),
        ("eliminate identities", eliminate_identities),
        ("remove unused nodes", common.RemoveUnusedNodesPass()),
        ("compute products of constants", fold_products),
        ("remove unused nodes", common.RemoveUnusedNodesPass()),
    )
    finish: tuple[Step, ...] = (
        ("lift constants", common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)),
        ("lift initializers of subgraphs", common.LiftSubgraphInitializersToMainGraphPass()),
        ("merge equal initializers", _merge_initializers),
        ("merge equal nodes", common.CommonSubexpressionEliminationPass()),
        ("remove unused nodes", common.RemoveUnusedNodesPass()),
        ("remove unused functions", common.RemoveUnusedFunctionsPass()),
        ("remove unused opsets", common.RemoveUnusedOpsetsPass()),
        ("name nodes", _name_nodes),
        ("make names unique", common.NameFixPass()),
    )
    inline = common.InlinePass(lambda function: not (is_known(function) or is_recurrence(function)))
    current, _ = _apply(model, infer_shapes(model.clone()), (("inline functions", inline),))
    expand: tuple[Step, ...] = (("expand functions", add_bodies), ("inline bodies", inline))
    for _ in range(BODY_ROUNDS):  # a body may hold operators with a body, and tell the shapes of what others read
        current, changed = _apply(model, infer_shapes(current), expand)
        if not changed:
            break
    for _ in range(ROUNDS):
        current, changed = _apply(model, current, simplify)
        if not changed:
            break
    current, _ = _apply(model, current, finish)
    return infer_shapes(current)


def _apply(original: ir.Model, model: ir.Model, steps: Sequence[Step]) -> tuple[ir.Model, bool]:
    """Run the steps one after the other; returns the model after those that succeeded, and whether any changed it.

    Copies are what takes the time of large graphs: there is one for each step that changed something.
    """
    changed = False
    trial = model.clone()
    for name, step in steps:
        try:
            result = step(trial)
            _check_signature(model, trial)
            # A copy fails where the step left something broken.
            following = trial.clone() if result.modified else trial
        except ModelError:
            raise
        except Exception as error:  # the optimizer raises whatever the operator at hand made it raise
            _blame_model(original)
            log.warning("clean-up step '%s' failed and was left out: %s", name, str(error).split("\n")[0])
            trial = model.clone()
        else:
            model, trial = (trial, following) if result.modified else (model, trial)
            changed |= result.modified
    return trial, changed


def _name_nodes(model: ir.Model) -> ir.passes.PassResult:
    """A node without a name gets that of its first output, by which messages and profiles tell where it is.

    One whose name stands in another body, too, gets a number behind it: NameFixPass looks at each graph alone.
    """
    nameless = [node for node in model.graph.all_nodes() if not node.name and node.outputs]
    for node in nameless:
        node.name = node.outputs[0].name
    taken = {node.name for node in model.graph.all_nodes()}
    seen, renamed = set[str | None](), False
    for node in model.graph.all_nodes():
        if node.name in seen:
            node.name = next(name for at in itertools.count(1) if (name := f"{node.name}_{at}") not in taken)
            taken.add(node.name)
            renamed = True
        seen.add(node.name)
    return ir.passes.PassResult(model, renamed or bool(nameless))


def _fold(model: ir.Model) -> ir.passes.PassResult:
    from onnxscript.optimizer import fold_constants_ir

    with at_level("onnxscript", logging.ERROR):  # it warns of each node that onnx cannot evaluate, which then stays
        return fold_constants_ir(
            model,
            onnx_shape_inference=True,
            input_size_limit=SMALL_ELEMENTS,
            output_size_limit=LARGE_ELEMENTS,
            should_fold=_should_fold,
        )


def _merge_initializers(model: ir.Model) -> ir.passes.PassResult:
    import onnx_ir.passes.common as common

    with at_level("onnx_ir", logging.ERROR):  # it warns of each that is an output of the graph
        return common.DeduplicateInitializersPass()(model)


def _rules() -> list[RewriteRule]:
    """Rules that simplify. Those that fold into convolutions are left to `edgeort.passes`, which log what they do.

    That of two Slices that are a Split looks at all nodes for each (onnxscript 0.7), and takes halves of 2 and 3 for 3
    and 2.
    """
    from onnxscript.rewriter.rules import common

    return [
        *neutral_rules(),
        common.dropout_zero_rule,
        common.dropout_inference_rule,
        common.cast_cast_rule,
        common.no_op_cast_rule,
        common.no_op_expand_rule,
        common.reshape_reshape_rule,
        common.no_op_transpose_rule,
        common.transpose_transpose_rule,
        common.unsqueeze_unsqueeze_rule,
        common.collapse_slice_rule,
        common.collapse_slice2_rule,
        common.cast_constant_of_shape_rule,
        common.cast_constant_of_shape_without_value_rule,
    ]


def _should_fold(node: ir.Node) -> bool | None:
    """Whether to evaluate a node of constants now: True, False, or None for the optimizer's own limits on its inputs.

    The optimizer looks at the size of a result only after computing it, which is too late for a hostile Expand.
    """
    if node.domain != "" or node.op_type in _KEPT:
        return False
    if any(value.dtype == ir.DataType.STRING for value in node.outputs):
        return False  # NumPy would make bytes of a fixed length of them, which onnx-ir cannot store
    sizes = [_elements(value.shape) for value in node.outputs]
    if any(size is None for size in sizes):
        return False if node.op_type in _GROWING else None
    result = sum(size for size in sizes if size is not None)
    replaced = sum(
        value.const_value.size
        for value in set(node.inputs)
        if value is not None and value.const_value is not None and len(value.uses()) == 1
    )
    if result > max(LARGE_ELEMENTS, replaced):
        return False
    if node.op_type in _CHEAP or (node.op_type in _GROWING and result <= SMALL_ELEMENTS):
        return True
    return None


def _elements(shape: ir.Shape | None) -> int | None:
    if shape is None or not all(isinstance(dim, int) for dim in shape):
        return None
    return math.prod(dim for dim in shape if isinstance(dim, int))


def _check_signature(before: ir.Model, after: ir.Model) -> None:
    for kind in ("inputs", "outputs"):
        old = [value.name for value in getattr(before.graph, kind)]
        new = [value.name for value in getattr(after.graph, kind)]
        if old != new:
            raise ValueError(f"the {kind} {old} became {new}")


def _blame_model(model: ir.Model) -> None:
    """Raise ModelError when the ONNX checker, too, finds fault with the model."""
    try:
        onnx.checker.check_model(ir.to_proto(model))
    except onnx.checker.ValidationError as error:
        raise ModelError(
            f"the model is not valid ONNX: {str(error).split(chr(10))[0]}", hint="export the model again"
        ) from error
    except ValueError as error:  # over 2 GiB with its external data, or a tensor that cannot be written
        log.warning("the model could not be checked: %s", str(error).split("\n")[0])
