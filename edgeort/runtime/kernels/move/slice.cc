// Slice, Expand and Tile: one strided copy.
#include "args.h"
#include "strided.h"

namespace edgeort {
namespace {

struct State {
  Strided copy;
  i64 offset;  // bytes to the first element taken
};

void run(Run& r) {
  const State& s = r.state<State>();
  if (count(r.out(0)) > 0) s.copy.run(r, r.out(0).data, r.in(0).as<u8>() + s.offset);
}

struct Range {
  i64 start, step, n;
};

// ONNX's rule: negative positions count from the end, and positions beyond the ends are moved to them.
Range range_of(i64 start, i64 end, i64 step, i64 dim) {
  if (dim == 0) return {0, 1, 0};
  const i64 high = step > 0 ? dim : dim - 1;
  const auto clamp = [&](i64 at, i64 low) {
    if (at < 0) at = at < -dim ? low : at + dim;
    return min_of(high, at);
  };
  start = clamp(start, 0);
  end = clamp(end, step > 0 ? 0 : -1);
  const i64 length = step > 0 ? end - start : start - end;
  if (length <= 0) return {0, 1, 0};
  // One element needs no step: and a step of any size is then harmless.
  const u64 size = step > 0 ? static_cast<u64>(step) : u64{0} - static_cast<u64>(step);
  const i64 n = static_cast<i64>((static_cast<u64>(length) - 1) / size) + 1;
  return {start, n == 1 ? 1 : step, n};
}

Status slice_ranges(Prepare& p, const Tensor& in, Range* ranges) {
  Integers starts, ends, axes, steps;
  EDGEORT_TRY(integers_of(p, 1, kMaxRank, &starts));
  EDGEORT_TRY(integers_of(p, 2, kMaxRank, &ends));
  if (p.has(3)) EDGEORT_TRY(integers_of(p, 3, kMaxRank, &axes));
  if (p.has(4)) EDGEORT_TRY(integers_of(p, 4, kMaxRank, &steps));
  if (ends.n != starts.n || (p.has(3) && axes.n != starts.n) || (p.has(4) && steps.n != starts.n)) {
    return p.fail("its starts, ends, axes and steps differ in number");
  }
  for (int d = 0; d < in.rank; ++d) ranges[d] = {0, 1, in.dims[d]};
  u32 seen = 0;
  for (i64 i = 0; i < starts.n; ++i) {
    int axis;
    EDGEORT_TRY(axis_of(p, p.has(3) ? axes[i] : i, in.rank, &axis));
    if (seen & (1u << axis)) return p.fail("its axes name %d twice", axis);
    seen |= 1u << axis;
    const i64 step = p.has(4) ? steps[i] : 1;
    if (step == 0) return p.fail("its step is 0");
    ranges[axis] = range_of(starts[i], ends[i], step, in.dims[axis]);
  }
  return Status::ok;
}

Status prepare_slice(Prepare& p) {
  EDGEORT_TRY(need(p, 3, 1));
  const Tensor& in = p.in(0);
  Range ranges[kMaxRank];
  EDGEORT_TRY(slice_ranges(p, in, ranges));
  i64 dims[kMaxRank];
  bool whole = true;
  for (int d = 0; d < in.rank; ++d) {
    dims[d] = ranges[d].n;
    whole &= dims[d] == in.dims[d] && ranges[d].step == 1;
  }
  EDGEORT_TRY(p.set(0, in.dtype, dims, in.rank));
  if (whole) {
    p.alias(0, 0);
    return Status::ok;
  }
  p.reads_state(0);
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  i64 strides[kMaxRank], out_strides[kMaxRank];
  strides_of(in, strides);
  strides_of(p.out(0), out_strides);
  p.reads_slice(0);
  bool columns = true;  // of the last axis alone
  for (int d = 0; d < in.rank; ++d) columns &= ranges[d].step == 1 && (d == in.rank - 1 || dims[d] == in.dims[d]);
  if (columns) p.cuts_columns(0, ranges[in.rank - 1].start);
  s->copy.start(size_of(in.dtype));
  for (int d = 0; d < in.rank; ++d) {
    s->offset += ranges[d].start * strides[d];
    s->copy.add(dims[d], ranges[d].step * strides[d], out_strides[d]);
  }
  s->copy.finish();
  return Status::ok;
}

// Both shapes broadcast: a 1 of either takes the other's size.
Status prepare_expand(Prepare& p) {
  EDGEORT_TRY(need(p, 2, 1));
  const Tensor& in = p.in(0);
  Integers shape;
  EDGEORT_TRY(integers_of(p, 1, kMaxRank, &shape));
  const int rank = static_cast<int>(max_of(in.rank, shape.n)), skip = rank - in.rank;
  i64 dims[kMaxRank];
  for (int d = 0; d < rank; ++d) {
    const i64 own = d < skip ? 1 : in.dims[d - skip], asked = d < rank - shape.n ? 1 : shape[d - (rank - shape.n)];
    if (own != asked && own != 1 && asked != 1)
      return p.fail("dimension %d does not expand: %lld to %lld", d, (long long)own, (long long)asked);
    dims[d] = own == 1 ? asked : own;
  }
  EDGEORT_TRY(p.set(0, in.dtype, dims, rank));
  if (count(p.out(0)) == count(in)) {
    p.alias(0, 0);
    return Status::ok;
  }
  p.reads_state(0);
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  i64 strides[kMaxRank], out_strides[kMaxRank];
  strides_of(in, strides);
  strides_of(p.out(0), out_strides);
  s->copy.start(size_of(in.dtype));
  for (int d = 0; d < rank; ++d) {
    const bool repeated = d < skip || in.dims[d - skip] == 1;
    s->copy.add(dims[d], repeated ? 0 : strides[d - skip], out_strides[d]);
  }
  s->copy.finish();
  return Status::ok;
}

Status prepare_tile(Prepare& p) {
  EDGEORT_TRY(need(p, 2, 1));
  const Tensor& in = p.in(0);
  Integers repeats;
  EDGEORT_TRY(integers_of(p, 1, kMaxRank, &repeats));
  if (repeats.n != in.rank) return p.fail("it has %lld repeats for rank %d", (long long)repeats.n, in.rank);
  i64 dims[kMaxRank];
  for (int d = 0; d < in.rank; ++d) {
    if (repeats[d] < 0 || __builtin_mul_overflow(in.dims[d], repeats[d], &dims[d])) return p.fail("its repeats are out of range");
  }
  EDGEORT_TRY(p.set(0, in.dtype, dims, in.rank));
  if (count(p.out(0)) == count(in)) {
    p.alias(0, 0);
    return Status::ok;
  }
  p.reads_state(0);
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  i64 strides[kMaxRank], out_strides[kMaxRank];
  strides_of(in, strides);
  strides_of(p.out(0), out_strides);
  s->copy.start(size_of(in.dtype));
  for (int d = 0; d < in.rank; ++d) {
    s->copy.add(repeats[d], 0, in.dims[d] * out_strides[d]);
    s->copy.add(in.dims[d], strides[d], out_strides[d]);
  }
  s->copy.finish();
  return Status::ok;
}

}  // namespace

extern const OpDef kSlice, kExpand, kTile;
const OpDef kSlice = {"Slice", 0, prepare_slice, run};
const OpDef kExpand = {"Expand", 0, prepare_expand, run};
const OpDef kTile = {"Tile", 0, prepare_tile, run};

}  // namespace edgeort
