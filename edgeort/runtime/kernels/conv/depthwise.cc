// DepthwiseConv: line by line; inside a line whole kernel rows at once, at its ends tap by tap.
#include "depthwise.h"

#include "../../core/stream.h"
#include "../elementwise/bound.h"
#include "geometry.h"

namespace edgeort {

EDGEORT_KERNELS(DepthwiseKernels, depthwise)

namespace {

// Outputs of a line up to which its border pixels cost more than a copy of the input.
constexpr i64 kNarrow = 8;

struct State {
  Geometry g;
  BoundProgram epilogue;
  f32 lo, hi;
  bool program;
  const DepthwiseKernels* kernels;
  bool widen;      // a small image: borders are a large part of it, and a copy without them is cheap
  i64 begin, end;  // outputs of a line whose kernel lies inside along x

  // The kernel that computes `outputs` neighbours with the least waste, or null.
  const DepthwiseRow* pick(i64 outputs) const {
    const DepthwiseRow* best = nullptr;
    i64 least = 0;
    for (int i = 0; i < kernels->count && g.dilation[2] == 1; ++i) {
      const DepthwiseRow& row = kernels->rows[i];
      if (row.kernel != g.kernel[2] || row.stride != g.stride[2] || row.pixels > outputs) continue;
      const i64 computed = ceil_div(outputs, row.pixels) * row.pixels;
      if (!best || computed < least || (computed == least && row.pixels > best->pixels)) best = &row, least = computed;
    }
    return best;
  }

  // Pointers of all taps of a pixel and their weights, then the epilogue's registers.
  u64 scratch_bytes() const { return static_cast<u64>(g.taps) * 2 * sizeof(void*) + epilogue.scratch_bytes(g.out[2] * g.c_out); }
};

Status prepare(Prepare& p) {
  const auto& params = p.params<ConvParams>();
  auto* s = p.state<State>();
  if (!s) return p.fail("out of memory");
  Geometry& g = s->g;
  EDGEORT_TRY(conv_geometry(p, params, &g));
  if (g.groups != g.c_in || g.c_in != g.c_out) return p.fail("is not depthwise");
  if (g.taps > 4096) return p.fail("the kernel is too large");
  EDGEORT_TRY(check_weights(p, g.taps * g.c_in, ceil_div(g.c_in, kPanel) * kPanel));
  const Tensor& y = p.out(0);
  EDGEORT_TRY(s->epilogue.bind(p, params.epilogue, sizeof(params), y.dims, y.rank - 1, g.c_out, true));
  s->lo = -__builtin_inff();
  s->hi = __builtin_inff();
  s->program = !s->epilogue.empty() && !s->epilogue.clamp(&s->lo, &s->hi);
  s->kernels = &depthwise(p.isa());
  s->widen = g.can_widen() && g.out[2] <= kNarrow && s->pick(g.out[2]);
  if (s->widen) p.scratch(g.widened_bytes());
  s->begin = min_of(g.out[2], ceil_div(g.pad[2] > 0 ? g.pad[2] : 0, g.stride[2]));
  const i64 last = g.in[2] + g.pad[2] - (g.kernel[2] - 1) * g.dilation[2] - 1;  // the last start that stays inside
  s->end = max_of(s->begin, last < 0 ? 0 : min_of(g.out[2], last / g.stride[2] + 1));
  p.thread_scratch(s->scratch_bytes());
  return Status::ok;
}

// One output line.
struct Line {
  const State& s;
  Lines in;
  const f32* weights;
  DepthwiseArgs args;
  const f32** rows;
  const f32** taps;
  i64 n, z, y;

  // Adds a tap (or kernel row) at k whose first pixel is read at `column` of the input.
  void add(i64 k0, i64 k1, i64 k2, i64 column) {
    const Geometry& g = s.g;
    const i64 iz = z * g.stride[0] - g.pad[0] + k0 * g.dilation[0], iy = y * g.stride[1] - g.pad[1] + k1 * g.dilation[1];
    if (iz < 0 || iz >= g.in[0] || iy < 0 || iy >= g.in[1] || column < -in.left || column >= g.in[2] + in.right) return;
    rows[args.count] = in.line((n * g.in[0] + iz) * g.in[1] + iy) + column * g.c_in;
    taps[args.count++] = weights + ((k0 * g.kernel[1] + k1) * g.kernel[2] + k2) * g.c_in;
  }

  void pixel(i64 at, f32* out) {
    const Geometry& g = s.g;
    args.count = 0;
    args.out = out;
    for (i64 k0 = 0; k0 < g.kernel[0]; ++k0) {
      for (i64 k1 = 0; k1 < g.kernel[1]; ++k1) {
        for (i64 k2 = 0; k2 < g.kernel[2]; ++k2) add(k0, k1, k2, at * g.stride[2] - g.pad[2] + k2 * g.dilation[2]);
      }
    }
    s.kernels->pixel(args);
  }

  void pixels(DepthwiseFn fn, i64 at, f32* out) {
    const Geometry& g = s.g;
    args.count = 0;
    args.out = out;
    for (i64 k0 = 0; k0 < g.kernel[0]; ++k0) {
      for (i64 k1 = 0; k1 < g.kernel[1]; ++k1) add(k0, k1, 0, at * g.stride[2] - g.pad[2]);
    }
    fn(args);
  }
};

// Output line (n, z, y) into `to`; `row` is its first pixel in the epilogue's space.
void run_line(const Run& r, const State& s, const Lines& in, i64 n, i64 z, i64 y, i64 row, f32* to, void* thread_scratch) {
  const Geometry& g = s.g;
  auto** pointers = static_cast<const f32**>(thread_scratch);
  void* scratch = pointers + 2 * g.taps;
  DepthwiseArgs args = {pointers, pointers + g.taps, 0, g.c_in, g.c_in, r.in(2).as<const f32>(), s.lo, s.hi, nullptr};
  Line line = {s, in, r.in(1).as<const f32>(), args, pointers, pointers + g.taps, n, z, y};
  // Lines with enough zeros beside them have no border pixels.
  const i64 begin = in.left >= g.pad[2] ? 0 : s.begin, end = in.right >= g.beside() ? g.out[2] : s.end;
  const DepthwiseRow* kernel = s.pick(end - begin);
  for (i64 at = 0; at < (kernel ? begin : g.out[2]); ++at) line.pixel(at, to + at * g.c_out);
  if (kernel) {
    // The last group overlaps the one before rather than leaving single pixels.
    for (i64 at = begin; at < end; at += kernel->pixels) {
      const i64 from = min_of(at, end - kernel->pixels);
      line.pixels(kernel->fn, from, to + from * g.c_out);
    }
    for (i64 at = end; at < g.out[2]; ++at) line.pixel(at, to + at * g.c_out);
  }
  if (!s.program) return;
  if (s.epilogue.flat) {
    s.epilogue.run(r, to, row, 0, g.out[2] * g.c_out, scratch);
    return;
  }
  for (i64 at = 0; at < g.out[2]; ++at) s.epilogue.run(r, to + at * g.c_out, row + at, 0, g.c_out, scratch);
}

void run(Run& r) {
  const State& s = r.state<State>();
  const Geometry& g = s.g;
  const i64 width = g.out[2] * g.c_out, lines = g.out[2] ? g.out_rows / g.out[2] : 0;
  Lines in = {r.in(0).as<f32>(), g.in[2] * g.c_in, Lines::kWhole, 0, 0};
  if (s.widen) in = widen(r, g, in.base, static_cast<f32*>(r.scratch()));
  r.ranges(lines, max_of(1, 8192 / (width + 1)), [&](i64 begin, i64 end, int thread) {
    for (i64 i = begin; i < end; ++i) {
      run_line(r, s, in, i / g.out[1] / g.out[0], i / g.out[1] % g.out[0], i % g.out[1], i * g.out[2], r.out(0).as<f32>() + i * width,
               r.thread_scratch(thread));
    }
  });
}

bool can_stream(const void* state) {
  const Geometry& g = static_cast<const State*>(state)->g;
  return g.kernel[0] == 1 && g.in[0] == 1 && g.pad[0] == 0 && g.stride[0] == 1 && g.narrow_borders();
}

void beside(const void* state, i64* left, i64* right) {
  const State& s = *static_cast<const State*>(state);
  *left = max_of(0, s.g.pad[2]);
  *right = s.g.beside();
}

u64 stream_scratch(const void* state, i64) { return static_cast<const State*>(state)->scratch_bytes(); }

void run_lines(const Run& r, const Lines& in, const Lines& out, i64 n, Span lines, void* scratch) {
  const State& s = r.state<State>();
  for (i64 y = lines.first; y < lines.last; ++y) {
    run_line(r, s, in, 0, 0, y, (n * s.g.out[1] + y) * s.g.out[2], out.line(y), scratch);
  }
}

constexpr StreamOps kStream = {can_stream, conv_reach<State>, beside, stream_scratch, run_lines};

}  // namespace

extern const OpDef kDepthwiseConv;
const OpDef kDepthwiseConv = {"DepthwiseConv", sizeof(ConvParams), prepare, run, &kStream};

}  // namespace edgeort
