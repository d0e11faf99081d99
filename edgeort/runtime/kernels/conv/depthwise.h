// Depthwise convolution, channels last: each channel with its own kernel. Sums start at +0 and run over (kh, kw) in one
// accumulator with fused multiply-add; bias is added at the end. Weights are [tap][channel].
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

struct DepthwiseArgs {
  const f32* const* rows;     // where each tap, or each kernel row, of the first pixel is read
  const f32* const* weights;  // and its weights
  i64 count;                  // of taps, or of kernel rows
  i64 channels;
  i64 pixel;  // floats between neighbouring input pixels
  const f32* bias;
  f32 lo, hi;
  f32* out;  // pixels follow one another
};

using DepthwiseFn = void (*)(const DepthwiseArgs&);

// Computes `pixels` neighbouring outputs from whole kernel rows, each input loaded once for all taps along the row.
struct DepthwiseRow {
  int kernel, stride, pixels;
  DepthwiseFn fn;
};

struct DepthwiseKernels {
  DepthwiseFn pixel;  // one output from any taps
  const DepthwiseRow* rows;
  int count;
};

}  // namespace edgeort
