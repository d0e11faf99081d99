// Several vectors at once, for kernels that need all registers of a CPU with 32.
#pragma once

#include "vec.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace edgeort {
namespace {

// N neighbouring vectors. 64-bit Arm loads up to four by one instruction.
template <int N>
EDGEORT_INLINE void load_all(const float* from, vf* to) {
#if defined(__aarch64__)
  if constexpr (N > 4) {
    load_all<N - 4>(from + 4 * kLanes, to + 4);
    return load_all<4>(from, to);
  } else if constexpr (N == 4) {
    const float32x4x4_t four = vld1q_f32_x4(from);
    for (int i = 0; i < 4; ++i) to[i] = four.val[i];
    return;
  }
#endif
#pragma clang loop unroll(full)
  for (int i = 0; i < N; ++i) to[i] = load(from + i * kLanes);
}

// The same value, computed before anything behind it is begun: else the compiler loads ahead, and what has no register left waits on
// the stack.
EDGEORT_INLINE vf settled(vf value) {
#if defined(__aarch64__)
  asm volatile("" : "+w"(value)::"memory");
#endif
  return value;
}

}  // namespace
}  // namespace edgeort
