"""Which function writes which operator. HANDLERS are of ONNX and this project, CHANNELS_LAST of edgeort.nhwc."""

from __future__ import annotations

import onnx_ir as ir

from edgeort.converters.tflite import conv, elementwise, functions, index, matrix, move, pool, quantised, reduce, resize
from edgeort.converters.tflite.writer import Handler
from edgeort.passes.functions import DOMAIN, NHWC

HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(elementwise.BINARY, elementwise.binary),
    **dict.fromkeys(elementwise.NARY, elementwise.nary),
    **dict.fromkeys(elementwise.UNARY, elementwise.unary),
    **dict.fromkeys(reduce.REDUCE, reduce.reduce),
    **dict.fromkeys(("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum"), reduce.reduce_function),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"), move.reshape),
    **dict.fromkeys(("ArgMax", "ArgMin"), reduce.arg),
    **dict.fromkeys(("Softmax", "LogSoftmax"), reduce.softmax),
    **dict.fromkeys(("LayerNormalization", "LayerNorm"), reduce.layer_norm),
    **dict.fromkeys(("Gelu", "GeluTanh"), elementwise.gelu),
    **dict.fromkeys(("Silu", "Swish"), elementwise.silu),
    **dict.fromkeys(("Resize", "Upsample"), resize.resize),
    "Cast": elementwise.cast,
    "Celu": functions.celu,
    "Clip": elementwise.clip,
    "Concat": move.concat,
    "Constant": move.constant_node,
    "CumSum": reduce.cumsum,
    "DequantizeLinear": quantised.dequantize,
    "DynamicQuantMatMul": matrix.dynamic,
    "Elu": functions.elu,
    "Erf": functions.erf,
    "Expand": move.expand,
    "Gather": index.gather,
    "GatherElements": index.gather_elements,
    "GatherND": index.gather_nd,
    "Gemm": matrix.gemm,
    "HardSigmoid": functions.hard_sigmoid,
    "HardSwish": elementwise.hard_swish,
    "IsNaN": elementwise.is_nan,
    "LeakyRelu": elementwise.leaky_relu,
    "MatMul": matrix.matmul,
    "Mish": functions.mish,
    "PRelu": elementwise.prelu,
    "Pad": move.pad,
    "QuantizeLinear": quantised.quantize,
    "RMSNormalization": reduce.rms_norm,
    "Reciprocal": functions.reciprocal,
    "Selu": functions.selu,
    "Sigmoid": elementwise.logistic,
    "Slice": move.slice_,
    "Softplus": functions.softplus,
    "Softsign": functions.softsign,
    "Split": move.split,
    "Tanh": elementwise.tanh,
    "Tile": move.tile,
    "TopK": reduce.top_k,
    "Transpose": move.transpose,
    "Where": elementwise.where,
}

CHANNELS_LAST: dict[str, Handler] = {
    "AveragePool": pool.average_pool,
    "BatchNormalization": reduce.batch_norm,
    "Conv": conv.conv,
    "ConvTranspose": conv.transposed,
    "DepthToSpace": move.depth_to_space,
    "GlobalAveragePool": pool.global_average,
    "GlobalMaxPool": pool.global_max,
    "InstanceNormalization": reduce.instance_norm,
    "LRN": index.lrn,
    "MaxPool": pool.max_pool,
    "SpaceToDepth": move.space_to_depth,
}


def handler(node: ir.Node) -> Handler | None:
    """What writes the node, if anything does."""
    if node.domain == NHWC:
        return CHANNELS_LAST.get(node.op_type)
    return HANDLERS.get(node.op_type) if node.domain in ("", DOMAIN) else None
