// MaxPool, AveragePool, LpPool: each output reads a list of pointers to the taps that lie inside the input.
#include "pool.h"

#include "../../core/stream.h"
#include "window.h"

namespace edgeort {

EDGEORT_KERNELS(WindowFn, pool_max_f32)
EDGEORT_KERNELS(WindowFn, pool_max_u8)
EDGEORT_KERNELS(WindowFn, pool_max_i8)
EDGEORT_KERNELS(WindowFn, pool_average)
EDGEORT_KERNELS(WindowFn, pool_average_q8)
EDGEORT_KERNELS(WindowFn, pool_l1)
EDGEORT_KERNELS(WindowFn, pool_l2)
EDGEORT_KERNELS(WindowFn, pool_lp)

namespace {

struct State {
  Window window;
  WindowFn fn;
  f32 p;
  bool average, count_pads;
  i64 in_pixel, out_pixel;  // bytes between neighbouring pixels
  bool floats;              // in and out
};

// The result is of the input's type, or else float32.
Status bind(Prepare& p, State** state, bool same_type) {
  if (!p.has(0) || !p.wants(0)) return p.fail("it needs an input and an output");
  *state = p.state<State>();
  if (!*state) return p.out_of_memory();
  State& s = **state;
  EDGEORT_TRY(s.window.bind(p, p.params<PoolParams>(), same_type ? p.in(0).dtype : DType::f32));
  const auto pixel = [&](const Tensor& t) { return static_cast<i64>(size_of(t.dtype)) * (s.window.channels_last ? pitch_of(t) : 1); };
  if (s.window.channels_last) {
    p.reads_slice(0);
    p.writes_slice(0);
  }
  s.in_pixel = pixel(p.in(0));
  s.out_pixel = pixel(p.out(0));
  s.floats = p.in(0).dtype == DType::f32;
  if (count(p.out(0)) > 0) p.thread_scratch(static_cast<u64>(2 * s.window.taps()) * sizeof(void*));
  return Status::ok;
}

Status prepare_max(Prepare& p) {
  State* s;
  EDGEORT_TRY(bind(p, &s, true));
  const int isa = p.isa();
  DType dtype = p.in(0).dtype;
  if (dtype == DType::q8) dtype = kQ8Bias ? DType::u8 : DType::i8;
  s->fn = dtype == DType::f32 ? pool_max_f32(isa) : dtype == DType::u8 ? pool_max_u8(isa) : dtype == DType::i8 ? pool_max_i8(isa) : nullptr;
  return s->fn ? Status::ok : p.fail("its input must be float32, uint8 or int8");
}

Status prepare_average(Prepare& p) {
  State* s;
  EDGEORT_TRY(bind(p, &s, false));
  s->fn = p.in(0).dtype == DType::q8 ? pool_average_q8(p.isa()) : pool_average(p.isa());
  s->average = true;
  s->count_pads = p.params<PoolParams>().count_include_pad;
  if (s->floats || (p.in(0).dtype == DType::q8 && !s->count_pads)) return Status::ok;
  return p.fail("its input must be float32, or quantised without pads that count");
}

Status prepare_lp(Prepare& p) {
  State* s;
  EDGEORT_TRY(bind(p, &s, false));
  const int isa = p.isa();
  s->p = p.params<PoolParams>().p;
  s->fn = s->p == 1.0f ? pool_l1(isa) : s->p == 2.0f ? pool_l2(isa) : pool_lp(isa);
  return s->floats ? Status::ok : p.fail("its input must be float32");
}

// Output line (n, o0, o1) along the last spatial axis.
void run_line(const State& s, const Lines& x, i64 n, i64 o0, i64 o1, u8* y, const void** scratch) {
  const Window& w = s.window;
  const Window::Range r0 = w.range(0, o0), r1 = w.range(1, o1);
  const void** lines = scratch;  // input lines of the taps (k0, k1)
  const void** taps = scratch + w.taps();
  i64 n_lines = 0;
  for (i64 k0 = r0.first; k0 < r0.last; ++k0) {
    for (i64 k1 = r1.first; k1 < r1.last; ++k1) {
      lines[n_lines++] = x.line<u8>((n * w.in[0] + r0.start + k0 * w.dilation[0]) * w.in[1] + r1.start + k1 * w.dilation[1]);
    }
  }
  const i64 padded = s.count_pads ? w.padded(0, o0) * w.padded(1, o1) : 0;
  i64 first, last;
  w.whole(2, &first, &last);
  for (i64 o2 = 0, pixels; o2 < w.out[2]; o2 += pixels) {
    pixels = o2 >= first && o2 < last ? last - o2 : 1;
    const Window::Range r2 = w.range(2, o2);
    i64 n_taps = 0;
    for (i64 i = 0; i < n_lines; ++i) {
      const u8* from = static_cast<const u8*>(lines[i]) + r2.start * s.in_pixel;
      for (i64 k2 = r2.first; k2 < r2.last; ++k2) taps[n_taps++] = from + k2 * w.dilation[2] * s.in_pixel;
    }
    const i64 divisor = s.count_pads ? padded * w.padded(2, o2) : n_taps;
    const f32 value = s.average ? static_cast<f32>(divisor) : s.p;
    s.fn({taps, n_taps, w.channels, value, y + o2 * s.out_pixel, pixels, w.stride[2] * s.in_pixel, s.out_pixel});
  }
}

void run(Run& r) {
  const State& s = r.state<State>();
  const Window& w = s.window;
  if (count(r.out(0)) == 0) return;
  const Lines x = {r.in(0).as<char>(), w.in[2] * s.in_pixel, Lines::kWhole, s.in_pixel, 0, 0};
  u8* y = r.out(0).as<u8>();
  const i64 work = w.out[2] * (w.channels + 8) * (w.taps() + 1);
  r.ranges(w.batch * w.out[0] * w.out[1], max_of(1, 65536 / max_of(1, work)), [&](i64 begin, i64 end, int thread) {
    for (i64 i = begin; i < end; ++i) {
      const i64 o1 = i % w.out[1], o0 = i / w.out[1] % w.out[0], n = i / w.out[1] / w.out[0];
      run_line(s, x, n, o0, o1, y + i * w.out[2] * s.out_pixel, static_cast<const void**>(r.thread_scratch(thread)));
    }
  });
}

bool can_stream(const void* state) {
  const State& s = *static_cast<const State*>(state);
  const Window& w = s.window;
  return w.channels_last && w.in[0] == 1 && w.out[0] == 1 && w.kernel[0] == 1;
}

Span reach(const void* state, Span out) {
  const Window& w = static_cast<const State*>(state)->window;
  return {out.first * w.stride[1] - w.begin[1], (out.last - 1) * w.stride[1] - w.begin[1] + (w.kernel[1] - 1) * w.dilation[1] + 1};
}

void beside(const void*, i64*, i64*, u8*) {}

u64 stream_scratch(const void* state, i64) { return static_cast<u64>(2 * static_cast<const State*>(state)->window.taps()) * sizeof(void*); }

void run_lines(const Run& r, const Lines& in, const Lines& out, i64, Span lines, void* scratch) {
  for (i64 y = lines.first; y < lines.last; ++y) {
    run_line(r.state<State>(), in, 0, 0, y, out.line<u8>(y), static_cast<const void**>(scratch));
  }
}

constexpr StreamOps kStream = {can_stream, reach, beside, stream_scratch, run_lines, 1, 0, false, true};

}  // namespace

extern const OpDef kMaxPool;
const OpDef kMaxPool = {"MaxPool", sizeof(PoolParams), prepare_max, run, &kStream};

extern const OpDef kAveragePool;
const OpDef kAveragePool = {"AveragePool", sizeof(PoolParams), prepare_average, run, &kStream};

extern const OpDef kLpPool;
const OpDef kLpPool = {"LpPool", sizeof(PoolParams), prepare_lp, run, &kStream};

}  // namespace edgeort
