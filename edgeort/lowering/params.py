"""The parameters of plan nodes: a Struct for each kind of operator, by name."""

from __future__ import annotations

from edgeort.lowering.structs import Struct

_ALL = (
    Struct(
        "ConvParams",
        "Convolution of 1 to 3 spatial dimensions, padded to three at the front, channels last. "
        "auto_pad: 0 explicit, 1 SAME_UPPER, 2 SAME_LOWER, 3 VALID.",
        (
            ("spatial", "i32", 1),
            ("group", "i32", 1),
            ("kernel", "i32", 3),
            ("stride", "i32", 3),
            ("dilation", "i32", 3),
            ("pad_begin", "i32", 3),
            ("pad_end", "i32", 3),
            ("output_padding", "i32", 3),
            ("output_shape", "i32", 3),
            ("auto_pad", "i32", 1),
            ("channels_in", "i32", 1),
            ("channels_out", "i32", 1),
            ("epilogue", "Program", 1),
        ),
    ),
    Struct(
        "GemmParams",
        "y[m, n] = alpha * a[m, k] * b[k, n] + bias. b is packed in panels when packed is 1 (k and n as given).",
        (
            ("k", "i64", 1),
            ("n", "i64", 1),
            ("packed", "u32", 1),
            ("transpose_a", "u32", 1),
            ("transpose_b", "u32", 1),
            ("alpha", "f32", 1),
            ("epilogue", "Program", 1),
        ),
    ),
    Struct(
        "Quantisation",
        "Of a quantised product: zero points and limits are canonical (signed). quantised: the result is q8; then, and "
        "without a program, it is clip(round_even(sum * scale) + zero_point, lo, hi). wide: some weight is -128. "
        "small: no |sum * scale| reaches 2^15.",
        (
            ("x_zero_point", "i32", 1),
            ("zero_point", "i32", 1),
            ("lo", "i32", 1),
            ("hi", "i32", 1),
            ("quantised", "u32", 1),
            ("wide", "u16", 1),
            ("small", "u16", 1),
        ),
    ),
    Struct(
        "QConvParams",
        "A convolution of q8 by i8: inputs are x, weights, bias, sums of weights, scale, the program's operands; of a "
        "depthwise one, then zero points of the channels of x in place of x_zero_point.",
        (("quantisation", "Quantisation", 1), ("conv", "ConvParams", 1)),
    ),
    Struct(
        "QGemmParams",
        "A product of q8 [..., k] by i8 [k, n]; inputs as of QConvParams.",
        (("quantisation", "Quantisation", 1), ("k", "i64", 1), ("n", "i64", 1), ("epilogue", "Program", 1)),
    ),
    Struct(
        "DynamicQGemmParams",
        "A product of float32 [..., k], whose rows are quantised as it runs, by i8 [k, n]: inputs as of "
        "QConvParams, but that the bias is f32, or absent. wide: some weight is -128. whole: all rows have one range. "
        "shift: the weights are the stored ones plus that.",
        (
            *(("k", "i64", 1), ("n", "i64", 1), ("wide", "u32", 1), ("whole", "u32", 1), ("shift", "i32", 1)),
            *(("reserved", "u32", 1), ("epilogue", "Program", 1)),
        ),
    ),
    Struct(
        "BlockQGemmParams",
        "A product of float32 [..., k], whose rows become bytes in blocks as it runs, by weights of 4 or 8 bits in the "
        "same blocks: inputs are x, weights, bias, scales, zero points, the program's operands (kernels/qblocks).",
        (("k", "i64", 1), ("n", "i64", 1), ("epilogue", "Program", 1)),
    ),
    Struct(
        "SparseGemmParams",
        "A product of float32 [..., k] by a constant [k, n] with zeros: inputs are x, the weights that are not zero, "
        "column by column, the mask u64 [n, ceil(k / 64)] of their places, the bias, the program's operands.",
        (("k", "i64", 1), ("n", "i64", 1), ("epilogue", "Program", 1)),
    ),
    Struct(
        "RnnParams",
        "LSTM, GRU and RNN. packed: weights come as panels, recurrent ones a group of gates at a time; 2: "
        "some are integers of -128. flag: input_forget or linear_before_reset. activations: three a direction, codes "
        "of lowering/rnn.py. clip: 0 for none.",
        (
            ("hidden", "i64", 1),
            ("inputs", "i64", 1),
            ("directions", "u32", 1),
            ("reverse", "u32", 1),
            ("layout", "u32", 1),
            ("packed", "u32", 1),
            ("flag", "u32", 1),
            ("clip", "f32", 1),
            ("activation", "u32", 6),
            ("alpha", "f32", 6),
            ("beta", "f32", 6),
        ),
    ),
    Struct(
        "AttentionParams",
        "softmax(q (scale k)^T + mask) v. Operands have rank 5; perm (q's, k's, v's) brings each to [part, batch, "
        "head, row, column], of which it is `part`. out_perm takes [batch, head, row, column] to the output.",
        (("perm", "i32", 15), ("part", "i32", 3), ("out_perm", "i32", 4), ("scale", "f32", 1), ("reserved", "u32", 1)),
    ),
    Struct("ElementwiseParams", "A program over broadcast operands.", (("program", "Program", 1),)),
    Struct(
        "AxisParams",
        "Operators with one axis and one switch.",
        (("axis", "i64", 1), ("flag", "i64", 1), ("value", "f32", 1), ("value2", "f32", 1)),
    ),
    Struct(
        "ListParams",
        "Operators with a list of integers (axes, a permutation, ...).",
        (("count", "i64", 1), ("values", "i64", 8), ("flag", "i64", 1)),
    ),
    Struct(
        "PoolParams",
        "Pooling of 1 to 3 spatial dimensions, padded to three at the front. auto_pad as in ConvParams; "
        "p: the norm of LpPool.",
        (
            ("spatial", "i32", 1),
            ("channels_first", "i32", 1),
            ("kernel", "i32", 3),
            ("stride", "i32", 3),
            ("dilation", "i32", 3),
            ("pad_begin", "i32", 3),
            ("pad_end", "i32", 3),
            ("auto_pad", "i32", 1),
            ("ceil_mode", "i32", 1),
            ("count_include_pad", "i32", 1),
            ("column_major", "i32", 1),
            ("p", "f32", 1),
        ),
    ),
    Struct(
        "LrnParams",
        "y = x / (bias + alpha / size * sum of x^2 over `size` channels) ^ beta.",
        (("size", "i64", 1), ("alpha", "f32", 1), ("beta", "f32", 1), ("bias", "f32", 1), ("channels_first", "u32", 1)),
    ),
    Struct(
        "ResizeParams",
        "Resize; the numbers of the enumerations are those of lowering/resize.py. axes: count -1 is all of them.",
        (
            ("mode", "i32", 1),
            ("transform", "i32", 1),
            ("nearest", "i32", 1),
            ("policy", "i32", 1),
            ("exclude_outside", "i32", 1),
            ("antialias", "i32", 1),
            ("cubic_a", "f32", 1),
            ("extrapolation", "f32", 1),
            ("axes_count", "i64", 1),
            ("axes", "i64", 8),
        ),
    ),
    Struct(
        "PictureParams",
        "What becomes of a picture: recipes/picture.py, whose lists fit (behind none) and method are numbers of. "
        "source, channels: of the picture, of the result; map: the result's channels in the picture; luma: the weights "
        "of grey, 0 for none; size: of fit, crop: 0 for none; quantised: the table's bytes become q8.",
        (
            ("source", "i32", 1),
            ("channels", "i32", 1),
            ("map", "i32", 4),
            ("luma", "i32", 4),
            ("fit", "i32", 1),
            ("size", "i32", 2),
            ("crop", "i32", 2),
            ("fill", "i32", 1),
            ("method", "i32", 1),
            ("antialias", "i32", 1),
            ("channels_last", "i32", 1),
            ("quantised", "i32", 1),
        ),
    ),
    Struct(
        "RoiAlignParams",
        "RoiAlign, channels first. maximum: of the samples instead of their mean; offset: half a pixel.",
        (
            ("height", "i64", 1),
            ("width", "i64", 1),
            ("samples", "i64", 1),
            ("scale", "f32", 1),
            ("offset", "f32", 1),
            ("maximum", "u32", 1),
            ("reserved", "u32", 1),
        ),
    ),
)

PARAMS: dict[str, Struct] = {record.name: record for record in _ALL}
