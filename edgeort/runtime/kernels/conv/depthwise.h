// Depthwise convolution, channels last: each channel with its own kernel. Sums start at +0 and run over (kh, kw) in one
// accumulator with fused multiply-add; bias is added at the end. Weights are [tap][channel].
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

// Neighbouring outputs of one line. Only kernel rows inside the image are named; columns of the input outside [first, last),
// counted from the first output's first tap, read zeros.
struct DepthwiseArgs {
  const f32* const* rows;  // where the first tap of each kernel row is read
  const f32* weights;      // of the first of these kernel rows
  i64 count;               // of kernel rows
  i64 first, last;
  i64 pixels;      // outputs
  i64 begin, end;  // channels to compute; up to a vector before `begin` may be computed, too
  i64 channels;    // floats between pixels
  const f32* bias;
  f32 lo, hi;
  bool swish;  // instead of a clamp
  f32* out;
};

// One output from any taps: rows[t] is where tap t is read, taps[t] its weights.
struct DepthwiseTaps {
  const f32* const* rows;
  const f32* const* taps;
  i64 count, channels;
  const f32* bias;
  f32 lo, hi;
  bool swish;
  f32* out;
};

// A line with a kernel and stride along x known. At most half a kernel may lie outside at either end.
struct DepthwiseRow {
  int kernel, stride;
  void (*fn)(const DepthwiseArgs&);
};

struct DepthwiseKernels {
  void (*pixel)(const DepthwiseTaps&);
  const DepthwiseRow* rows;
  int count;
  int lanes;  // the fewest channels that `rows` take
};

}  // namespace edgeort
