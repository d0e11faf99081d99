// Pad: for each axis, a table of where its positions come from.
#include <string.h>

#include "args.h"

namespace edgeort {
namespace {

enum Mode : i64 { kConstant, kReflect, kEdge, kWrap };

struct State {
  i64* source[kMaxRank];  // of each output position of an axis, the input's; -1: the constant
  i64 strides[kMaxRank];  // of the input, in elements
  i64 begin, end;         // of the last axis: the positions that are one run of the input
};

i64 source_of(i64 at, i64 dim, i64 mode) {
  if (at >= 0 && at < dim) return at;
  if (mode == kConstant) return -1;
  if (mode == kEdge) return at < 0 ? 0 : dim - 1;
  if (mode == kWrap || dim == 1) return (at % dim + dim) % dim;
  const i64 period = 2 * (dim - 1), phase = (at % period + period) % period;
  return phase < dim ? phase : period - phase;
}

// Input 1: what to add before each axis, then behind each; input 3: which axes.
Status pads_of(Prepare& p, int rank, i64* before, i64* after) {
  Integers pads, axes;
  EDGEORT_TRY(integers_of(p, 1, 2 * kMaxRank, &pads));
  if (p.has(3)) EDGEORT_TRY(integers_of(p, 3, kMaxRank, &axes));
  const i64 n = p.has(3) ? axes.n : rank;
  if (pads.n != 2 * n) return p.fail("it has %lld pads for %lld axes", (long long)pads.n, (long long)n);
  for (int d = 0; d < rank; ++d) before[d] = after[d] = 0;
  for (i64 i = 0; i < n; ++i) {
    int axis;
    EDGEORT_TRY(axis_of(p, p.has(3) ? axes[i] : i, rank, &axis));
    before[axis] = pads[i];
    after[axis] = pads[n + i];
  }
  return Status::ok;
}

void fill_tables(Prepare& p, State& s, i64 mode, const i64* before) {
  const Tensor &in = p.in(0), &out = p.out(0);
  for (int d = 0; d < in.rank; ++d) s.strides[d] = count(in, d + 1, in.rank);
  i64* tables = reinterpret_cast<i64*>(&s + 1);
  for (int d = 0; d < in.rank; tables += out.dims[d++]) {
    s.source[d] = tables;
    for (i64 i = 0; i < out.dims[d]; ++i) tables[i] = source_of(i - before[d], in.dims[d], mode);
  }
  const int last = in.rank - 1;
  s.begin = max_of(0, min_of(before[last], out.dims[last]));
  s.end = max_of(s.begin, min_of(before[last] + in.dims[last], out.dims[last]));
}

Status prepare(Prepare& p) {
  EDGEORT_TRY(need(p, 2, 1));
  const Tensor& in = p.in(0);
  if (in.dtype == DType::tensor) return p.fail("there is no tensor to pad with");
  const i64 mode = p.params<AxisParams>().flag;
  if (mode < kConstant || mode > kWrap) return p.fail("its mode is unknown");
  if (p.has(2) && (p.in(2).dtype != in.dtype || count(p.in(2)) != 1)) return p.fail("its value must be one element of the input's type");
  i64 before[kMaxRank], after[kMaxRank], dims[kMaxRank], total = 0;
  bool same = true;
  EDGEORT_TRY(pads_of(p, in.rank, before, after));
  for (int d = 0; d < in.rank; ++d) {
    constexpr i64 kMost = i64{1} << 40;
    if (before[d] < -kMost || before[d] > kMost || after[d] < -kMost || after[d] > kMost) return p.fail("its pads are out of range");
    dims[d] = in.dims[d] + before[d] + after[d];
    if (in.dims[d] == 0 && dims[d] > 0 && mode != kConstant) return p.fail("axis %d has no elements to repeat", d);
    same &= before[d] == 0 && after[d] == 0;
  }
  EDGEORT_TRY(p.set(0, in.dtype, dims, in.rank));
  if (same) {
    p.alias(0, 0);
    return Status::ok;
  }
  if (count(p.out(0)) == 0) return Status::ok;
  for (int d = 0; d < in.rank; ++d) total += dims[d];
  auto* s = static_cast<State*>(state_of(p, static_cast<i64>(sizeof(State)) + total * static_cast<i64>(sizeof(i64))));
  if (!s) return p.out_of_memory();
  fill_tables(p, *s, mode, before);
  return Status::ok;
}

template <class T>
void pad_row(T* out, const T* in, const State& s, const i64* source, i64 n, T value) {
  for (i64 i = 0; i < s.begin; ++i) out[i] = source[i] < 0 ? value : in[source[i]];
  if (s.end > s.begin) memcpy(out + s.begin, in + source[s.begin], static_cast<size_t>(s.end - s.begin) * sizeof(T));
  for (i64 i = s.end; i < n; ++i) out[i] = source[i] < 0 ? value : in[source[i]];
}

template <class T>
void run_typed(Run& r) {
  const State& s = r.state<State>();
  const Tensor& t = r.out(0);
  const T* in = r.in(0).as<const T>();
  const T value = r.has(2) ? *r.in(2).as<const T>() : T{};
  const int last = t.rank - 1;
  const i64 n = t.dims[last];
  r.ranges(count(t, 0, last), max_of(1, 8192 / n), [&](i64 begin, i64 end, int) {
    for (i64 row = begin; row < end; ++row) {
      i64 offset = 0;
      bool inside = true;
      for (i64 rest = row, d = last - 1; d >= 0; rest /= t.dims[d--]) {
        const i64 at = s.source[d][rest % t.dims[d]];
        inside &= at >= 0;
        offset += at * s.strides[d];
      }
      T* out = t.as<T>() + row * n;
      if (inside) {
        pad_row(out, in + offset, s, s.source[last], n, value);
      } else {
        for (i64 i = 0; i < n; ++i) out[i] = value;
      }
    }
  });
}

void run(Run& r) {
  if (count(r.out(0)) == 0) return;
  const size_t size = size_of(r.out(0).dtype);
  size == 1   ? run_typed<u8>(r)
  : size == 2 ? run_typed<u16>(r)
  : size == 4 ? run_typed<u32>(r)
  : size == 8 ? run_typed<u64>(r)
              : run_typed<Text>(r);
}

}  // namespace

extern const OpDef kPad;
const OpDef kPad = {"Pad", sizeof(AxisParams), prepare, run};

}  // namespace edgeort
