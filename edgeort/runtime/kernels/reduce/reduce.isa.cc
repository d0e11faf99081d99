// Reductions for one ISA level.
#include "folds.h"

namespace edgeort {
namespace {

template <class F>
void row(f32* lanes, const f32* x, i64 n, f32 shift) {
  Lanes16 l = Lanes16::load(lanes);
  fold_row<F>(l, x, n, splat(shift));
  for (int k = 0; k < Lanes16::kCount; ++k) store(lanes + k * kLanes, l.v[k]);
}

template <class F>
f32 tree_of(f32* lanes) {
  return Lanes16::load(lanes).reduce_tree(typename F::Op{});
}

template <class F>
void rows(f32* y, const f32* x, i64 n, i64 count) {
  for (i64 i = 0; i < count; ++i) {
    Lanes16 l = Lanes16::of(F::start);
    fold_row<F>(l, x + i * n, n, vf{});
    y[i] = l.reduce_tree(typename F::Op{});
  }
}

template <class F>
void columns(f32* out, const f32* x, i64 n, i64 stride, i64 columns, const f32* shift) {
  i64 c = 0;
  for (; c + kLanes <= columns; c += kLanes) {
    store(out + c, fold_columns<F>(n, shift ? load(shift + c) : vf{}, [&](i64 r) { return load(x + r * stride + c); }));
  }
  if (c < columns) {
    const int rest = static_cast<int>(columns - c);
    const vf y = fold_columns<F>(n, shift ? load_n(shift + c, rest) : vf{}, [&](i64 r) { return load_n(x + r * stride + c, rest); });
    store_n(out + c, y, rest);
  }
}

template <bool kLog>
EDGEORT_INLINE vf finish_one(vf y, Finish finish, vf length, vf shift) {
  if constexpr (kLog) return finish == Finish::log ? log(y) : log(y) + shift;
  return finish == Finish::mean ? y / length : finish == Finish::sqrt ? sqrt(y) : y;
}

template <bool kLog>
void finish(f32* y, i64 n, Finish how, i64 length, const f32* shift) {
  for (i64 i = 0; i < n; i += kLanes) {
    const int m = n - i < kLanes ? static_cast<int>(n - i) : kLanes;
    const vf s = shift ? load_n(shift + i, m) : vf{};
    store_n(y + i, finish_one<kLog>(load_n(y + i, m), how, splat(static_cast<f32>(length)), s), m);
  }
}

template <class F>
constexpr FoldKernels kernels() {
  if constexpr (__is_same(F, ExpFold)) return {row<F>, tree_of<F>, nullptr, columns<F>, F::start};
  return {row<F>, tree_of<F>, rows<F>, columns<F>, F::start};
}

}  // namespace

EDGEORT_KERNEL(FoldKernels, fold_sum, kernels<SumFold>())
EDGEORT_KERNEL(FoldKernels, fold_absolute, kernels<AbsoluteFold>())
EDGEORT_KERNEL(FoldKernels, fold_square, kernels<SquareFold>())
EDGEORT_KERNEL(FoldKernels, fold_exp, kernels<ExpFold>())
EDGEORT_KERNEL(FoldKernels, fold_product, kernels<ProductFold>())
EDGEORT_KERNEL(FoldKernels, fold_max, kernels<MaximumFold>())
EDGEORT_KERNEL(FoldKernels, fold_min, kernels<MinimumFold>())
EDGEORT_KERNEL(FinishFn, finish_plain, finish<false>)
EDGEORT_KERNEL(FinishFn, finish_log, finish<true>)

}  // namespace edgeort
