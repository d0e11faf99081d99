// What follows sums while they are in registers: their bias, then a clamp or a hard swish.
#pragma once
#include "../../simd/math.h"

namespace edgeort {
namespace {

struct Finish {
  vf lo, hi;
  bool swish;

  // Of N sums with the same bias.
  template <int N>
  EDGEORT_INLINE void operator()(vf (&y)[N], vf bias) const {
#pragma clang loop unroll(full)
    for (int i = 0; i < N; ++i) y[i] = y[i] + bias;
    if (swish) {
      // hard_swish(y): its clip never sees -0, for fma(y, 1 / 6, 1 / 2) is +0 where it is zero.
#pragma clang loop unroll(full)
      for (int i = 0; i < N; ++i) y[i] = y[i] * clip_sum(fma(y[i], splat(1.0f / 6.0f), splat(0.5f)), splat(0.0f), splat(1.0f));
    } else {
#pragma clang loop unroll(full)
      for (int i = 0; i < N; ++i) y[i] = clip_sum(y[i], lo, hi);
    }
  }
};

}  // namespace
}  // namespace edgeort
