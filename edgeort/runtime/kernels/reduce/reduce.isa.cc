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

vf finish_one(vf y, Finish finish, vf length, vf shift) {
  switch (finish) {
    case Finish::mean:
      return y / length;
    case Finish::sqrt:
      return sqrt(y);
    case Finish::log:
      return log(y);
    case Finish::log_shifted:
      return log(y) + shift;
    default:
      return y;
  }
}

void finish(f32* y, i64 n, Finish how, i64 length, const f32* shift) {
  for (i64 i = 0; i < n; i += kLanes) {
    const int m = n - i < kLanes ? static_cast<int>(n - i) : kLanes;
    store_n(y + i, finish_one(load_n(y + i, m), how, splat(static_cast<f32>(length)), shift ? load_n(shift + i, m) : vf{}), m);
  }
}

template <class F>
constexpr FoldKernels kernels() {
  return {row<F>, tree_of<F>, columns<F>, F::start};
}

}  // namespace

extern const ReduceKernels EDGEORT_NAME(reduce);
const ReduceKernels EDGEORT_NAME(reduce) = {{kernels<SumFold>(), kernels<AbsoluteFold>(), kernels<SquareFold>(), kernels<ExpFold>(),
                                             kernels<ProductFold>(), kernels<MaximumFold>(), kernels<MinimumFold>()},
                                            finish};

}  // namespace edgeort
