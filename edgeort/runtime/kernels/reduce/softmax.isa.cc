// Soft maximum for one ISA level: m = max, e = exp(x - m), y = e / sum(e); its logarithm (x - m) - log(sum(e)).
#include "folds.h"

namespace edgeort {
namespace {

// Calls body(at, count) for vectors of n contiguous elements.
template <class F>
EDGEORT_INLINE void vectors(i64 n, const F& body) {
  i64 i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, kLanes);
  if (i < n) body(i, static_cast<int>(n - i));
}

EDGEORT_INLINE vf load_some(const f32* x, int n) { return n == kLanes ? load(x) : load_n(x, n); }
EDGEORT_INLINE void store_some(f32* y, vf v, int n) {
  if (n == kLanes) {
    store(y, v);
  } else {
    store_n(y, v, n);
  }
}

void row(f32* y, const f32* x, i64 n, bool log_of) {
  Lanes16 most = Lanes16::of(MaximumFold::start), lanes = Lanes16::of(0.0f);
  fold_row<MaximumFold>(most, x, n, vf{});
  const vf m = splat(most.reduce_tree(Max{}));
  if (log_of) {
    fold_row<ExpFold>(lanes, x, n, m);
    const vf log_sum = log(splat(lanes.reduce_tree()));
    vectors(n, [&](i64 i, int k) { store_some(y + i, (load_some(x + i, k) - m) - log_sum, k); });
    return;
  }
  i64 i = 0;
  for (; i + 16 <= n; i += 16) {
#pragma clang loop unroll(full)
    for (int k = 0; k < Lanes16::kCount; ++k) {
      const vf e = exp(load(x + i + k * kLanes) - m);
      store(y + i + k * kLanes, e);
      lanes.v[k] += e;
    }
  }
  const i64 whole = i;
  for (; i < n; i += kLanes) {
    const int k = n - i < kLanes ? static_cast<int>(n - i) : kLanes;
    store_n(y + i, exp(load_n(x + i, k) - m), k);
  }
  fold_row<SumFold>(lanes, y + whole, n - whole, vf{});
  const vf sum = splat(lanes.reduce_tree());
  vectors(n, [&](i64 i, int k) { store_some(y + i, load_some(y + i, k) / sum, k); });
}

void columns(f32* y, const f32* x, i64 n, i64 stride, i64 columns, bool log_of) {
  vectors(columns, [&](i64 c, int k) {
    const vf m = fold_columns<MaximumFold>(n, vf{}, [&](i64 r) { return load_some(x + r * stride + c, k); });
    if (log_of) {
      const vf log_sum = log(fold_columns<ExpFold>(n, m, [&](i64 r) { return load_some(x + r * stride + c, k); }));
      for (i64 r = 0; r < n; ++r) {
        store_some(y + r * stride + c, (load_some(x + r * stride + c, k) - m) - log_sum, k);
      }
      return;
    }
    for (i64 r = 0; r < n; ++r) store_some(y + r * stride + c, exp(load_some(x + r * stride + c, k) - m), k);
    const vf sum = fold_columns<SumFold>(n, vf{}, [&](i64 r) { return load_some(y + r * stride + c, k); });
    for (i64 r = 0; r < n; ++r) store_some(y + r * stride + c, load_some(y + r * stride + c, k) / sum, k);
  });
}

}  // namespace

EDGEORT_KERNEL(SoftmaxKernels, softmax, {row, columns})

}  // namespace edgeort
