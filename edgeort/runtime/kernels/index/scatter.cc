// ScatterElements and ScatterND. Updates are applied one after the other, so that repeated positions mean the same everywhere.
#include "gather.h"

namespace edgeort {
namespace {

enum Reduction : i64 { kNone, kAdd, kMul, kMax, kMin };

// to[i] = f(to[i], from[i]): a loop for each f, which the compiler makes vectors of.
template <class T, class F>
void combine(T* to, const T* from, i64 n, const F& f) {
  for (i64 i = 0; i < n; ++i) to[i] = static_cast<T>(f(to[i], from[i]));
}

// Wrap is T, or the unsigned type in which an integer's overflow is defined.
template <class T, class Wrap>
void reduce(void* to, const void* from, i64 n, i64 reduction) {
  T* x = static_cast<T*>(to);
  const T* y = static_cast<const T*>(from);
  switch (reduction) {
    case kAdd:
      return combine(x, y, n, [](T a, T b) { return static_cast<Wrap>(a) + static_cast<Wrap>(b); });
    case kMul:
      return combine(x, y, n, [](T a, T b) { return static_cast<Wrap>(a) * static_cast<Wrap>(b); });
    case kMax:
      return combine(x, y, n, [](T a, T b) { return a < b || b != b ? b : a; });
    default:
      return combine(x, y, n, [](T a, T b) { return b < a || b != b ? b : a; });
  }
}

void update(const Tensor& out, i64 at, const Tensor& updates, i64 from, i64 n, i64 reduction) {
  const i64 size = static_cast<i64>(size_of(out.dtype));
  u8* x = out.as<u8>() + at * size;
  const u8* y = updates.as<const u8>() + from * size;
  if (reduction == kNone) return copy_run(x, y, static_cast<size_t>(n * size));
  switch (out.dtype) {
    case DType::f32:
      return reduce<f32, f32>(x, y, n, reduction);
    case DType::f64:
      return reduce<f64, f64>(x, y, n, reduction);
    case DType::i32:
      return reduce<i32, u32>(x, y, n, reduction);
    default:
      return reduce<i64, u64>(x, y, n, reduction);
  }
}

Status check(Prepare& p) {
  EDGEORT_TRY(need(p, 3, 1));
  const DType dtype = p.in(0).dtype;
  const i64 reduction = p.params<AxisParams>().flag;
  if (!Integers::holds(p.in(1))) return p.fail("its indices must be int32 or int64");
  if (p.in(2).dtype != dtype) return p.fail("its updates must have its data's type");
  const bool numbers = dtype == DType::f32 || dtype == DType::f64 || dtype == DType::i32 || dtype == DType::i64;
  if (reduction < kNone || reduction > kMin || (reduction != kNone && !numbers)) return p.fail("its reduction has no kernel for its type");
  if (count(p.in(0)) == 0 && count(p.in(2)) > 0) return p.fail("its data has no elements");
  EDGEORT_TRY(p.same(0, 0));
  p.overwrite(0, 0);
  return Status::ok;
}

void copy_data(Run& r) {
  if (r.out(0).data != r.in(0).data) memcpy(r.out(0).data, r.in(0).data, bytes(r.in(0)));
}

Status prepare_elements(Prepare& p) {
  EDGEORT_TRY(check(p));
  const Tensor &in = p.in(0), &indices = p.in(1), &updates = p.in(2);
  int axis;
  EDGEORT_TRY(axis_of(p, p.params<AxisParams>().axis, in.rank, &axis));
  bool fits = indices.rank == in.rank && updates.rank == in.rank;
  for (int d = 0; fits && d < in.rank; ++d) {
    fits = indices.dims[d] == updates.dims[d] && (d == axis || indices.dims[d] <= in.dims[d]);
  }
  return fits ? Status::ok : p.fail("its indices and updates do not fit its data");
}

void run_elements(Run& r) {
  copy_data(r);
  const Tensor &out = r.out(0), &updates = r.in(2);
  const i64 given = r.params<AxisParams>().axis;
  const int last = out.rank - 1, axis = static_cast<int>(given < 0 ? given + out.rank : given);
  const Integers indices = Integers::of(r.in(1));
  const i64 n = updates.dims[last], stride = count(out, axis + 1, out.rank);
  for (i64 row = 0; indices.n && row < count(updates, 0, last); ++row) {
    i64 base = 0;
    for (i64 rest = row, d = last - 1; d >= 0; rest /= updates.dims[d--]) {
      if (d != axis) base += rest % updates.dims[d] * count(out, static_cast<int>(d) + 1, out.rank);
    }
    for (i64 i = 0; i < n; ++i) {
      const i64 at = base + wrap_index(indices[row * n + i], out.dims[axis]) * stride + (axis == last ? 0 : i);
      update(out, at, updates, row * n + i, 1, r.params<AxisParams>().flag);
    }
  }
}

Status prepare_nd(Prepare& p) {
  EDGEORT_TRY(check(p));
  const Tensor &in = p.in(0), &indices = p.in(1), &updates = p.in(2);
  if (indices.rank == 0) return p.fail("its indices are a scalar");
  const i64 depth = indices.dims[indices.rank - 1];
  const int tuples = indices.rank - 1;
  if (depth > in.rank) return p.fail("its indices have %lld positions for rank %d", (long long)depth, in.rank);
  bool fits = updates.rank == tuples + in.rank - depth;
  for (int d = 0; fits && d < updates.rank; ++d) fits = updates.dims[d] == (d < tuples ? indices.dims[d] : in.dims[d - tuples + depth]);
  return fits ? Status::ok : p.fail("its updates do not fit its indices and data");
}

void run_nd(Run& r) {
  copy_data(r);
  const Tensor &out = r.out(0), &at = r.in(1);
  const Integers indices = Integers::of(at);
  const int depth = static_cast<int>(at.dims[at.rank - 1]);
  const i64 run = count(out, depth, out.rank);
  for (i64 i = 0; run && i < count(at, 0, at.rank - 1); ++i) {
    i64 to = 0;
    for (int d = 0; d < depth; ++d) to = to * out.dims[d] + wrap_index(indices[i * depth + d], out.dims[d]);
    update(out, to * run, r.in(2), i * run, run, r.params<AxisParams>().flag);
  }
}

}  // namespace

extern const OpDef kScatterElements, kScatterND;
const OpDef kScatterElements = {"ScatterElements", sizeof(AxisParams), prepare_elements, run_elements};
const OpDef kScatterND = {"ScatterND", sizeof(AxisParams), prepare_nd, run_nd};

}  // namespace edgeort
