// QDepthwiseConv: line by line; kernels that have no row in kernels.inc, tap by tap.
#include "qdepthwise.h"

#include <string.h>

#include "../../core/stream.h"
#include "../conv/geometry.h"
#include "../elementwise/bound.h"
#include "../gemm/qconstants.h"

namespace edgeort {

EDGEORT_KERNELS(QDepthwiseKernels, qdepthwise)

namespace {

// Bytes of input that stay in a small core's L1: a cache line of each pixel of the lines that one call reads. Bytes of
// float32 that stay in its L2 between a call and the program.
constexpr i64 kLineBytes = 24 * 1024, kCacheLine = 64, kBetweenBytes = 64 * 1024;
constexpr i64 kMostLines = 16;

struct State {
  Geometry g;
  BoundProgram epilogue;
  QResult result;  // of the kernel; float32 where a program follows
  bool quantised;  // the output
  i32* bias;
  f32* scale;
  q8* padding;  // what is outside the image, a byte a channel
  const QDepthwiseKernels* kernels;
  const QDepthwiseRow* row;  // null: tap by tap
  i64 lines;                 // of one call
  bool even;                 // every channel has the same zero point

  bool program() const { return !epilogue.empty(); }
  // Lines of float32 that a program turns into q8, in bytes.
  i64 between_line() const { return g.out[2] * g.c_out * i64{sizeof(f32)}; }
  i64 between() const { return program() && quantised ? lines * between_line() : 0; }
  i64 pointers() const { return max_of(g.taps, lines * g.kernel[1]); }
  u64 scratch_bytes() const {
    return static_cast<u64>(pointers()) * sizeof(void*) + static_cast<u64>(between()) + epilogue.scratch_bytes(g.out[2] * g.c_out);
  }
};

// The zero points of the input's channels, an operand behind those of the program; null where all have the parameters' own.
Status zero_points(Prepare& p, const BoundProgram& program, i64 padded, const i32** points) {
  const int input = kOperands + static_cast<int>(program.empty() ? 0 : program.operands);
  *points = nullptr;
  if (!p.has(input)) return Status::ok;
  if (!fits(p.in(input), DType::i32, padded)) return p.fail("its zero points must have %lld values", (long long)padded);
  *points = static_cast<const i32*>(p.value(input));
  if (!*points) return p.fail("its zero points must be constants");
  for (i64 c = 0; c < padded; ++c) {
    if (!is_byte((*points)[c])) return p.fail("a zero point or limit is out of range");
  }
  return Status::ok;
}

// Folds the input's zero points into the bias. *small: no |sum * scale| reaches 2^31.
Status fold(Prepare& p, const Quantisation& q, State* s, bool* small) {
  const i64 padded = ceil_div(s->g.c_in, kPanel) * kPanel;
  QConstants in;
  EDGEORT_TRY(q_constants(p, s->g.taps * padded, padded, true, &in));
  EDGEORT_TRY(q_result(p, q, s->quantised && !s->program(), &s->result));
  // The kernels' last block may be two panels.
  const u64 room = static_cast<u64>(padded + kPanel);
  s->bias = static_cast<i32*>(p.keep(room * sizeof(i32)));
  s->scale = static_cast<f32*>(p.keep(room * sizeof(f32)));
  s->padding = static_cast<q8*>(p.keep(room));
  if (!s->bias || !s->scale || !s->padding) return p.out_of_memory();
  const i32* points;
  EDGEORT_TRY(zero_points(p, s->epilogue, padded, &points));
  s->even = !points;
  const f64 products = static_cast<f64>(s->g.taps) * 255 * 128;
  *small = true;
  for (i64 c = 0; c < padded; ++c) {
    const i32 zero_point = (points ? points[c] : q.x_zero_point) + kQ8Bias;
    s->padding[c] = static_cast<q8>(zero_point);
    s->scale[c] = in.scale[c];
    s->bias[c] = in.folded(c, zero_point);
    const f64 most = (products + __builtin_fabs(static_cast<f64>(s->bias[c]))) * __builtin_fabs(static_cast<f64>(in.scale[c]));
    *small &= most < 2147483648.0;
  }
  s->result.bias = s->bias;
  s->result.scale = s->scale;
  return Status::ok;
}

// The kernel that computes lines, or null.
const QDepthwiseRow* pick(const QDepthwiseKernels& kernels, const Geometry& g, bool wide) {
  const i64 half = g.kernel[2] / 2;
  if (g.kernel[0] != 1 || g.kernel[1] != g.kernel[2] || g.dilation[2] != 1 || g.c_in < kernels.fewest || g.pad[2] > half ||
      g.beside() > half || (wide && kernels.pairs))
    return nullptr;
  for (const QDepthwiseRow* row = kernels.rows; row < kernels.rows + kernels.count; ++row) {
    if (row->kernel == g.kernel[2] && row->stride == g.stride[2]) return row;
  }
  return nullptr;
}

Status prepare(Prepare& p) {
  const auto& params = p.params<QConvParams>();
  const Quantisation& q = params.quantisation;
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  Geometry& g = s->g;
  s->quantised = q.quantised != 0;
  EDGEORT_TRY(conv_geometry(p, params.conv, &g, false, DType::q8, s->quantised ? DType::q8 : DType::f32));
  if (g.groups != g.c_in || g.c_in != g.c_out) return p.fail("is not depthwise");
  if (g.taps > 4096) return p.fail("the kernel is too large");
  const Tensor& y = p.out(0);
  EDGEORT_TRY(s->epilogue.bind(p, params.conv.epilogue, sizeof(params), y.dims, y.rank - 1, g.c_out, true));
  if (s->program() && s->quantised != s->epilogue.quantises()) return p.fail("its program does not make the type of its result");
  bool small;
  EDGEORT_TRY(fold(p, q, s, &small));
  s->kernels = &qdepthwise(p.isa());
  s->row = small ? pick(*s->kernels, g, q.wide != 0) : nullptr;
  const i64 read = kLineBytes / ((g.in[2] + 1) * kCacheLine), left = s->program() ? kBetweenBytes / (s->between_line() + 1) : kMostLines;
  s->lines = s->row ? max_of(1, min_of(min_of(kMostLines, left), (read - g.kernel[1]) / g.stride[1] + 1)) : 1;
  p.thread_scratch(s->scratch_bytes());
  p.reads_slice(kX);
  p.writes_slice(0);
  return Status::ok;
}

// Lines of a strip: where they are read and written.
struct Strip {
  const Run& r;
  const State& s;
  const Lines &in, &out;
  const q8** pointers;

  // Lines, by a kernel for them; `to` is the first of them, and they are `line` and their pixels `pixel` bytes apart.
  void lines(i64 first, i64 last, char* to, i64 line, i64 pixel) const {
    const Geometry& g = s.g;
    const q8** row = pointers;
    for (i64 i = first; i < last; ++i) {
      for (i64 k = 0; k < g.kernel[1]; ++k) {
        const q8* from = input_line<q8>(g, in, i, 0, k);
        *row++ = from ? from - g.pad[2] * in.pixel : nullptr;
      }
    }
    s.row->fn({pointers, r.in(kWeights).as<const i8>(), s.padding, last - first, g.out[2], g.c_in, g.pad[2] - in.left,
               g.in[2] + g.pad[2] + in.right, in.pixel, s.result, to, line, pixel});
  }

  void pixel(i64 i, i64 x, char* to) const {
    const Geometry& g = s.g;
    for (i64 k = 0; k < g.taps; ++k) {
      const q8* line = input_line<q8>(g, in, i, k / g.kernel[2] / g.kernel[1], k / g.kernel[2] % g.kernel[1]);
      const i64 column = x * g.stride[2] - g.pad[2] + k % g.kernel[2] * g.dilation[2];
      pointers[k] = line && column >= 0 && column < g.in[2] ? line + column * in.pixel : s.padding;
    }
    s.kernels->pixel({pointers, r.in(kWeights).as<const i8>(), g.taps, g.c_in, s.result, to});
  }

  // The program over line i, whose values are at `from`; `row` is its first pixel in the epilogue's space.
  void finish(i64 i, i64 row, char* from, i64 pixel, void* scratch) const {
    const Geometry& g = s.g;
    const bool whole = s.epilogue.even && pixel == g.c_out * i64{sizeof(f32)};
    const i64 step = whole ? g.out[2] : 1;
    for (i64 x = 0; x < g.out[2]; x += step) {
      const BoundProgram::Tile tile = {row + x, 0, g.c_out, step};
      f32* values = reinterpret_cast<f32*>(from + x * pixel);
      if (s.quantised) {
        s.epilogue.run(r, values, out.line<q8>(i) + x * out.pixel, out.pixel, tile, false, scratch);
      } else {
        s.epilogue.run(r, values, tile, false, scratch);
      }
    }
  }
};

// Output lines, counted through the images of `in`. The epilogue's space begins `row` pixels before line 0.
void compute(const Run& r, const Lines& in, const Lines& out, Span lines, i64 row, void* scratch) {
  const State& s = r.state<State>();
  const Strip strip = {r, s, in, out, static_cast<const q8**>(scratch)};
  char* between = static_cast<char*>(scratch) + s.pointers() * i64{sizeof(void*)};
  const i64 line = s.between() ? s.between_line() : out.stride, pixel = s.between() ? s.g.c_out * i64{sizeof(f32)} : out.pixel;
  for (i64 i = lines.first; i < lines.last; i += s.lines) {
    const i64 end = min_of(lines.last, i + s.lines);
    char* to = s.between() ? between : out.line<char>(i);
    if (s.row) {
      strip.lines(i, end, to, line, pixel);
    } else {
      for (i64 x = 0; x < s.g.out[2]; ++x) strip.pixel(i, x, to + x * pixel);
    }
    for (i64 k = i; k < end && s.program(); ++k) strip.finish(k, row + k * s.g.out[2], to + (k - i) * line, pixel, between + s.between());
  }
}

void run(Run& r) {
  const Geometry& g = r.state<State>().g;
  const i64 width = g.out[2] * g.c_out, lines = g.out[2] ? g.out_rows / g.out[2] : 0;
  const Lines in = Lines::of(r.in(kX)), out = Lines::of(r.out(0));
  r.ranges(lines, max_of(1, 8192 / (width + 1)),
           [&](i64 begin, i64 end, int thread) { compute(r, in, out, {begin, end}, 0, r.thread_scratch(thread)); });
}

bool can_stream(const void* state) { return static_cast<const State*>(state)->g.streams(); }

void beside(const void* state, i64* left, i64* right, u8* byte) {
  const State& s = *static_cast<const State*>(state);
  if (!s.even) return;  // borders hold one byte: the kernels see to them
  s.g.borders(left, right);
  *byte = static_cast<u8>(s.padding[0]);
}

u64 stream_scratch(const void* state, i64) { return static_cast<const State*>(state)->scratch_bytes(); }

void run_lines(const Run& r, const Lines& in, const Lines& out, i64 n, Span lines, void* scratch) {
  const Geometry& g = r.state<State>().g;
  compute(r, in, out, lines, n * g.out[1] * g.out[2], scratch);
}

constexpr StreamOps kStream = {can_stream, conv_reach<State>, beside, stream_scratch, run_lines, 1, 0, false, true};

}  // namespace

extern const OpDef kQDepthwiseConv;
const OpDef kQDepthwiseConv = {"QDepthwiseConv", sizeof(QConvParams), prepare, run, &kStream};

}  // namespace edgeort
