// The folds of reduce.h as types, for the files that are compiled once an ISA level.
#pragma once
#include "../../simd/lanes16.h"
#include "../../simd/math.h"
#include "reduce.h"

namespace edgeort {
namespace {

#define EDGEORT_FOLD(Name, start_value, Combine, formula)                 \
  struct Name##Fold {                                                     \
    static constexpr float start = start_value;                           \
    using Op = Combine;                                                   \
    template <class T>                                                    \
    static EDGEORT_INLINE T step(T lane, T x, [[maybe_unused]] T shift) { \
      return formula;                                                     \
    }                                                                     \
  };
EDGEORT_FOLD(Sum, 0.0f, Add, lane + x)
EDGEORT_FOLD(Absolute, 0.0f, Add, lane + abs(x))
EDGEORT_FOLD(Square, 0.0f, Add, fma(x, x, lane))
EDGEORT_FOLD(Exp, 0.0f, Add, lane + exp(x - shift))
EDGEORT_FOLD(Product, 1.0f, Mul, lane* x)
EDGEORT_FOLD(Maximum, -kInf, Max, max_nan<T>(lane, x))
EDGEORT_FOLD(Minimum, kInf, Min, min_nan<T>(lane, x))
#undef EDGEORT_FOLD

EDGEORT_INLINE vi iota() {
  vi r;
  for (int i = 0; i < kLanes; ++i) r[i] = i;
  return r;
}

// The lanes after x[0, n).
template <class F>
EDGEORT_INLINE void fold_row(Lanes16& lanes, const f32* x, i64 n, vf shift) {
  i64 i = 0;
  for (; i + 16 <= n; i += 16) {
    const Lanes16 v = Lanes16::load(x + i);
    for (int k = 0; k < Lanes16::kCount; ++k) lanes.v[k] = F::template step<vf>(lanes.v[k], v.v[k], shift);
  }
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    const Lanes16 v = Lanes16::load_n(x + i, rest);
    for (int k = 0; k < Lanes16::kCount; ++k) {
      lanes.v[k] = select(iota() < rest - k * kLanes, F::template step<vf>(lanes.v[k], v.v[k], shift), lanes.v[k]);
    }
  }
}

// kLanes sequences side by side: `x(r)` is a vector of their elements r.
template <class F, class X>
EDGEORT_INLINE vf fold_columns(i64 n, vf shift, const X& x) {
  vf lane[16];
  for (int i = 0; i < 16; ++i) lane[i] = splat(F::start);
  i64 r = 0;
  if constexpr (__is_same(F, ExpFold)) {  // its code is long, and the lanes may as well be in memory
#pragma clang loop unroll(disable)
    for (; r < n; ++r) lane[r % 16] = F::template step<vf>(lane[r % 16], x(r), shift);
    return tree16(lane, Add{});
  }
  for (; r + 16 <= n; r += 16) {
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; ++i) lane[i] = F::template step<vf>(lane[i], x(r + i), shift);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < 15; ++i) {
    if (r + i < n) lane[i] = F::template step<vf>(lane[i], x(r + i), shift);
  }
  return tree16(lane, typename F::Op{});
}

}  // namespace
}  // namespace edgeort
