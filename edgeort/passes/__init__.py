"""Graph -> graph, one pass a file; PASSES is the order.

A pass is `name(model, ctx) -> number of rewrites`. It edits the model in place and leaves a graph that any ONNX
runtime computes to the same outputs; a match that it leaves alone is a sentence in `ctx.log`.
"""

from __future__ import annotations

from collections.abc import Callable

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import LiftConstantsToInitializersPass

from edgeort.model import infer_shapes
from edgeort.model.operators import blaming
from edgeort.passes.average_first import average_first
from edgeort.passes.average_integers import average_integers
from edgeort.passes.cancel_transposes import cancel_transposes
from edgeort.passes.channel_shuffle import channel_shuffle
from edgeort.passes.context import PassContext, Refusal
from edgeort.passes.drop_clips import drop_clips
from edgeort.passes.edit import NAMES
from edgeort.passes.eliminate_dead import eliminate_dead
from edgeort.passes.factor_residual import factor_residual
from edgeort.passes.fold_batchnorm import fold_batchnorm
from edgeort.passes.fold_channel_scales import fold_channel_scales
from edgeort.passes.fold_dequantized import fold_dequantized
from edgeort.passes.fold_pad import fold_pad
from edgeort.passes.fold_scale import fold_scale
from edgeort.passes.fold_scale_forward import fold_scale_forward
from edgeort.passes.gather_integers import gather_integers
from edgeort.passes.group_epilogues import group_epilogues
from edgeort.passes.move_integers import move_integers
from edgeort.passes.name_dims import name_dims
from edgeort.passes.read_planes import read_planes
from edgeort.passes.rearrange_planes import rearrange_planes
from edgeort.passes.recognise_activations import recognise_activations
from edgeort.passes.recognise_attention import recognise_attention
from edgeort.passes.recognise_dynamic_products import recognise_dynamic_products
from edgeort.passes.recognise_layernorm import recognise_layernorm
from edgeort.passes.recognise_one_hot import recognise_one_hot
from edgeort.passes.scan_to_loop import scan_to_loop
from edgeort.passes.spell_out_quantisation import spell_out_quantisation
from edgeort.passes.split_qlinear import split_qlinear
from edgeort.passes.split_wide_weights import split_wide_weights
from edgeort.passes.to_nhwc import to_nhwc
from edgeort.passes.widen_halves import widen_halves
from edgeort.passes.zero_subnormals import zero_subnormals

Pass = Callable[[ir.Model, PassContext], int]

PASSES: tuple[Pass, ...] = (
    scan_to_loop,
    widen_halves,  # all others look for float32
    name_dims,
    split_qlinear,
    recognise_dynamic_products,
    fold_channel_scales,
    gather_integers,
    fold_dequantized,
    split_wide_weights,
    fold_batchnorm,
    recognise_activations,  # before fold_scale, which would take the "+ 3" of a HardSigmoid into the convolution
    recognise_layernorm,
    recognise_attention,
    recognise_one_hot,
    fold_pad,
    fold_scale,
    fold_scale_forward,
    factor_residual,
    zero_subnormals,  # behind the passes that scale weights
    average_first,
    channel_shuffle,
    drop_clips,
    average_integers,
    move_integers,  # behind the passes that match chains of float operators
    spell_out_quantisation,
    to_nhwc,
    cancel_transposes,
    rearrange_planes,
    read_planes,
    eliminate_dead,
    group_epilogues,
)

MIN_IR_VERSION = 8  # the first with model-local functions


def run_passes(model: ir.Model, ctx: PassContext, passes: tuple[Pass, ...] = PASSES) -> None:
    """Runs `passes` in order on `model`; `ctx` receives the counts and the log.

    Shapes are inferred anew after every pass that changed something; symbolic dimensions stay symbolic.
    Raises ModelError where a pass stumbles over types or shapes that disagree.
    Raises onnx.checker.ValidationError under `ctx.check` when a pass left an invalid model: a bug of ours.
    """
    model.ir_version = max(model.ir_version, MIN_IR_VERSION)
    LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    infer_shapes(model)
    model.graph.meta.pop(NAMES, None)  # another stage may have added names since the last run
    original = model.clone()
    for step in passes:
        with blaming(original):
            count = step(model, ctx)
        ctx.counts[step.__name__] = count
        if count or step is name_dims:
            infer_shapes(model)
        if ctx.check:
            onnx.checker.check_model(ir.to_proto(model))


__all__ = ["PASSES", "Pass", "PassContext", "Refusal", "run_passes"]
