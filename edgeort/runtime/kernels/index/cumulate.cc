// CumSum and CumProd: one after the other along the axis, in order.
#include "gather.h"

namespace edgeort {
namespace {

enum Flags : i64 { kExclusive = 1, kReverse = 2, kProduct = 4 };
constexpr i64 kColumns = 256;

bool has_kernel(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f64 || dtype == DType::i32 || dtype == DType::i64 || dtype == DType::u32 ||
         dtype == DType::u64;
}

Status prepare(Prepare& p) {
  EDGEORT_TRY(need(p, 2, 1));
  if (!has_kernel(p.in(0).dtype)) return p.fail("its type has no kernel");
  if (p.in(0).rank == 0) return p.fail("its input is a scalar");
  if (!Integers::holds(p.in(1)) || count(p.in(1)) != 1) return p.fail("its axis must be one integer");
  return p.same(0, 0);
}

// `columns` columns of n rows, which lie `stride` elements apart; a negative stride walks backwards.
template <class T>
void cumulate(T* out, const T* in, i64 n, i64 stride, i64 columns, i64 flags) {
  const bool product = flags & kProduct, exclusive = flags & kExclusive;
  for (i64 c = 0; c < columns; ++c) out[c] = exclusive ? static_cast<T>(product) : in[c];
  for (i64 i = 1; i < n; ++i) {
    const T* step = in + (exclusive ? i - 1 : i) * stride;
    const T* last = out + (i - 1) * stride;
    T* to = out + i * stride;
    for (i64 c = 0; c < columns; ++c) to[c] = product ? last[c] * step[c] : last[c] + step[c];
  }
}

template <class T>
void run_typed(Run& r) {
  const Tensor& in = r.in(0);
  const i64 flags = r.params<AxisParams>().flag;
  const int axis = static_cast<int>(wrap_index(Integers::of(r.in(1))[0], in.rank));
  const i64 n = in.dims[axis], inner = count(in, axis + 1, in.rank), blocks = ceil_div(inner, kColumns);
  if (count(in) == 0) return;
  r.ranges(count(in, 0, axis) * blocks, max_of(1, 8192 / (n * max_of(1, min_of(inner, kColumns)))), [&](i64 begin, i64 end, int) {
    for (i64 task = begin; task < end; ++task) {
      const i64 column = task % blocks * kColumns, first = (task / blocks * n + (flags & kReverse ? n - 1 : 0)) * inner + column;
      const i64 stride = flags & kReverse ? -inner : inner;
      cumulate(r.out(0).as<T>() + first, in.as<const T>() + first, n, stride, min_of(kColumns, inner - column), flags);
    }
  });
}

// Integers wrap: their unsigned types do it by definition.
void run(Run& r) {
  switch (r.in(0).dtype) {
    case DType::f32:
      return run_typed<f32>(r);
    case DType::f64:
      return run_typed<f64>(r);
    case DType::i32:
    case DType::u32:
      return run_typed<u32>(r);
    default:
      return run_typed<u64>(r);
  }
}

}  // namespace

extern const OpDef kCumulate;
const OpDef kCumulate = {"Cumulate", sizeof(AxisParams), prepare, run};

}  // namespace edgeort
