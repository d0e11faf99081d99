// DepthwiseConv, and GroupedConv of few channels a group, line by line.
#include "depthwise.h"

#include "../../core/stream.h"
#include "../elementwise/bound.h"
#include "geometry.h"

namespace edgeort {

EDGEORT_KERNELS(DepthwiseKernels, depthwise)
EDGEORT_KERNELS(DepthwiseAnyFn, depthwise_any)
EDGEORT_KERNELS(GroupedKernels, grouped)

namespace {

// Pixels of input whose vectors stay in a small core's L1, a cache line each: those that one call reads.
constexpr i64 kPixels = 16 * 1024 / (kPanel * i64{sizeof(f32)});
constexpr i64 kMostLines = 16;
// Outputs of a line that one call computes at least, where it is not all: whole groups of every kernel of kernels.inc.
constexpr i64 kSegment = 28;

// Outputs that are worth a task, and lines that threads share by channels.
constexpr i64 kLeastOutputs = 8192, kFewLines = 8;

// Bytes of the channels of an image that are copied, so that their results lie over them: a quarter of a small core's L1, or a cache
// line of each pixel in half of it.
constexpr i64 kCopied = 8 * 1024, kMostCopied = 16 * 1024;
// Both tensors are in the large L2 of a core of x86-64: there a copy saves memory alone, and such layers take a quarter longer.
#if defined(__x86_64__)
constexpr bool kAlwaysCopies = false;
#else
constexpr bool kAlwaysCopies = true;
#endif

struct State {
  Geometry g;
  BoundProgram epilogue;
  f32 lo, hi;
  bool swish, program;
  DepthwiseAnyFn any;
  const DepthwiseKernels* kernels;
  const DepthwiseRow* row;  // null: by `any`
  i64 lines, segment;       // of one call: output lines, and pixels of each
  i64 group;                // channels that are computed from a copy, the last ones with what is left over; 0: none are copied

  i64 groups() const { return max_of(1, g.c_in / group); }
  i64 pointers() const { return lines * g.kernel[0] * g.kernel[1]; }
  u64 scratch_bytes() const {
    return static_cast<u64>(pointers()) * sizeof(void*) + (program ? epilogue.scratch_bytes(g.out[2] * g.c_out) : 0);
  }
  // The copy, in the scratch of a node that is in no stream.
  u64 copy_at() const { return (scratch_bytes() + kAlignment - 1) & ~(kAlignment - 1); }
  u64 copy_bytes() const { return static_cast<u64>(g.in[1] * g.in[2] * (group + g.c_in % group)) * sizeof(f32); }
};

// The kernel that computes lines, or null.
const DepthwiseRow* pick(const DepthwiseKernels& kernels, const Geometry& g) {
  const i64 half = g.kernel[2] / 2;
  if (g.kernel[0] != 1 || g.kernel[1] != g.kernel[2] || g.dilation[2] != 1 || g.c_in < kernels.fewest || g.pad[2] > half ||
      g.beside() > half)
    return nullptr;
  for (const DepthwiseRow* row = kernels.rows; row < kernels.rows + kernels.count; ++row) {
    if (row->kernel == g.kernel[2] && row->stride == g.stride[2]) return row;
  }
  return nullptr;
}

// Channels of a copy; 0 where it is large, or results do not lie over channels that they are made from.
i64 group_of(const Geometry& g) {
  const i64 pixels = g.in[1] * g.in[2], outputs = g.out[1] * g.out[2];
  if (pixels == 0 || outputs > pixels || (outputs < pixels && g.batch > 1)) return 0;
  const i64 panel = pixels * kPanel * i64{sizeof(f32)};
  return panel > kMostCopied ? 0 : min_of(g.c_in, max_of(1, kCopied / panel) * kPanel);
}

// The geometry and the kernels of a depthwise convolution.
Status bind_depthwise(Prepare& p, State* s) {
  const Geometry& g = s->g;
  if (g.groups != g.c_in || g.c_in != g.c_out) return p.fail("is not depthwise");
  s->any = depthwise_any(p.isa());
  s->kernels = &depthwise(p.isa());
  s->row = pick(*s->kernels, g);
  return check_weights(p, g.taps * g.c_in, ceil_div(g.c_in, kPanel) * kPanel);
}

Status bind_grouped(Prepare& p, State* s) {
  const Geometry& g = s->g;
  const i64 of = g.c_in / g.groups;
  if (g.c_in != g.c_out || (of != 2 && of != 4 && of != 8)) return p.fail("has no kernel for its groups");
  const GroupedKernels& kernels = grouped(p.isa());
  s->any = of == 2 ? kernels.of_two : of == 4 ? kernels.of_four : kernels.of_eight;
  s->row = nullptr;
  return check_weights(p, g.taps * of * g.c_in, ceil_div(g.c_in, kPanel) * kPanel);
}

template <Status (*bind)(Prepare&, State*)>
Status prepare(Prepare& p) {
  const auto& params = p.params<ConvParams>();
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  Geometry& g = s->g;
  EDGEORT_TRY(conv_geometry(p, params, &g));
  if (g.taps > 4096) return p.fail("the kernel is too large");
  EDGEORT_TRY(bind(p, s));
  const Tensor& y = p.out(0);
  EDGEORT_TRY(s->epilogue.bind(p, params.epilogue, sizeof(params), y.dims, y.rank - 1, g.c_out, true));
  s->program = !s->epilogue.in_registers(&s->lo, &s->hi, &s->swish);
  // Lines share most of what they read; so do neighbours of a line, but segments cost less than lines that are read again. A
  // program runs over each line while it is in cache.
  s->segment = s->program || g.out[2] < 2 * kSegment ? max_of(1, g.out[2]) : kSegment;
  const i64 fits = kPixels / ((s->segment - 1) * g.stride[2] + g.kernel[2]);
  s->lines = s->program || !s->row ? 1 : max_of(1, min_of(kMostLines, (fits - g.kernel[1]) / g.stride[1] + 1));
  s->group = (kAlwaysCopies || p.saves_memory()) && !s->program && s->row && !p.in(0).pitch && !y.pitch && g.in[0] == 1 && g.out[0] == 1
                 ? group_of(g)
                 : 0;
  // Each thread has a copy: less in all than the memory that the result would take.
  if (s->group && s->copy_bytes() * static_cast<u64>(p.threads()) >= bytes(y)) s->group = 0;
  if (s->group) p.overwrite(0, 0);
  p.thread_scratch(s->group ? s->copy_at() + s->copy_bytes() : s->scratch_bytes());
  return Status::ok;
}

// Lines of a strip: where they are read and written.
struct Strip {
  const Run& r;
  const State& s;
  const Lines &in, &out;
  const f32** pointers;
  i64 channel = 0, channels = s.g.c_in;  // by a kernel for lines: the first, and how many; `in` has these alone

  // Lines, by a kernel for them.
  void lines(i64 first, i64 last) const {
    const Geometry& g = s.g;
    const f32** row = pointers;
    const i64 pixel_step = in.pixel / i64{sizeof(f32)};
    for (i64 i = first; i < last; ++i) {
      // As input_line has it, for a kernel of one plane.
      const i64 z = i / g.out[1] % g.out[0] * g.stride[0] - g.pad[0], n = i / g.out[1] / g.out[0];
      for (i64 k = 0, y = i % g.out[1] * g.stride[1] - g.pad[1]; k < g.kernel[1]; ++k, y += g.dilation[1]) {
        const bool inside = z >= 0 && z < g.in[0] && y >= 0 && y < g.in[1];
        *row++ = inside ? in.line((n * g.in[0] + z) * g.in[1] + y) - g.pad[2] * pixel_step : nullptr;
      }
    }
    const i64 segment = last - first > 1 ? s.segment : g.out[2];
    for (i64 x = 0; x < g.out[2]; x += segment) {
      const i64 from = x * g.stride[2];
      s.row->fn({pointers, r.in(1).as<const f32>() + channel, last - first, min_of(segment, g.out[2] - x), channels, pixel_step, g.c_in,
                 g.pad[2] - in.left - from, g.in[2] + g.pad[2] + in.right - from, r.in(2).as<const f32>() + channel, s.lo, s.hi, s.swish,
                 out.line(first) + x * g.c_out + channel, out.stride / i64{sizeof(f32)}});
      for (const f32** p = pointers; p < row; ++p) *p = *p ? *p + segment * g.stride[2] * pixel_step : nullptr;
    }
  }

  // One line, by the kernel for any.
  void line(i64 i) const {
    const Geometry& g = s.g;
    const i64 rows = g.kernel[0] * g.kernel[1];
    for (i64 k = 0; k < rows; ++k) pointers[k] = input_line<f32>(g, in, i, k / g.kernel[1], k % g.kernel[1]);
    s.any({pointers, rows, r.in(1).as<const f32>(), g.kernel[2], g.stride[2], g.dilation[2], g.pad[2], g.in[2], g.out[2], g.c_in,
           r.in(2).as<const f32>(), s.lo, s.hi, s.swish, out.line(i)});
  }

  // The program over line i; `row` is its first pixel in the epilogue's space.
  void finish(i64 i, i64 row) const {
    const Geometry& g = s.g;
    void* scratch = pointers + s.pointers();
    if (s.epilogue.flat) {
      s.epilogue.run(r, out.line(i), row, 0, g.out[2] * g.c_out, scratch);
      return;
    }
    for (i64 x = 0; x < g.out[2]; ++x) s.epilogue.run(r, out.line(i) + x * g.c_out, row + x, 0, g.c_out, scratch);
  }
};

// Output lines, counted through the images of `in`. The epilogue's space begins `row` pixels before line 0.
void compute(const Run& r, const Lines& in, const Lines& out, Span lines, i64 row, void* scratch) {
  const State& s = r.state<State>();
  const Strip strip = {r, s, in, out, static_cast<const f32**>(scratch)};
  for (i64 i = lines.first; i < lines.last; i += s.lines) {
    if (s.row) {
      strip.lines(i, min_of(lines.last, i + s.lines));
    } else {
      strip.line(i);
    }
    if (s.program) strip.finish(i, row + i * s.g.out[2]);
  }
}

// All lines of channels [begin, end) of image n, from a copy: results lie over what they are made from, pixel by pixel.
void compute_copied(const Run& r, i64 n, i64 begin, i64 end, void* scratch) {
  const State& s = r.state<State>();
  const Geometry& g = s.g;
  const i64 pixels = g.in[1] * g.in[2], channels = end - begin, pixel = channels * i64{sizeof(f32)};
  char* copy = static_cast<char*>(scratch) + s.copy_at();
  const f32* from = r.in(0).as<const f32>() + n * pixels * g.c_in + begin;
  s.kernels->copy(from, g.c_in, pixels, channels, reinterpret_cast<f32*>(copy));
  const Lines in = {copy, g.in[2] * pixel, Lines::kWhole, pixel, 0, 0}, out = Lines::of(r.out(0), n);
  const Strip strip = {r, s, in, out, static_cast<const f32**>(scratch), begin, channels};
  for (i64 i = 0; i < g.out[1]; i += s.lines) strip.lines(i, min_of(g.out[1], i + s.lines));
}

// All `lines` lines, each task some of the channels: few lines are not alike for all threads, and the product before them leaves
// columns in each core's cache.
void compute_by_channels(Run& r, i64 lines) {
  const State& s = r.state<State>();
  const i64 panels = s.g.c_in / kPanel, most = panels * lines * s.g.out[2] * kPanel / (r.threads() * kLeastOutputs);
  const i64 tasks = min_of(panels, r.threads() * max_of(1, min_of(4, most)));
  r.parallel(tasks, [&](i64 task, int thread) {
    const i64 begin = panels * task / tasks * kPanel, end = task + 1 < tasks ? panels * (task + 1) / tasks * kPanel : s.g.c_in;
    Lines in = Lines::of(r.in(0));
    in.base += begin * i64{sizeof(f32)};
    const Strip strip = {r, s, in, Lines::of(r.out(0)), static_cast<const f32**>(r.thread_scratch(thread)), begin, end - begin};
    for (i64 i = 0; i < lines; i += s.lines) strip.lines(i, min_of(lines, i + s.lines));
  });
}

void run(Run& r) {
  const State& s = r.state<State>();
  const Geometry& g = s.g;
  if (s.group) {
    const i64 groups = s.groups();
    r.parallel(g.batch * groups, [&](i64 task, int thread) {
      const i64 begin = task % groups * s.group, end = task % groups + 1 < groups ? begin + s.group : g.c_in;
      compute_copied(r, task / groups, begin, end, r.thread_scratch(thread));
    });
    return;
  }
  const i64 width = g.out[2] * g.c_out, lines = g.out[2] ? g.out_rows / g.out[2] : 0;
  if (r.threads() > 1 && s.row && !s.program && lines <= kFewLines && g.c_in >= kPanel) return compute_by_channels(r, lines);
  const Lines in = Lines::of(r.in(0)), out = Lines::of(r.out(0));
  r.ranges(lines, max_of(1, kLeastOutputs / (width + 1)),
           [&](i64 begin, i64 end, int thread) { compute(r, in, out, {begin, end}, 0, r.thread_scratch(thread)); });
}

bool can_stream(const void* state) { return static_cast<const State*>(state)->g.streams(); }

void beside(const void* state, i64* left, i64* right, u8*) { static_cast<const State*>(state)->g.borders(left, right); }

u64 stream_scratch(const void* state, i64) { return static_cast<const State*>(state)->scratch_bytes(); }

void run_lines(const Run& r, const Lines& in, const Lines& out, i64 n, Span lines, void* scratch) {
  const Geometry& g = r.state<State>().g;
  compute(r, in, out, lines, n * g.out[1] * g.out[2], scratch);
}

constexpr StreamOps kStream = {can_stream, conv_reach<State>, beside, stream_scratch, run_lines, 1, 0, false, true};

}  // namespace

extern const OpDef kDepthwiseConv, kGroupedConv;
const OpDef kDepthwiseConv = {"DepthwiseConv", sizeof(ConvParams), prepare<bind_depthwise>, run, &kStream};
const OpDef kGroupedConv = {"GroupedConv", sizeof(ConvParams), prepare<bind_grouped>, run, &kStream};

}  // namespace edgeort
