// LpNorm along one axis (AxisParams: axis; flag: p), and MeanVarianceNorm over a list of axes.
#include "rows.h"

namespace edgeort {

EDGEORT_KERNELS(StatisticsFn, norm_statistics)
EDGEORT_KERNELS(LpRowFn, norm_l1_row)
EDGEORT_KERNELS(LpRowFn, norm_l2_row)
EDGEORT_KERNELS(LpColumnsFn, norm_l1_columns)
EDGEORT_KERNELS(LpColumnsFn, norm_l2_columns)

namespace {

constexpr i64 kColumnsPerTask = 64;

struct LpState {
  LpRowFn row;
  LpColumnsFn columns;
  i64 outer, n, inner;
};

Status prepare_lp(Prepare& p) {
  const auto& params = p.params<AxisParams>();
  if (!p.has(0) || p.outputs() != 1 || !p.wants(0)) return p.fail("it needs an input and one output");
  if (p.in(0).dtype != DType::f32) return p.fail("its input must be float32");
  const Tensor& x = p.in(0);
  const i64 axis = params.axis < 0 ? params.axis + x.rank : params.axis;
  if (axis < 0 || axis >= x.rank) return p.fail("axis %lld of a tensor of rank %d", static_cast<long long>(params.axis), x.rank);
  if (params.flag != 1 && params.flag != 2) return p.fail("p must be 1 or 2");
  auto* s = p.state<LpState>();
  if (!s) return p.out_of_memory();
  const int at = static_cast<int>(axis);
  const bool one = params.flag == 1;
  *s = {one ? norm_l1_row(p.isa()) : norm_l2_row(p.isa()), one ? norm_l1_columns(p.isa()) : norm_l2_columns(p.isa()), count(x, 0, at),
        x.dims[at], count(x, at + 1, x.rank)};
  p.overwrite(0, 0);
  return p.same(0, 0);
}

void run_lp(Run& r) {
  const LpState& s = r.state<LpState>();
  if (count(r.in(0)) == 0) return;
  const f32* x = r.in(0).as<const f32>();
  f32* y = r.out(0).as<f32>();
  const i64 blocks = ceil_div(s.inner, kColumnsPerTask);
  r.ranges(s.outer * blocks, rows_per_task(s.n), [&](i64 begin, i64 end, int) {
    for (i64 i = begin; i < end; ++i) {
      const i64 c = i % blocks * kColumnsPerTask, offset = i / blocks * s.n * s.inner + c;
      if (s.inner == 1) {
        s.row(x + offset, s.n, y + offset);
      } else {
        s.columns(x + offset, s.n, s.inner, min_of(kColumnsPerTask, s.inner - c), y + offset);
      }
    }
  });
}

struct MeanVarianceState {
  StatisticsFn statistics;
  bool reduced[kMaxRank];
  i64 rows, n;
};

Status prepare_mean_variance(Prepare& p) {
  const auto& params = p.params<ListParams>();
  if (!p.has(0) || p.outputs() != 1 || !p.wants(0)) return p.fail("it needs an input and one output");
  if (p.in(0).dtype != DType::f32) return p.fail("its input must be float32");
  const Tensor& x = p.in(0);
  auto* s = p.state<MeanVarianceState>();
  if (!s) return p.out_of_memory();
  if (params.count < 0 || params.count > kMaxRank) return p.fail("it has too many axes");
  s->statistics = norm_statistics(p.isa());
  for (i64 i = 0; i < params.count; ++i) {
    const i64 axis = params.values[i] < 0 ? params.values[i] + x.rank : params.values[i];
    if (axis < 0 || axis >= x.rank) return p.fail("axis %lld of a tensor of rank %d", static_cast<long long>(params.values[i]), x.rank);
    s->reduced[axis] = true;
  }
  s->rows = s->n = 1;
  for (int d = 0; d < x.rank; ++d) (s->reduced[d] ? s->n : s->rows) *= x.dims[d];
  if (count(x) > 0) p.thread_scratch(static_cast<u64>(s->n) * sizeof(f32));
  return p.same(0, 0);
}

// The element offset of number `index` of the dimensions that are (or are not) reduced, row-major.
i64 offset_of(const Tensor& x, const bool* reduced, bool which, i64 index) {
  i64 offset = 0, stride = 1;
  for (int d = x.rank - 1; d >= 0; --d) {
    if (reduced[d] == which) {
      offset += index % x.dims[d] * stride;
      index /= x.dims[d];
    }
    stride *= x.dims[d];
  }
  return offset;
}

void run_mean_variance(Run& r) {
  const MeanVarianceState& s = r.state<MeanVarianceState>();
  const Tensor& x = r.in(0);
  if (count(x) == 0) return;
  const f32* in = x.as<const f32>();
  f32* out = r.out(0).as<f32>();
  r.ranges(s.rows, rows_per_task(s.n), [&](i64 begin, i64 end, int thread) {
    f32* row = static_cast<f32*>(r.thread_scratch(thread));
    for (i64 i = begin; i < end; ++i) {
      const i64 base = offset_of(x, s.reduced, false, i);
      for (i64 k = 0; k < s.n; ++k) row[k] = in[base + offset_of(x, s.reduced, true, k)];
      f32 mean, inv;
      s.statistics(row, s.n, 0.0f, &mean, &inv);
      const f32 divisor = 1.0f / inv + 1e-9f;  // the operator adds its epsilon to the deviation, not to the variance
      for (i64 k = 0; k < s.n; ++k) out[base + offset_of(x, s.reduced, true, k)] = (row[k] - mean) / divisor;
    }
  });
}

}  // namespace

extern const OpDef kLpNorm;
const OpDef kLpNorm = {"LpNorm", sizeof(AxisParams), prepare_lp, run_lp};

extern const OpDef kMeanVarianceNorm;
const OpDef kMeanVarianceNorm = {"MeanVarianceNorm", sizeof(ListParams), prepare_mean_variance, run_mean_variance};

}  // namespace edgeort
