// Softmax, LogSoftmax and Hardmax over one axis; before opset 13 over all axes from that one on.
#include "../../core/op.h"
#include "reduce.h"

namespace edgeort {

EDGEORT_KERNELS(SoftmaxKernels, softmax)

namespace {

constexpr i64 kFloatsPerTask = 8192;

struct State {
  const SoftmaxKernels* kernels;
  i64 outer, n, inner;
};

Status prepare(Prepare& p) {
  const auto& params = p.params<AxisParams>();
  if (!p.has(0) || p.in(0).dtype != DType::f32) return p.fail("its operand must be float32");
  const Tensor& x = p.in(0);
  const i64 axis = params.axis < 0 ? params.axis + x.rank : params.axis;
  // A scalar is one sequence of one element.
  const bool valid = params.flag ? axis >= 0 && axis <= x.rank : axis >= 0 && axis < x.rank;
  if (!valid && x.rank > 0) return p.fail("has axis %lld for rank %d", static_cast<long long>(params.axis), x.rank);
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  const int at = x.rank > 0 ? static_cast<int>(axis) : 0, end = params.flag || at >= x.rank ? x.rank : at + 1;
  *s = {&softmax(p.isa()), count(x, 0, at), count(x, at, end), count(x, end, x.rank)};
  EDGEORT_TRY(p.same(0, 0));
  if (p.wants(0)) p.overwrite(0, 0);
  return Status::ok;
}

// Calls body(offset, columns) for blocks of sequences that lie side by side.
template <class F>
void blocks(const Run& r, const State& s, const F& body) {
  constexpr i64 kColumns = 64;
  const i64 per_row = ceil_div(s.inner, kColumns);
  if (s.outer * s.n * s.inner == 0 || !r.wants(0)) return;
  r.ranges(s.outer * per_row, max_of(1, kFloatsPerTask / (s.n * min_of(s.inner, kColumns))), [&](i64 begin, i64 end, int) {
    for (i64 i = begin; i < end; ++i) {
      const i64 c = i % per_row * kColumns;
      body(i / per_row * s.n * s.inner + c, min_of(kColumns, s.inner - c));
    }
  });
}

void run_columns(Run& r, bool log) {
  const State& s = r.state<State>();
  blocks(r, s, [&](i64 at, i64 columns) {
    s.kernels->columns(r.out(0).as<f32>() + at, r.in(0).as<const f32>() + at, s.n, s.inner, columns, log);
  });
}

void run_softmax(Run& r) {
  const State& s = r.state<State>();
  if (s.inner != 1) return run_columns(r, false);
  if (s.outer * s.n == 0 || !r.wants(0)) return;
  r.ranges(s.outer, max_of(1, kFloatsPerTask / s.n), [&](i64 begin, i64 end, int) {
    const i64 at = begin * s.n;
    s.kernels->rows(r.out(0).as<f32>() + at, r.in(0).as<const f32>() + at, s.n, end - begin);
  });
}

void run_log_softmax(Run& r) {
  const State& s = r.state<State>();
  if (s.inner != 1) return run_columns(r, true);
  blocks(r, s, [&](i64 at, i64) { s.kernels->log_row(r.out(0).as<f32>() + at, r.in(0).as<const f32>() + at, s.n); });
}

// 1 at the first greatest element, 0 elsewhere.
void run_hardmax(Run& r) {
  const State& s = r.state<State>();
  blocks(r, s, [&](i64 at, i64 columns) {
    for (i64 c = 0; c < columns; ++c) {
      const f32* x = r.in(0).as<const f32>() + at + c;
      f32* y = r.out(0).as<f32>() + at + c;
      i64 best = 0;
      for (i64 i = 1; i < s.n; ++i) {
        if (x[i * s.inner] > x[best * s.inner]) best = i;
      }
      for (i64 i = 0; i < s.n; ++i) y[i * s.inner] = i == best ? 1.0f : 0.0f;
    }
  });
}

}  // namespace

extern const OpDef kSoftmax, kLogSoftmax, kHardmax;
const OpDef kSoftmax = {"Softmax", sizeof(AxisParams), prepare, run_softmax};
const OpDef kLogSoftmax = {"LogSoftmax", sizeof(AxisParams), prepare, run_log_softmax};
const OpDef kHardmax = {"Hardmax", sizeof(AxisParams), prepare, run_hardmax};

}  // namespace edgeort
