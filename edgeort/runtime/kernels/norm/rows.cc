// LayerNorm, RmsNorm: the trailing dimensions from `axis` on are one row. AxisParams: axis (may be negative); value: epsilon.
#include "rows.h"

namespace edgeort {

EDGEORT_KERNELS(LayerRowsFn, norm_layer_rows)
EDGEORT_KERNELS(RmsFn, norm_rms)

namespace {

struct State {
  LayerRowsFn layer;
  RmsFn rms;
  i64 rows, n;
};

Status bind(Prepare& p, int factors, State** state) {
  if (!p.has(0) || p.in(0).dtype != DType::f32) return p.fail("its input must be float32");
  const Tensor& x = p.in(0);
  const i64 given = p.params<AxisParams>().axis, axis = given < 0 ? given + x.rank : given;
  if (axis < 0 || axis >= x.rank) return p.fail("axis %lld of a tensor of rank %d", static_cast<long long>(given), x.rank);
  State* s = *state = p.state<State>();
  if (!s) return p.out_of_memory();
  s->rows = count(x, 0, static_cast<int>(axis));
  s->n = count(x, static_cast<int>(axis), x.rank);
  for (int i = 1; i <= factors; ++i) {
    if (p.has(i)) EDGEORT_TRY(check_factor(p, i, s->n, true));
  }
  EDGEORT_TRY(p.same(0, 0));
  if (p.wants(0)) p.overwrite(0, 0);
  if (s->n == x.dims[x.rank - 1]) p.follows_rows();
  Tensor statistic = x;
  for (int d = static_cast<int>(axis); d < x.rank; ++d) statistic.dims[d] = 1;
  for (int i = 1; i < p.outputs(); ++i) EDGEORT_TRY(p.set(i, DType::f32, statistic.dims, statistic.rank));
  return Status::ok;
}

Status prepare_layer(Prepare& p) {
  State* s;
  if (p.outputs() > 3) return p.fail("it has more than three outputs");
  EDGEORT_TRY(bind(p, 2, &s));
  s->layer = norm_layer_rows(p.isa());
  return Status::ok;
}

void layer_rows(const Run& r, i64 begin, i64 end) {
  const State& s = r.state<State>();
  const auto at = [&](int output, i64 offset) { return r.wants(output) ? r.out(output).as<f32>() + offset : nullptr; };
  const Factor scale = factor_of(r, 1, &kOne), bias = factor_of(r, 2, &kZero);
  s.layer({r.in(0).as<const f32>() + begin * s.n, s.n, end - begin, r.params<AxisParams>().value, scale, bias, at(0, begin * s.n),
           at(1, begin), at(2, begin)});
}

Status prepare_rms(Prepare& p) {
  State* s;
  if (p.outputs() > 1 || !p.wants(0)) return p.fail("it has one output");
  EDGEORT_TRY(bind(p, 1, &s));
  s->rms = norm_rms(p.isa());
  return Status::ok;
}

void rms_rows(const Run& r, i64 begin, i64 end) {
  const State& s = r.state<State>();
  const f32* x = r.in(0).as<const f32>();
  f32* y = r.out(0).as<f32>();
  const Factor scale = factor_of(r, 1, &kOne);
  for (i64 i = begin; i < end; ++i) s.rms(x + i * s.n, s.n, r.params<AxisParams>().value, scale, y + i * s.n);
}

template <void (*kRows)(const Run&, i64, i64)>
void run(Run& r) {
  const State& s = r.state<State>();
  r.ranges(s.rows, rows_per_task(s.n), [&](i64 begin, i64 end, int) { kRows(r, begin, end); });
}

}  // namespace

extern const OpDef kLayerNorm;
const OpDef kLayerNorm = {"LayerNorm", sizeof(AxisParams), prepare_layer, run<layer_rows>, nullptr, layer_rows};

extern const OpDef kRmsNorm;
const OpDef kRmsNorm = {"RmsNorm", sizeof(AxisParams), prepare_rms, run<rms_rows>, nullptr, rms_rows};

}  // namespace edgeort
