// Searches in float32 for one ISA level. Numbers are ordered by signed keys: NaN is above everything, -0 equals +0.
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

struct SelectKernels {
  // keys[i] = the key of x[i * stride] for i in [0, n), its bits flipped by `flip`.
  void (*keys)(const f32* x, i64 stride, i64 n, i32 flip, i32* keys);
  // The first i in [from, n) whose key is below `limit`, else n.
  i64 (*below)(const i32* keys, i64 from, i64 n, i32 limit);
  // out[c] = where the greatest flipped key of x[i * stride + c] is, i < n < 2^31: the first one, or the last, for c in [0, columns).
  void (*columns)(const f32* x, i64 n, i64 stride, i64 columns, i32 flip, bool last, i64* out);
  // The same of n elements, one behind the other.
  i64 (*row)(const f32* x, i64 n, i32 flip, bool last);
};

}  // namespace edgeort
