// Concat and Split: each part is one strided copy.
#include "args.h"
#include "strided.h"

namespace edgeort {
namespace {

struct Part {
  Strided copy;
  i64 offset;  // bytes within the whole
};

Status prepare_concat(Prepare& p) {
  EDGEORT_TRY(need(p, p.inputs() > 1 ? p.inputs() : 1, 1));
  const Tensor& first = p.in(0);
  int axis;
  EDGEORT_TRY(axis_of(p, p.params<AxisParams>().axis, first.rank, &axis));
  i64 dims[kMaxRank];
  for (int d = 0; d < first.rank; ++d) dims[d] = first.dims[d];
  for (int i = 1; i < p.inputs(); ++i) {
    const Tensor& t = p.in(i);
    bool fits = t.rank == first.rank && t.dtype == first.dtype;
    for (int d = 0; fits && d < t.rank; ++d) fits = d == axis || t.dims[d] == dims[d];
    if (!fits || __builtin_add_overflow(dims[axis], t.dims[axis], &dims[axis])) return p.fail("input %d does not fit input 0", i);
  }
  EDGEORT_TRY(p.set(0, first.dtype, dims, first.rank));
  if (p.inputs() == 1) {
    p.alias(0, 0);
    return Status::ok;
  }
  auto* parts = static_cast<Part*>(p.state(sizeof(Part) * static_cast<u64>(p.inputs())));
  if (!parts) return p.out_of_memory();
  const bool grows = p.grows(0, 0);
  if (grows) {
    if (axis != first.rank - 2) return p.fail("a state has its rows along the last axis but one");
    if (dims[axis] > first.capacity)
      return p.fail("%lld rows are more than its state has room for: %lld", (long long)dims[axis], (long long)first.capacity);
    p.reads_state(0);
  } else {
    if (axis == first.rank - 1) p.joins_columns();
    p.writes_slice(0);
  }
  i64 strides[kMaxRank];
  strides_of(p.out(0), strides);
  i64 offset = grows ? first.dims[axis] * strides[axis] : 0;
  for (int i = grows ? 1 : 0; i < p.inputs(); ++i) {
    p.reads_slice(i);
    parts[i].offset = offset;
    parts[i].copy.start_part(p.in(i), p.out(0), true);
    offset += p.in(i).dims[axis] * strides[axis];
  }
  return Status::ok;
}

void run_concat(Run& r) {
  const Part* parts = &r.state<Part>();
  for (int i = 0; i < r.inputs(); ++i) {
    u8* to = r.out(0).as<u8>() + parts[i].offset;
    if (r.in(i).data != to) parts[i].copy.run(r, to, r.in(i).data);
  }
}

// Elements of each output along the axis: given, or as equal as the number of outputs allows, the last one smaller.
Status split_sizes(Prepare& p, i64 total, i64* sizes) {
  const i64 n = p.outputs();
  if (!p.has(1)) {
    const i64 each = ceil_div(total, n);
    for (i64 i = 0; i < n; ++i) sizes[i] = max_of(0, min_of(each, total - i * each));
    return Status::ok;
  }
  Integers given;
  EDGEORT_TRY(integers_of(p, 1, n, &given));
  if (given.n != n) return p.fail("%lld sizes for %lld outputs", (long long)given.n, (long long)n);
  i64 sum = 0;
  for (i64 i = 0; i < n; ++i) {
    sizes[i] = given[i];
    if (sizes[i] < 0 || sizes[i] > total - sum) return p.fail("its sizes do not add up to %lld", (long long)total);
    sum += sizes[i];
  }
  return sum == total ? Status::ok : p.fail("its sizes add up to %lld, not %lld", (long long)sum, (long long)total);
}

Status prepare_split(Prepare& p) {
  EDGEORT_TRY(need(p, 1, 0));
  if (p.outputs() == 0) return p.fail("it has no outputs");
  const Tensor& in = p.in(0);
  int axis;
  EDGEORT_TRY(axis_of(p, p.params<AxisParams>().axis, in.rank, &axis));
  const size_t n = static_cast<size_t>(p.outputs());
  auto* parts = static_cast<Part*>(p.state((sizeof(Part) + sizeof(i64)) * n));
  if (!parts) return p.out_of_memory();
  i64* sizes = reinterpret_cast<i64*>(parts + n);
  EDGEORT_TRY(split_sizes(p, in.dims[axis], sizes));
  if (p.outputs() > 1) p.reads_slice(0);  // one output is a view, which cannot show a slice
  i64 dims[kMaxRank], strides[kMaxRank], offset = 0;
  strides_of(in, strides);
  for (int d = 0; d < in.rank; ++d) dims[d] = in.dims[d];
  for (int i = 0; i < p.outputs(); ++i) {
    dims[axis] = sizes[i];
    EDGEORT_TRY(p.set(i, in.dtype, dims, in.rank));
    parts[i].offset = offset;
    if (axis == in.rank - 1) p.cuts_columns(i, offset / strides[axis]);
    offset += sizes[i] * strides[axis];
    if (p.wants(i)) parts[i].copy.start_part(p.out(i), in, false);
  }
  if (p.outputs() == 1 && p.wants(0)) p.alias(0, 0);
  return Status::ok;
}

void run_split(Run& r) {
  const Part* parts = &r.state<Part>();
  for (int i = 0; i < r.outputs(); ++i) {
    const u8* from = r.in(0).as<u8>() + parts[i].offset;
    if (r.wants(i) && r.out(i).data != from) parts[i].copy.run(r, r.out(i).data, from);
  }
}

}  // namespace

extern const OpDef kConcat, kSplit;
const OpDef kConcat = {"Concat", sizeof(AxisParams), prepare_concat, run_concat, nullptr, nullptr, 0, true};
const OpDef kSplit = {"Split", sizeof(AxisParams), prepare_split, run_split};

}  // namespace edgeort
