// DepthwiseConvTranspose: each output gathers the kernel positions that reach it, in order. Weights are [tap][channel].
#include "depthwise_transpose.h"

#include "../elementwise/bound.h"
#include "geometry.h"

namespace edgeort {

EDGEORT_KERNELS(PhaseFn, depthwise_transpose)

namespace {

constexpr i64 kMostTaps = 4096;
constexpr i64 kLeastOutputs = 8192;  // that are worth a task

struct State {
  Geometry g;
  BoundProgram epilogue;
  f32 lo, hi;
  bool swish, program;
  PhaseFn fn;

  u64 taps_bytes() const { return static_cast<u64>(g.taps) * sizeof(PhaseTap); }
};

Status prepare(Prepare& p) {
  const auto& params = p.params<ConvParams>();
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  Geometry& g = s->g;
  EDGEORT_TRY(conv_transpose_geometry(p, params, &g));
  if (g.groups != g.c_in || g.c_in != g.c_out) return p.fail("is not depthwise");
  if (g.taps > kMostTaps) return p.fail("the kernel is too large");
  EDGEORT_TRY(check_weights(p, g.taps * g.c_in, round_up(g.c_in, kPanel)));
  const Tensor& y = p.out(0);
  EDGEORT_TRY(s->epilogue.bind(p, params.epilogue, sizeof(params), y.dims, y.rank - 1, g.c_out, true));
  s->program = !s->epilogue.in_registers(&s->lo, &s->hi, &s->swish);
  s->fn = depthwise_transpose(p.isa());
  p.thread_scratch(s->taps_bytes() + (s->program ? s->epilogue.scratch_bytes(g.out[2] * g.c_out) : 0));
  return Status::ok;
}

// Where kernel position k of output coordinate `at` of dimension d reads; false when it is between elements.
bool source(const Geometry& g, int d, i64 at, i64 k, i64* place) {
  const i64 t = at + g.pad[d] - k * g.dilation[d];
  *place = t / g.stride[d];
  return t % g.stride[d] == 0;
}

// The taps of outputs `phase`, `phase` + stride, ... of output line (n, z, y).
i64 find_taps(const Run& r, const Geometry& g, const i64 (&line)[3], i64 phase, PhaseTap* taps) {
  const f32 *x = r.in(0).as<const f32>(), *weights = r.in(1).as<const f32>();
  i64 count = 0, z, y, at;
  for (i64 k0 = 0; k0 < g.kernel[0]; ++k0) {
    if (!source(g, 0, line[1], k0, &z) || z < 0 || z >= g.in[0]) continue;
    for (i64 k1 = 0; k1 < g.kernel[1]; ++k1) {
      if (!source(g, 1, line[2], k1, &y) || y < 0 || y >= g.in[1]) continue;
      const f32* from = x + ((line[0] * g.in[0] + z) * g.in[1] + y) * g.in[2] * g.c_in;
      for (i64 k2 = 0; k2 < g.kernel[2]; ++k2) {
        if (!source(g, 2, phase, k2, &at)) continue;
        taps[count++] = {from, at, weights + ((k0 * g.kernel[1] + k1) * g.kernel[2] + k2) * g.c_in};
      }
    }
  }
  return count;
}

void run_line(const Run& r, const State& s, i64 number, void* scratch) {
  const Geometry& g = s.g;
  const i64 line[3] = {number / g.out[1] / g.out[0], number / g.out[1] % g.out[0], number % g.out[1]};
  auto* taps = static_cast<PhaseTap*>(scratch);
  f32* out = r.out(0).as<f32>() + number * g.out[2] * g.c_out;
  for (i64 phase = 0; phase < min_of(g.stride[2], g.out[2]); ++phase) {
    const i64 count = find_taps(r, g, line, phase, taps), outputs = ceil_div(g.out[2] - phase, g.stride[2]);
    s.fn({taps, count, g.in[2], g.c_in, r.in(2).as<const f32>(), s.lo, s.hi, s.swish, out + phase * g.c_out, outputs,
          g.stride[2] * g.c_out});
  }
  if (!s.program) return;
  void* rest = taps + g.taps;
  const i64 row = number * g.out[2];
  if (s.epilogue.flat) return s.epilogue.run(r, out, row, 0, g.out[2] * g.c_out, rest);
  for (i64 x = 0; x < g.out[2]; ++x) s.epilogue.run(r, out + x * g.c_out, row + x, 0, g.c_out, rest);
}

void run(Run& r) {
  const State& s = r.state<State>();
  if (count(r.out(0)) == 0) return;
  const i64 lines = s.g.out_rows / s.g.out[2];
  r.ranges(lines, max_of(1, kLeastOutputs / (s.g.out[2] * s.g.c_out)), [&](i64 begin, i64 end, int thread) {
    for (i64 i = begin; i < end; ++i) run_line(r, s, i, r.thread_scratch(thread));
  });
}

}  // namespace

extern const OpDef kDepthwiseConvTranspose;
const OpDef kDepthwiseConvTranspose = {"DepthwiseConvTranspose", sizeof(ConvParams), prepare, run};

}  // namespace edgeort
