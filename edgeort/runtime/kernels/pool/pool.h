// Pooling over windows and over whole images, channels last.
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

// out[c] = end(step(... step(start, taps[0][c]) ..., taps[count - 1][c])) for c in [0, channels), one accumulator each.
// The same for `pixels` outputs, whose taps lie `in_step` bytes after those of the one before, and they themselves `out_step`.
// value: the divisor of averages, the p of Lp norms. What x and taps point to are float32, bytes, or the integers of a q8.
struct WindowRun {
  const void* const* taps;
  i64 count, channels;
  f32 value;
  void* out;
  i64 pixels, in_step, out_step;
};

using WindowFn = void (*)(const WindowRun&);

// The same over pixels r in [0, pixels) at x[r * stride + c]: pixel r goes to virtual lane r % 16, lanes combine in a tree.
using GlobalFn = void (*)(const void* x, i64 pixels, i64 stride, i64 channels, f32 value, f32* out);

}  // namespace edgeort
