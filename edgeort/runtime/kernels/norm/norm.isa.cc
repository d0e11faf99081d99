// Normalisations for one ISA level.
#include "norm.h"

#include "../../simd/lanes16.h"
#include "../../simd/math.h"

namespace edgeort {
namespace {

struct Value {
  static EDGEORT_INLINE vf step(vf sum, vf x, vf) { return sum + x; }
};
struct Square {  // of the distance from a shift
  static EDGEORT_INLINE vf step(vf sum, vf x, vf shift) { return fma(x - shift, x - shift, sum); }
};
struct Magnitude {
  static EDGEORT_INLINE vf step(vf sum, vf x, vf) { return sum + abs(x); }
};

// Calls body(i, lanes) for the vectors of [0, n); only the last one has fewer than kLanes lanes.
template <class Body>
EDGEORT_INLINE void each_vector(i64 n, const Body& body) {
  i64 i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, kLanes);
  if (i < n) body(i, static_cast<int>(n - i));
}

EDGEORT_INLINE vf take(const f32* p, int lanes) { return lanes == kLanes ? load(p) : load_n(p, lanes); }
EDGEORT_INLINE void put(f32* p, vf v, int lanes) {
  if (lanes == kLanes) {
    store(p, v);
  } else {
    store_n(p, v, lanes);
  }
}
EDGEORT_INLINE vf take(Factor f, i64 i, int lanes) { return f.step ? take(f.data + i, lanes) : splat(*f.data); }

// The sum of Op over each of R rows, which run side by side so that no addition waits for the one before.
template <class Op, int R>
EDGEORT_INLINE void row_sums(const f32* x, i64 n, const f32 (&number)[R], f32 (&result)[R]) {
  Lanes16 sum[R];
  for (int r = 0; r < R; ++r) sum[r] = Lanes16::of(0.0f);
  i64 i = 0;
  for (; i + 16 <= n; i += 16) {
    for (int r = 0; r < R; ++r) {
      for (int k = 0; k < Lanes16::kCount; ++k) sum[r].v[k] = Op::step(sum[r].v[k], load(x + r * n + i + k * kLanes), splat(number[r]));
    }
  }
  for (int r = 0; r < R; ++r) {
    if (i < n) {  // lanes beyond the row see the shift itself: nothing is added to them
      Lanes16 rest = Lanes16::load_n(x + r * n + i, static_cast<int>(n - i));
      rest.fill_from(static_cast<int>(n - i), number[r]);
      for (int k = 0; k < Lanes16::kCount; ++k) sum[r].v[k] = Op::step(sum[r].v[k], rest.v[k], splat(number[r]));
    }
    result[r] = sum[r].reduce_tree();
  }
}
template <class Op>
EDGEORT_INLINE f32 row_sum(const f32* x, i64 n, f32 number) {
  f32 result[1];
  row_sums<Op, 1>(x, n, {number}, result);
  return result[0];
}

// The sums of Op over the rows of `lanes` columns.
template <class Op>
EDGEORT_INLINE vf column_sum(const f32* x, i64 n, i64 stride, int lanes, vf shift) {
  vf lane[16];
#pragma clang loop unroll(full)
  for (int i = 0; i < 16; ++i) lane[i] = splat(0.0f);
  i64 r = 0;
  for (; r + 16 <= n; r += 16) {
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; ++i) lane[i] = Op::step(lane[i], take(x + (r + i) * stride, lanes), shift);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < 16; ++i) {
    if (r + i < n) lane[i] = Op::step(lane[i], take(x + (r + i) * stride, lanes), shift);
  }
  return tree16(lane, Add{});
}

// Of R rows, one behind the other.
template <int R>
EDGEORT_INLINE void statistics_of(const f32* x, i64 n, f32 epsilon, f32 (&mean)[R], f32 (&inv)[R]) {
  const f32 size = static_cast<f32>(n);
  f32 sum[R];
  row_sums<Value>(x, n, mean, sum);
  for (int r = 0; r < R; ++r) mean[r] = sum[r] / size;
  row_sums<Square>(x, n, mean, sum);
  for (int r = 0; r < R; ++r) inv[r] = 1.0f / sqrt(sum[r] / size + epsilon);
}

void statistics(const f32* x, i64 n, f32 epsilon, f32* mean, f32* inv) {
  f32 means[1] = {}, invs[1];
  statistics_of(x, n, epsilon, means, invs);
  *mean = means[0];
  *inv = invs[0];
}

template <int R>
EDGEORT_INLINE void layer(const LayerRows& l, i64 row) {
  const f32* x = l.x + row * l.n;
  f32 mean[R] = {}, inv[R];
  statistics_of(x, l.n, l.epsilon, mean, inv);
  for (int r = 0; r < R; ++r) {
    if (l.means) l.means[row + r] = mean[r];
    if (l.invs) l.invs[row + r] = inv[r];
  }
  if (!l.y) return;
  each_vector(l.n, [&](i64 i, int lanes) __attribute__((always_inline)) {
    const vf scale = take(l.scale, i, lanes), bias = take(l.bias, i, lanes);
    for (int r = 0; r < R; ++r) {
      put(l.y + (row + r) * l.n + i, fma((take(x + r * l.n + i, lanes) - splat(mean[r])) * splat(inv[r]), scale, bias), lanes);
    }
  });
}

void layer_rows(const LayerRows& l) {
  i64 row = 0;
  for (; row + 4 <= l.count; row += 4) layer<4>(l, row);
  for (; row < l.count; ++row) layer<1>(l, row);
}

void apply(const f32* x, i64 n, f32 mean, f32 inv, Factor scale, Factor bias, f32* y) {
  const vf m = splat(mean), v = splat(inv);
  each_vector(n, [&](i64 i, int lanes) __attribute__((always_inline)) {
    put(y + i, fma((take(x + i, lanes) - m) * v, take(scale, i, lanes), take(bias, i, lanes)), lanes);
  });
}

void rms(const f32* x, i64 n, f32 epsilon, Factor scale, f32* y) {
  const vf inv = splat(1.0f / sqrt(row_sum<Square>(x, n, 0.0f) / static_cast<f32>(n) + epsilon));
  each_vector(
      n, [&](i64 i, int lanes) __attribute__((always_inline)) { put(y + i, (take(x + i, lanes) * inv) * take(scale, i, lanes), lanes); });
}

void channels(const f32* x, i64 pixels, i64 stride, i64 channels, f32 epsilon, const f32* scale, const f32* bias, f32* y) {
  const vf size = splat(static_cast<f32>(pixels));
  each_vector(channels, [&](i64 c, int lanes) __attribute__((always_inline)) {
    const vf mean = column_sum<Value>(x + c, pixels, stride, lanes, vf{}) / size;
    const vf variance = column_sum<Square>(x + c, pixels, stride, lanes, mean) / size;
    const vf inv = splat(1.0f) / sqrt(variance + splat(epsilon)), s = take(scale + c, lanes), b = take(bias + c, lanes);
    for (i64 r = 0; r < pixels; ++r) put(y + r * stride + c, fma((take(x + r * stride + c, lanes) - mean) * inv, s, b), lanes);
  });
}

void affine(const f32* x, i64 n, Factor a, Factor b, f32* y) {
  each_vector(n, [&](i64 i, int lanes)
                     __attribute__((always_inline)) { put(y + i, fma(take(x + i, lanes), take(a, i, lanes), take(b, i, lanes)), lanes); });
}

void lrn(const f32* squares, i64 taps, i64 step, const f32* x, i64 n, f32 factor, f32 beta, f32 bias, f32* y) {
  each_vector(n, [&](i64 i, int lanes) __attribute__((always_inline)) {
    vf sum = splat(0.0f);
    for (i64 t = 0; t < taps; ++t) sum = Square::step(sum, take(squares + t * step + i, lanes), vf{});
    put(y + i, take(x + i, lanes) / pow(fma(sum, splat(factor), splat(bias)), splat(beta)), lanes);
  });
}

EDGEORT_INLINE vf divide(vf x, vf norm) { return select(norm == splat(0.0f), splat(0.0f), x / norm); }

template <class Op, bool kRoot>
void lp_row(const f32* x, i64 n, f32* y) {
  const f32 sum = row_sum<Op>(x, n, 0.0f);
  const vf norm = splat(kRoot ? sqrt(sum) : sum);
  each_vector(n, [&](i64 i, int lanes) __attribute__((always_inline)) { put(y + i, divide(take(x + i, lanes), norm), lanes); });
}

template <class Op, bool kRoot>
void lp_columns(const f32* x, i64 n, i64 stride, i64 columns, f32* y) {
  each_vector(columns, [&](i64 c, int lanes) __attribute__((always_inline)) {
    const vf sum = column_sum<Op>(x + c, n, stride, lanes, vf{});
    const vf norm = kRoot ? sqrt(sum) : sum;
    for (i64 r = 0; r < n; ++r) put(y + r * stride + c, divide(take(x + r * stride + c, lanes), norm), lanes);
  });
}

}  // namespace

EDGEORT_KERNEL(StatisticsFn, norm_statistics, statistics)
EDGEORT_KERNEL(ApplyFn, norm_apply, apply)
EDGEORT_KERNEL(LayerRowsFn, norm_layer_rows, layer_rows)
EDGEORT_KERNEL(RmsFn, norm_rms, rms)
EDGEORT_KERNEL(ChannelsFn, norm_channels, channels)
EDGEORT_KERNEL(AffineFn, norm_affine, affine)
EDGEORT_KERNEL(LrnFn, norm_lrn, lrn)
EDGEORT_KERNEL(LpRowFn, norm_l1_row, lp_row<Magnitude, false>)
EDGEORT_KERNEL(LpRowFn, norm_l2_row, lp_row<Square, true>)
EDGEORT_KERNEL(LpColumnsFn, norm_l1_columns, lp_columns<Magnitude, false>)
EDGEORT_KERNEL(LpColumnsFn, norm_l2_columns, lp_columns<Square, true>)

}  // namespace edgeort
