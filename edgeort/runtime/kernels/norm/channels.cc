// BatchNorm with given statistics (AxisParams: flag is channels first, value epsilon), and LRN.
#include <string.h>

#include "rows.h"

namespace edgeort {

EDGEORT_KERNELS(AffineFn, norm_affine)
EDGEORT_KERNELS(LrnFn, norm_lrn)

namespace {

struct State {
  AffineFn affine;
  LrnFn lrn;
  i64 batch, channels, pixels;
  bool channels_first;
  i64 before, after;  // LRN: channels of the window beside its own
};

Status bind(Prepare& p, bool channels_first, State** state) {
  if (!p.has(0) || p.outputs() != 1 || !p.wants(0)) return p.fail("it needs an input and one output");
  const Tensor& x = p.in(0);
  if (x.dtype != DType::f32 || x.rank < 1) return p.fail("its input must be float32 of rank 1 or more");
  State* s = *state = p.state<State>();
  if (!s) return p.out_of_memory();
  s->channels_first = channels_first && x.rank > 1;
  s->batch = x.dims[0];
  s->channels = s->channels_first ? x.dims[1] : x.rank > 1 ? x.dims[x.rank - 1] : 1;
  s->pixels = s->channels_first ? count(x, 2, x.rank) : count(x, 1, x.rank - 1);
  return p.same(0, 0);
}

Status prepare_batch(Prepare& p) {
  State* s;
  EDGEORT_TRY(bind(p, p.params<AxisParams>().flag != 0, &s));
  s->affine = norm_affine(p.isa());
  for (int i = 1; i <= 4; ++i) {
    if (!p.has(i)) return p.fail("input %d is missing", i);
    EDGEORT_TRY(check_factor(p, i, s->channels, false));
  }
  p.overwrite(0, 0);
  p.scratch(static_cast<u64>(2 * s->channels) * sizeof(f32));
  return Status::ok;
}

void run_batch(Run& r) {
  const State& s = r.state<State>();
  if (count(r.in(0)) == 0) return;
  const f32* in[4];
  for (int i = 0; i < 4; ++i) in[i] = r.in(i + 1).as<const f32>();
  f32* a = static_cast<f32*>(r.scratch());
  f32* b = a + s.channels;
  for (i64 c = 0; c < s.channels; ++c) {
    a[c] = in[0][c] / __builtin_sqrtf(in[3][c] + r.params<AxisParams>().value);
    b[c] = in[1][c] - in[2][c] * a[c];
  }
  const f32* x = r.in(0).as<const f32>();
  f32* y = r.out(0).as<f32>();
  const i64 rows = s.batch * (s.channels_first ? s.channels : s.pixels), n = s.channels_first ? s.pixels : s.channels;
  r.ranges(rows, rows_per_task(n), [&](i64 begin, i64 end, int) {
    for (i64 i = begin; i < end; ++i) {
      const i64 c = s.channels_first ? i % s.channels : 0, step = s.channels_first ? 0 : 1;
      s.affine(x + i * n, n, {a + c, step}, {b + c, step}, y + i * n);
    }
  });
}

Status prepare_lrn(Prepare& p) {
  const auto& params = p.params<LrnParams>();
  State* s;
  EDGEORT_TRY(bind(p, params.channels_first != 0, &s));
  s->lrn = norm_lrn(p.isa());
  if (params.size < 1) return p.fail("its size must be positive");
  const i64 most = max_of(0, s->channels - 1);
  s->before = min_of((params.size - 1) / 2, most);
  s->after = min_of(params.size / 2, most);
  if (!s->channels_first && count(p.in(0)) > 0) {
    p.thread_scratch(static_cast<u64>(s->before + s->channels + s->after) * sizeof(f32));
  }
  return Status::ok;
}

void run_lrn(Run& r) {
  const State& s = r.state<State>();
  if (count(r.in(0)) == 0) return;
  const auto& params = r.params<LrnParams>();
  const f32 factor = params.alpha / static_cast<f32>(params.size);
  const f32* x = r.in(0).as<const f32>();
  f32* y = r.out(0).as<f32>();
  const i64 n = s.channels_first ? s.pixels : s.channels;
  r.ranges(s.batch * (s.channels_first ? s.channels : s.pixels), rows_per_task(n), [&](i64 begin, i64 end, int thread) {
    // Channels last: a row between zeros, which add nothing to a sum of squares.
    f32* padded = static_cast<f32*>(r.thread_scratch(thread));
    if (!s.channels_first) memset(padded, 0, static_cast<size_t>(s.before + n + s.after) * sizeof(f32));
    for (i64 i = begin; i < end; ++i) {
      const i64 c = i % s.channels, first = max_of(0, c - s.before), last = min_of(s.channels - 1, c + s.after);
      if (!s.channels_first) memcpy(padded + s.before, x + i * n, static_cast<size_t>(n) * sizeof(f32));
      const f32* squares = s.channels_first ? x + (i - c + first) * n : padded;
      const i64 taps = s.channels_first ? last - first + 1 : s.before + 1 + s.after;
      s.lrn(squares, taps, s.channels_first ? n : 1, x + i * n, n, factor, params.beta, params.bias, y + i * n);
    }
  });
}

}  // namespace

extern const OpDef kBatchNorm;
const OpDef kBatchNorm = {"BatchNorm", sizeof(AxisParams), prepare_batch, run_batch};

extern const OpDef kLrn;
const OpDef kLrn = {"Lrn", sizeof(LrnParams), prepare_lrn, run_lrn};

}  // namespace edgeort
