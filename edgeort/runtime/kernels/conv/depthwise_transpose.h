// Transposed depthwise convolution, channels last: the outputs of a line that lie a stride apart read the same taps. Sums start at
// +0 and run over (kd, kh, kw) in one accumulator with fused multiply-add; bias is added at the end.
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

// Output r of a phase reads column at + r of a line, where that is in it.
struct PhaseTap {
  const f32* line;  // column 0
  i64 at;
  const f32* weights;  // of each channel
};

struct Phase {
  const PhaseTap* taps;
  i64 count;
  i64 width, channels;  // of the lines that are read
  const f32* bias;
  f32 lo, hi;
  bool swish;
  f32* out;
  i64 outputs, step;  // how many, and floats from one to the next
};

using PhaseFn = void (*)(const Phase&);

}  // namespace edgeort
