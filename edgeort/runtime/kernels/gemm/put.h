// How a tile's sums reach memory.
#pragma once
#include "../../simd/types.h"

namespace edgeort {
namespace {

// What sums are vectors of: as wide as the level has them, or half of that (HALF of kernels.inc).
using Half = Vec<float, kLanes / 2>;
template <class T>
constexpr int lanes_of = Shape<T>::lanes;

#if defined(__AVX512F__)
// Stores `columns` columns; a tile lacks lanes of its last vector alone, whose store costs no more for its mask.
template <int M, int V, class T>
EDGEORT_INLINE void put(const T (&sum)[M][V], float* out, int64_t stride, int64_t columns) {
  constexpr int64_t kLast = (V - 1) * lanes_of<T>;
  const int64_t last = columns - kLast;
  const uint32_t mask = ~uint32_t{0} >> (32 - (last < lanes_of<T> ? last : lanes_of<T>));
#pragma clang loop unroll(full)
  for (int m = 0; m < M; ++m, out += stride) {
#pragma clang loop unroll(full)
    for (int v = 0; v + 1 < V; ++v) store(out + v * lanes_of<T>, sum[m][v]);
    if constexpr (lanes_of<T> == kLanes) {
      __builtin_ia32_storeups512_mask(out + kLast, sum[m][V - 1], static_cast<uint16_t>(mask));
    } else {
      __builtin_ia32_storeups256_mask(reinterpret_cast<Half*>(out + kLast), sum[m][V - 1], static_cast<uint8_t>(mask));
    }
  }
}
#else
template <int M, int V>
EDGEORT_INLINE void put(const vf (&sum)[M][V], float* out, int64_t stride) {
#pragma clang loop unroll(full)
  for (int m = 0; m < M; ++m, out += stride) {
#pragma clang loop unroll(full)
    for (int v = 0; v < V; ++v) store(out + v * kLanes, sum[m][v]);
  }
}

__attribute__((noinline)) void copy_columns(const float* from, int64_t from_stride, float* to, int64_t to_stride, int64_t rows,
                                            int64_t columns) {
  for (int64_t m = 0; m < rows; ++m) {
    for (int64_t n = 0; n < columns; ++n) to[m * to_stride + n] = from[m * from_stride + n];
  }
}

// Stores `columns` columns, all of the tile's or fewer.
template <int M, int V>
EDGEORT_INLINE void put(const vf (&sum)[M][V], float* out, int64_t stride, int64_t columns) {
  constexpr int64_t kWidth = V * kLanes;
  if (columns >= kWidth) return put<M, V>(sum, out, stride);
  float cut[M * kWidth];
  put<M, V>(sum, cut, kWidth);
  copy_columns(cut, kWidth, out, stride, M, columns);
}
#endif

}  // namespace
}  // namespace edgeort
