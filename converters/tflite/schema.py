"""The part of the .tflite format that is written: tables with the slots of their fields, numbers of enumerations.

The source is LiteRT's schema (tensorflow/compiler/mlir/lite/schema/schema.fbs, version 3), where slots never change.
tests/converters/tflite/test_flat.py holds every line here against the module that ai-edge-litert generates from it.
"""

from __future__ import annotations

VERSION = 3
IDENTIFIER = b"TFL3"

# table -> field -> (slot, kind). A kind is a scalar, "string", the name of a table, "[...]" for a vector of one of
# these, "data" for the aligned bytes of a buffer, or "union": a (table, fields) pair.
TABLES: dict[str, dict[str, tuple[int, str]]] = {
    "Model": {
        "version": (0, "uint32"), "operator_codes": (1, "[OperatorCode]"), "subgraphs": (2, "[SubGraph]"),
        "description": (3, "string"), "buffers": (4, "[Buffer]"), "signature_defs": (7, "[SignatureDef]"),
    },
    "OperatorCode": {"deprecated_builtin_code": (0, "int8"), "version": (2, "int32"), "builtin_code": (3, "int32")},
    "SubGraph": {
        "tensors": (0, "[Tensor]"), "inputs": (1, "[int32]"), "outputs": (2, "[int32]"), "operators": (3, "[Operator]"),
        "name": (4, "string"),
    },
    "Buffer": {"data": (0, "data")},
    "Tensor": {
        "shape": (0, "[int32]"), "type": (1, "int8"), "buffer": (2, "uint32"), "name": (3, "string"),
        "quantization": (4, "QuantizationParameters"), "has_rank": (8, "bool"),
    },
    "QuantizationParameters": {
        "scale": (2, "[float32]"), "zero_point": (3, "[int64]"), "quantized_dimension": (6, "int32"),
    },
    "Operator": {
        "opcode_index": (0, "uint32"), "inputs": (1, "[int32]"), "outputs": (2, "[int32]"),
        "builtin_options_type": (3, "uint8"), "builtin_options": (4, "union"),
    },
    "SignatureDef": {
        "inputs": (0, "[TensorMap]"), "outputs": (1, "[TensorMap]"), "signature_key": (2, "string"),
        "subgraph_index": (4, "uint32"),
    },
    "TensorMap": {"name": (0, "string"), "tensor_index": (1, "uint32")},
    "Conv2DOptions": {
        "padding": (0, "int8"), "stride_w": (1, "int32"), "stride_h": (2, "int32"),
        "fused_activation_function": (3, "int8"), "dilation_w_factor": (4, "int32"), "dilation_h_factor": (5, "int32"),
    },
    "DepthwiseConv2DOptions": {
        "padding": (0, "int8"), "stride_w": (1, "int32"), "stride_h": (2, "int32"), "depth_multiplier": (3, "int32"),
        "fused_activation_function": (4, "int8"), "dilation_w_factor": (5, "int32"), "dilation_h_factor": (6, "int32"),
    },
    "TransposeConvOptions": {
        "padding": (0, "int8"), "stride_w": (1, "int32"), "stride_h": (2, "int32"),
        "fused_activation_function": (3, "int8"),
    },
    "Pool2DOptions": {
        "padding": (0, "int8"), "stride_w": (1, "int32"), "stride_h": (2, "int32"), "filter_width": (3, "int32"),
        "filter_height": (4, "int32"), "fused_activation_function": (5, "int8"),
    },
    "FullyConnectedOptions": {"fused_activation_function": (0, "int8"), "keep_num_dims": (2, "bool")},
    "BatchMatMulOptions": {"adj_x": (0, "bool"), "adj_y": (1, "bool")},
    "AddOptions": {"fused_activation_function": (0, "int8")},
    "SubOptions": {"fused_activation_function": (0, "int8")},
    "MulOptions": {"fused_activation_function": (0, "int8")},
    "DivOptions": {"fused_activation_function": (0, "int8")},
    "MaximumMinimumOptions": {},
    "LeakyReluOptions": {"alpha": (0, "float32")},
    "GeluOptions": {"approximate": (0, "bool")},
    "SoftmaxOptions": {"beta": (0, "float32")},
    "ConcatenationOptions": {"axis": (0, "int32"), "fused_activation_function": (1, "int8")},
    "SplitOptions": {"num_splits": (0, "int32")},
    "SplitVOptions": {"num_splits": (0, "int32")},
    "ReshapeOptions": {"new_shape": (0, "[int32]")},
    "StridedSliceOptions": {
        "begin_mask": (0, "int32"), "end_mask": (1, "int32"), "ellipsis_mask": (2, "int32"),
        "new_axis_mask": (3, "int32"), "shrink_axis_mask": (4, "int32"),
    },
    "GatherOptions": {"axis": (0, "int32"), "batch_dims": (1, "int32")},
    "MirrorPadOptions": {"mode": (0, "int8")},
    "DepthToSpaceOptions": {"block_size": (0, "int32")},
    "SpaceToDepthOptions": {"block_size": (0, "int32")},
    "ResizeBilinearOptions": {"align_corners": (2, "bool"), "half_pixel_centers": (3, "bool")},
    "ResizeNearestNeighborOptions": {"align_corners": (0, "bool"), "half_pixel_centers": (1, "bool")},
    "ReducerOptions": {"keep_dims": (0, "bool")},
    "ArgMaxOptions": {"output_type": (0, "int8")},
    "ArgMinOptions": {"output_type": (0, "int8")},
    "CumsumOptions": {"exclusive": (0, "bool"), "reverse": (1, "bool")},
    "CastOptions": {"in_data_type": (0, "int8"), "out_data_type": (1, "int8")},
    "LocalResponseNormalizationOptions": {
        "radius": (0, "int32"), "bias": (1, "float32"), "alpha": (2, "float32"), "beta": (3, "float32"),
    },
}  # fmt: skip

# Fields whose absence does not mean zero.
DEFAULTS: dict[tuple[str, str], int] = {
    ("OperatorCode", "version"): 1,
    ("Conv2DOptions", "dilation_w_factor"): 1,
    ("Conv2DOptions", "dilation_h_factor"): 1,
    ("DepthwiseConv2DOptions", "dilation_w_factor"): 1,
    ("DepthwiseConv2DOptions", "dilation_h_factor"): 1,
}

# The options that an operator may have: table -> its number in the union.
UNION: dict[str, int] = {
    "Conv2DOptions": 1, "DepthwiseConv2DOptions": 2, "Pool2DOptions": 5, "FullyConnectedOptions": 8,
    "SoftmaxOptions": 9, "ConcatenationOptions": 10, "AddOptions": 11, "LocalResponseNormalizationOptions": 13,
    "ResizeBilinearOptions": 15, "ReshapeOptions": 17, "SpaceToDepthOptions": 19, "MulOptions": 21,
    "GatherOptions": 23, "ReducerOptions": 27, "SubOptions": 28, "DivOptions": 29, "StridedSliceOptions": 32,
    "SplitOptions": 35, "CastOptions": 37, "MaximumMinimumOptions": 39, "ArgMaxOptions": 40, "TransposeConvOptions": 49,
    "ArgMinOptions": 57, "ResizeNearestNeighborOptions": 74, "LeakyReluOptions": 75, "MirrorPadOptions": 77,
    "SplitVOptions": 79, "DepthToSpaceOptions": 94, "BatchMatMulOptions": 101, "CumsumOptions": 102,
    "GeluOptions": 116,
}  # fmt: skip

# operator -> (its number, the table of its options or None)
OPERATORS: dict[str, tuple[int, str | None]] = {
    "ADD": (0, "AddOptions"),
    "AVERAGE_POOL_2D": (1, "Pool2DOptions"),
    "CONCATENATION": (2, "ConcatenationOptions"),
    "CONV_2D": (3, "Conv2DOptions"),
    "DEPTHWISE_CONV_2D": (4, "DepthwiseConv2DOptions"),
    "DEPTH_TO_SPACE": (5, "DepthToSpaceOptions"),
    "DEQUANTIZE": (6, None),
    "FLOOR": (8, None),
    "FULLY_CONNECTED": (9, "FullyConnectedOptions"),
    "LOCAL_RESPONSE_NORMALIZATION": (13, "LocalResponseNormalizationOptions"),
    "LOGISTIC": (14, None),
    "MAX_POOL_2D": (17, "Pool2DOptions"),
    "MUL": (18, "MulOptions"),
    "RELU": (19, None),
    "RELU_N1_TO_1": (20, None),
    "RELU6": (21, None),
    "RESHAPE": (22, "ReshapeOptions"),
    "RESIZE_BILINEAR": (23, "ResizeBilinearOptions"),
    "SOFTMAX": (25, "SoftmaxOptions"),
    "SPACE_TO_DEPTH": (26, "SpaceToDepthOptions"),
    "TANH": (28, None),
    "PAD": (34, None),
    "GATHER": (36, "GatherOptions"),
    "TRANSPOSE": (39, None),
    "MEAN": (40, "ReducerOptions"),
    "SUB": (41, "SubOptions"),
    "DIV": (42, "DivOptions"),
    "STRIDED_SLICE": (45, "StridedSliceOptions"),
    "EXP": (47, None),
    "TOPK_V2": (48, None),
    "SPLIT": (49, "SplitOptions"),
    "LOG_SOFTMAX": (50, None),
    "CAST": (53, "CastOptions"),
    "PRELU": (54, None),
    "MAXIMUM": (55, "MaximumMinimumOptions"),
    "ARG_MAX": (56, "ArgMaxOptions"),
    "MINIMUM": (57, "MaximumMinimumOptions"),
    "LESS": (58, None),
    "NEG": (59, None),
    "PADV2": (60, None),
    "GREATER": (61, None),
    "GREATER_EQUAL": (62, None),
    "LESS_EQUAL": (63, None),
    "SLICE": (65, None),
    "SIN": (66, None),
    "TRANSPOSE_CONV": (67, "TransposeConvOptions"),
    "TILE": (69, None),
    "EQUAL": (71, None),
    "NOT_EQUAL": (72, None),
    "LOG": (73, None),
    "SUM": (74, "ReducerOptions"),
    "SQRT": (75, None),
    "RSQRT": (76, None),
    "POW": (78, None),
    "ARG_MIN": (79, "ArgMinOptions"),
    "REDUCE_PROD": (81, "ReducerOptions"),
    "REDUCE_MAX": (82, "ReducerOptions"),
    "LOGICAL_OR": (84, None),
    "LOGICAL_AND": (86, None),
    "LOGICAL_NOT": (87, None),
    "REDUCE_MIN": (89, "ReducerOptions"),
    "SQUARE": (92, None),
    "FLOOR_MOD": (95, None),
    "RESIZE_NEAREST_NEIGHBOR": (97, "ResizeNearestNeighborOptions"),
    "LEAKY_RELU": (98, "LeakyReluOptions"),
    "SQUARED_DIFFERENCE": (99, None),
    "MIRROR_PAD": (100, "MirrorPadOptions"),
    "ABS": (101, None),
    "SPLIT_V": (102, "SplitVOptions"),
    "CEIL": (104, None),
    "GATHER_ND": (107, None),
    "COS": (108, None),
    "ELU": (111, None),
    "QUANTIZE": (114, None),
    "ROUND": (116, None),
    "HARD_SWISH": (117, None),
    "SELECT_V2": (123, None),
    "BATCH_MATMUL": (126, "BatchMatMulOptions"),
    "CUMSUM": (128, "CumsumOptions"),
    "BROADCAST_TO": (130, None),
    "GELU": (150, "GeluOptions"),
    "SIGN": (158, None),
}

# The first version of an operator that has the kernel meant here, where that is not 1. Older readers refuse a version
# that they do not know, and would compute nonsense from a FULLY_CONNECTED with a scale for each output.
VERSIONS: dict[str, int] = {"BROADCAST_TO": 2}
PER_CHANNEL_CONNECTED = 12

TYPES: dict[str, int] = {
    "float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int64": 4, "bool": 6, "int16": 7, "int8": 9,
}  # fmt: skip
ACTIVATIONS: dict[str, int] = {"NONE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}
PADDINGS: dict[str, int] = {"SAME": 0, "VALID": 1}
MIRRORS: dict[str, int] = {"REFLECT": 0, "SYMMETRIC": 1}
