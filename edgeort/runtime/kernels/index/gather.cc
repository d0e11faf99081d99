// Gather, GatherElements and GatherND.
#include "gather.h"

namespace edgeort {
namespace {

Status check_indices(Prepare& p) {
  EDGEORT_TRY(need(p, 2, 1));
  return Integers::holds(p.in(1)) ? Status::ok : p.fail("its indices must be int32 or int64");
}

Status prepare_gather(Prepare& p) {
  EDGEORT_TRY(check_indices(p));
  const Tensor &in = p.in(0), &indices = p.in(1);
  int axis, rank = 0;
  EDGEORT_TRY(axis_of(p, p.params<AxisParams>().axis, in.rank, &axis));
  i64 dims[2 * kMaxRank];
  for (int d = 0; d < axis; ++d) dims[rank++] = in.dims[d];
  for (int d = 0; d < indices.rank; ++d) dims[rank++] = indices.dims[d];
  for (int d = axis + 1; d < in.rank; ++d) dims[rank++] = in.dims[d];
  EDGEORT_TRY(p.set(0, in.dtype, dims, rank));
  if (in.dims[axis] == 0 && count(p.out(0)) > 0) return p.fail("axis %d has no elements", axis);
  return Status::ok;
}

void run_gather(Run& r) {
  const Tensor& in = r.in(0);
  const i64 given = r.params<AxisParams>().axis;
  const int axis = static_cast<int>(given < 0 ? given + in.rank : given);
  const Integers indices = Integers::of(r.in(1));
  const i64 dim = in.dims[axis], run = count(in, axis + 1, in.rank) * static_cast<i64>(size_of(in.dtype));
  if (count(r.out(0)) == 0) return;
  r.ranges(count(in, 0, axis) * indices.n, max_of(1, 16384 / run), [&](i64 begin, i64 end, int) {
    for (i64 i = begin; i < end; ++i) {
      const i64 from = i / indices.n * dim + wrap_index(indices[i % indices.n], dim);
      copy_run(r.out(0).as<u8>() + i * run, in.as<const u8>() + from * run, static_cast<size_t>(run));
    }
  });
}

Status prepare_gather_elements(Prepare& p) {
  EDGEORT_TRY(check_indices(p));
  const Tensor &in = p.in(0), &indices = p.in(1);
  int axis;
  EDGEORT_TRY(axis_of(p, p.params<AxisParams>().axis, in.rank, &axis));
  if (indices.rank != in.rank) return p.fail("its indices have rank %d, its data %d", indices.rank, in.rank);
  for (int d = 0; d < in.rank; ++d) {
    const bool fits = d == axis ? in.dims[d] > 0 || count(indices) == 0 : indices.dims[d] <= in.dims[d];
    if (!fits) return p.fail("dimension %d of its indices is too large", d);
  }
  return p.set(0, in.dtype, indices.dims, indices.rank);
}

void run_gather_elements(Run& r) {
  const Tensor &in = r.in(0), &out = r.out(0);
  const i64 given = r.params<AxisParams>().axis;
  const int last = in.rank - 1, axis = static_cast<int>(given < 0 ? given + in.rank : given);
  const Integers indices = Integers::of(r.in(1));
  const i64 n = out.dims[last], stride = count(in, axis + 1, in.rank), dim = in.dims[axis];
  if (indices.n == 0) return;
  for_size(size_of(in.dtype), [&](auto zero) {
    using T = decltype(zero);
    r.ranges(count(out, 0, last), max_of(1, 4096 / n), [&](i64 begin, i64 end, int) {
      for (i64 row = begin; row < end; ++row) {
        i64 base = 0;
        for (i64 rest = row, d = last - 1; d >= 0; rest /= out.dims[d--]) {
          if (d != axis) base += rest % out.dims[d] * count(in, static_cast<int>(d) + 1, in.rank);
        }
        for (i64 i = 0; i < n; ++i) {
          const i64 from = base + wrap_index(indices[row * n + i], dim) * stride + (axis == last ? 0 : i);
          out.as<T>()[row * n + i] = in.as<const T>()[from];
        }
      }
    });
  });
}

// axis: the number of leading dimensions that data and indices share.
Status prepare_gather_nd(Prepare& p) {
  EDGEORT_TRY(check_indices(p));
  const Tensor &in = p.in(0), &indices = p.in(1);
  const i64 batch = p.params<AxisParams>().axis;
  if (batch < 0 || batch >= indices.rank || batch > in.rank) return p.fail("it has %lld batch dimensions", (long long)batch);
  const i64 depth = indices.dims[indices.rank - 1];
  if (depth > in.rank - batch) return p.fail("its indices have %lld positions for rank %d", (long long)depth, in.rank);
  i64 dims[2 * kMaxRank];
  int rank = 0;
  for (int d = 0; d + 1 < indices.rank; ++d) dims[rank++] = indices.dims[d];
  for (i64 d = batch + depth; d < in.rank; ++d) dims[rank++] = in.dims[d];
  for (i64 d = 0; d < batch; ++d) {
    if (in.dims[d] != indices.dims[d]) return p.fail("batch dimension %lld differs", (long long)d);
  }
  EDGEORT_TRY(p.set(0, in.dtype, dims, rank));
  if (count(in) == 0 && count(p.out(0)) > 0) return p.fail("its data has no elements");
  return Status::ok;
}

void run_gather_nd(Run& r) {
  const Tensor &in = r.in(0), &at = r.in(1);
  const int batch = static_cast<int>(r.params<AxisParams>().axis), depth = static_cast<int>(at.dims[at.rank - 1]);
  const Integers indices = Integers::of(at);
  const i64 run = count(in, batch + depth, in.rank) * static_cast<i64>(size_of(in.dtype));
  const i64 group = count(at, batch, at.rank - 1);
  if (count(r.out(0)) == 0) return;
  r.ranges(count(at, 0, at.rank - 1), max_of(1, 16384 / run), [&](i64 begin, i64 end, int) {
    for (i64 i = begin; i < end; ++i) {
      i64 from = i / group;
      for (int d = 0; d < depth; ++d) from = from * in.dims[batch + d] + wrap_index(indices[i * depth + d], in.dims[batch + d]);
      copy_run(r.out(0).as<u8>() + i * run, in.as<const u8>() + from * run, static_cast<size_t>(run));
    }
  });
}

}  // namespace

extern const OpDef kGather, kGatherElements, kGatherND;
const OpDef kGather = {"Gather", sizeof(AxisParams), prepare_gather, run_gather};
const OpDef kGatherElements = {"GatherElements", sizeof(AxisParams), prepare_gather_elements, run_gather_elements};
const OpDef kGatherND = {"GatherND", sizeof(AxisParams), prepare_gather_nd, run_gather_nd};

}  // namespace edgeort
