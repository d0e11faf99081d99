// Depthwise convolution, channels last: each channel with its own kernel. Sums start at +0 and run over (kh, kw) in one
// accumulator with fused multiply-add; bias is added at the end. Weights are [tap][channel].
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

// Lines of outputs. Columns of the input outside [first, last), counted from a line's first tap, read zeros.
struct DepthwiseArgs {
  const f32* const* rows;  // [line][kernel row]: where the first tap of the first output is read; null: all zeros
  const f32* weights;
  i64 lines, pixels, channels;
  i64 in_pixel, pixel;  // floats between columns of the input, and between outputs and between taps
  i64 first, last;
  const f32* bias;
  f32 lo, hi;
  bool swish;  // instead of a clamp
  f32* out;
  i64 out_line;  // floats between lines of outputs
};

// A line of outputs with any kernel, whose taps outside the image are left out. Of a grouped convolution each output reads all
// channels of its group: weights are [tap][channel of the group][channel].
struct DepthwiseLine {
  const f32* const* rows;  // [kernel row]: column 0 of the line that it reads; null: outside
  i64 row_count;
  const f32* weights;
  i64 columns, stride, dilation, pad;  // of the kernel, along x
  i64 width;                           // of the lines that are read
  i64 pixels, channels;
  const f32* bias;
  f32 lo, hi;
  bool swish;
  f32* out;
};

using DepthwiseAnyFn = void (*)(const DepthwiseLine&);

struct GroupedKernels {
  DepthwiseAnyFn of_two, of_four, of_eight;  // channels a group, in and out
};

// Lines with a square kernel and the stride along x known. At most half a kernel may lie outside at either end.
struct DepthwiseRow {
  int kernel, stride;
  void (*fn)(const DepthwiseArgs&);
};

struct DepthwiseKernels {
  // Channels of pixels that lie `step` floats apart, without gaps.
  void (*copy)(const f32* from, i64 step, i64 pixels, i64 channels, f32* to);
  const DepthwiseRow* rows;
  int count;
  i64 fewest;  // channels that `rows` take
};

}  // namespace edgeort
