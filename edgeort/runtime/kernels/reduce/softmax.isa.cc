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

template <int R>
struct Rows {
  static constexpr int kRows = R;
};

// The larger one; a NaN in b is passed over, for it makes the sum NaN and so every result.
struct Larger {
  EDGEORT_INLINE float operator()(float a, float b) const { return vmax(a, b); }
  template <class V>
  EDGEORT_INLINE V operator()(V a, V b) const {
#if defined(__aarch64__)
    return __builtin_elementwise_maxnum(a, b);
#else
    return vmax<V>(a, b);
#endif
  }
};

// y = exp(x - most) and its sum, R rows at once, so that the processor need not wait for one row's maximum and sum.
template <int R>
EDGEORT_INLINE void exponents(f32* y, const f32* x, i64 n, i64 stride, const vf (&most)[R], f32* sums) {
  Lanes16 lanes[R];
  vf m[R];
  for (int r = 0; r < R; ++r) lanes[r] = Lanes16::of(0.0f), m[r] = splat(tree(most[r], Larger{}));
  i64 i = 0;
  for (; i + 16 <= n; i += 16) {
#pragma clang loop unroll(full)
    for (int k = 0; k < Lanes16::kCount; ++k) {
#pragma clang loop unroll(full)
      for (int r = 0; r < R; ++r) {
        const vf e = exp_nonpositive(load(x + r * stride + i + k * kLanes) - m[r]);
        store(y + r * stride + i + k * kLanes, e);
        lanes[r].v[k] += e;
      }
    }
  }
#pragma clang loop unroll(full)
  for (int k = 0; k < Lanes16::kCount; ++k) {
    const i64 at = i + k * kLanes;
    if (at >= n) continue;
    const int some = n - at < kLanes ? static_cast<int>(n - at) : kLanes;
    for (int r = 0; r < R; ++r) {
      const vf e = select(iota() < some, exp_nonpositive(load_n(x + r * stride + at, some) - m[r]), vf{});
      store_n(y + r * stride + at, e, some);
      lanes[r].v[k] += e;
    }
  }
  for (int r = 0; r < R; ++r) sums[r] = lanes[r].reduce_tree();
}

template <int R>
void weights_at_once(f32* y, const f32* x, i64 n, i64 stride, const f32* mask, i64 mask_stride, f32* sums) {
  vf most[R];
  for (int r = 0; r < R; ++r) most[r] = splat(-kInf);
  vectors(n, [&](i64 at, int some) __attribute__((always_inline)) {
    for (int r = 0; r < R; ++r) {
      vf v = load_some(x + r * stride + at, some);
      if (mask) {
        v += load_some(mask + r * mask_stride + at, some);
        store_some(y + r * stride + at, v, some);
      }
      const vf larger = Larger{}(most[r], v);
      most[r] = some == kLanes ? larger : select(iota() < some, larger, most[r]);
    }
  });
  exponents<R>(y, mask ? y : x, n, stride, most, sums);
}

constexpr int kTogether = Lanes16::kCount == 1 ? 4 : 2;

void weights(f32* x, i64 n, i64 count, i64 stride, const f32* mask, i64 mask_stride, f32* sums) {
  i64 r = 0;
  const auto next = [&](auto rows) __attribute__((always_inline)) {
    weights_at_once<decltype(rows)::kRows>(x + r * stride, x + r * stride, n, stride, mask ? mask + r * mask_stride : nullptr, mask_stride,
                                           sums + r);
    r += decltype(rows)::kRows;
  };
  while (r + kTogether <= count) next(Rows<kTogether>{});
  while (r < count) next(Rows<1>{});
}

void divide(f32* x, i64 n, i64 count, i64 stride, const f32* sums) {
  for (i64 r = 0; r < count; ++r, x += stride) {
    const vf sum = splat(sums[r]);
    vectors(n, [&](i64 at, int some) __attribute__((always_inline)) { store_some(x + at, load_some(x + at, some) / sum, some); });
  }
}

void rows(f32* y, const f32* x, i64 n, i64 count) {
  f32 sums[kTogether];
  for (; count >= kTogether; count -= kTogether, x += kTogether * n, y += kTogether * n) {
    weights_at_once<kTogether>(y, x, n, n, nullptr, 0, sums);
    divide(y, n, kTogether, n, sums);
  }
  for (; count > 0; --count, x += n, y += n) {
    weights_at_once<1>(y, x, n, n, nullptr, 0, sums);
    divide(y, n, 1, n, sums);
  }
}

void log_row(f32* y, const f32* x, i64 n) {
  Lanes16 most = Lanes16::of(MaximumFold::start), lanes = Lanes16::of(0.0f);
  fold_row<MaximumFold>(most, x, n, vf{});
  const vf m = splat(most.reduce_tree(Max{}));
  fold_row<ExpFold>(lanes, x, n, m);
  const vf log_sum = log(splat(lanes.reduce_tree()));
  vectors(n, [&](i64 i, int k) { store_some(y + i, (load_some(x + i, k) - m) - log_sum, k); });
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
    for (i64 r = 0; r < n; ++r) store_some(y + r * stride + c, exp_nonpositive(load_some(x + r * stride + c, k) - m), k);
    const vf sum = fold_columns<SumFold>(n, vf{}, [&](i64 r) { return load_some(y + r * stride + c, k); });
    for (i64 r = 0; r < n; ++r) store_some(y + r * stride + c, load_some(y + r * stride + c, k) / sum, k);
  });
}

}  // namespace

EDGEORT_KERNEL(SoftmaxKernels, softmax, {rows, weights, divide, log_row, columns})

}  // namespace edgeort
