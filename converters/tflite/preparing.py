"""What a model goes through before it is written: the passes that give it LiteRT's layout and operators.

They are those of `edgeort.passes` that fold, recognise and change layouts; left out are the ones that suit the runtime
of this project alone (epilogues, attention as one node, wide weights in two parts).
"""

from __future__ import annotations

import onnx_ir as ir

from edgeort.passes import Pass, PassContext, run_passes
from edgeort.passes.average_first import average_first
from edgeort.passes.cancel_transposes import cancel_transposes
from edgeort.passes.channel_shuffle import channel_shuffle
from edgeort.passes.context import IoLayout
from edgeort.passes.drop_clips import drop_clips
from edgeort.passes.eliminate_dead import eliminate_dead
from edgeort.passes.factor_residual import factor_residual
from edgeort.passes.fold_batchnorm import fold_batchnorm
from edgeort.passes.fold_channel_scales import fold_channel_scales
from edgeort.passes.fold_pad import fold_pad
from edgeort.passes.fold_scale import fold_scale
from edgeort.passes.fold_scale_forward import fold_scale_forward
from edgeort.passes.gather_integers import gather_integers
from edgeort.passes.move_integers import move_integers
from edgeort.passes.recognise_activations import recognise_activations
from edgeort.passes.recognise_layernorm import recognise_layernorm
from edgeort.passes.spell_out_quantisation import spell_out_quantisation
from edgeort.passes.split_qlinear import split_qlinear
from edgeort.passes.to_nhwc import to_nhwc
from edgeort.passes.zero_subnormals import zero_subnormals

PASSES: tuple[Pass, ...] = (
    split_qlinear,
    fold_channel_scales,
    gather_integers,
    fold_batchnorm,
    recognise_activations,
    recognise_layernorm,
    fold_pad,
    fold_scale,
    fold_scale_forward,
    factor_residual,
    zero_subnormals,
    average_first,
    channel_shuffle,
    drop_clips,
    move_integers,
    spell_out_quantisation,
    to_nhwc,
    cancel_transposes,
    eliminate_dead,
)


def prepare(model: ir.Model, io_layout: IoLayout) -> ir.Model:
    """A copy of a clean model after PASSES, the inputs and outputs of rank 4 in that layout."""
    prepared = model.clone()
    run_passes(prepared, PassContext(io_layout=io_layout), PASSES)
    return prepared
