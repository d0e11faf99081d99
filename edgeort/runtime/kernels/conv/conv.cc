// Conv: a matrix product whose rows are pointers into the input, one for each kernel position; no im2col buffer. CompressedConv is the
// same with compressed weights.
#include "../../core/stream.h"
#include "product.h"
#include "rows.h"

namespace edgeort {

EDGEORT_KERNELS(CompressedKernels, compressed)

namespace {

struct State : Product {
  Geometry whole;           // of all lines at once: a column lies down
  bool merge, merge_whole;  // kernel rows
  bool widen;               // few channels: a copy of the input with zeros beside its lines lets every kernel row be one tap
};

// A convolution with few input channels has short taps: merging kernel rows needs a copy without borders.
constexpr i64 kFewChannels = 8;
// Below this, merging kernel rows is worth more than reading a slice, whose pixels are not neighbours.
constexpr i64 kLongTap = 64;

Status prepare_with(Prepare& p, const CompressedKernels* kernels) {
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  EDGEORT_TRY(s->bind(p, conv_geometry, kernels));
  const Geometry& g = s->g;
  s->matrix.even = g.taps == 1;  // and of stride 1 without padding
  for (int d = 0; d < 3; ++d) s->matrix.even &= g.pad[d] == 0 && g.out[d] == g.in[d] && (g.stride[d] == 1 || g.in[d] == 1);
  s->matrix.partition(g.out_rows, g.taps, p.threads());
  s->whole = g.laid_down();
  const bool dense = g.groups == 1 && pitch_of(p.in(0)) == g.c_in;
  s->merge = dense && g.dilation[2] == 1;
  s->merge_whole = dense && s->whole.dilation[2] == 1;
  s->widen = s->merge_whole && s->whole.can_widen() && g.c_in <= kFewChannels && g.taps > 1;
  if (s->widen) p.scratch(s->whole.widened_bytes());
  if (s->whole.kernel[2] == 1 || g.c_in >= kLongTap) p.reads_slice(0);
  p.writes_slice(0);
  p.thread_scratch(s->matrix.scratch_bytes());
  return s->keep_zeros(p, g.c_in * max_of(s->merge ? g.kernel[2] : 1, s->merge_whole ? s->whole.kernel[2] : 1));
}

Status prepare(Prepare& p) { return prepare_with(p, nullptr); }
Status prepare_compressed(Prepare& p) { return prepare_with(p, &compressed(p.isa())); }

// The rows of a block from `row` on, whose first pixel is at x where they are even.
void fill(const State& s, const Geometry& g, bool merge, const Lines& in, i64 group, const f32* x, i64 row, Matrix::Rows* block) {
  if (s.matrix.even) {
    fill_even(x, in.pixel, s.per_group_in, block);
  } else {
    fill_rows(g, in, {merge, group * s.per_group_in, s.per_group_in}, s.zeros, row, block);
  }
}

void run(Run& r) {
  const State& s = r.state<State>();
  const Geometry& g = s.whole;
  if (g.out_rows == 0) return;
  Lines in = Lines::of(r.in(0));
  in.stride = g.in[2] * in.pixel;
  if (s.widen) in = widen(r, g, in.line(0), static_cast<f32*>(r.scratch()));
  for (i64 group = 0; group < g.groups; ++group) {
    const i64 column = s.column(group);
    f32* out = r.out(0).as<f32>() + column;
    const f32* x = in.line(0) + group * s.per_group_in;
    const i64 pixel = in.pixel / i64{sizeof(f32)};
    s.matrix.multiply(r, s.weights(r, group), s.bias(r, group), out, pitch_of(r.out(0)), 0, column,
                      [&](i64 row, Matrix::Rows* block) { fill(s, g, s.merge_whole, in, group, x + row * pixel, row, block); });
  }
}

bool can_stream(const void* state) {
  const Geometry& g = static_cast<const State*>(state)->g;
  return g.groups == 1 && g.streams();
}

void beside(const void* state, i64* left, i64* right, u8*) { static_cast<const State*>(state)->g.borders(left, right); }

u64 stream_scratch(const void* state, i64) { return static_cast<const State*>(state)->matrix.scratch_bytes(); }

void run_lines(const Run& r, const Lines& in, const Lines& out, i64 n, Span lines, void* scratch) {
  const State& s = r.state<State>();
  const Geometry& g = s.g;
  const i64 width = g.out[2], pixel = in.pixel / i64{sizeof(f32)};
  for (i64 y = lines.first, step; y < lines.last; y += step) {
    // Lines that follow one another are one range: none do where there are columns beside them; those that are read, up to
    // the end of their ring where it matters.
    step = out.stride == width * out.pixel ? lines.last - y : 1;
    if (s.matrix.even) step = in.stride == width * in.pixel ? min_of(step, in.ring - y % in.ring) : 1;
    const Matrix::Part part = {0, step * width, 0, g.c_out};
    const f32* x = in.line(y);
    s.matrix.range(r, s.weights(r, 0), r.in(2).as<const f32>(), out.line(y), out.pixel / i64{sizeof(f32)}, (n * g.out[1] + y) * width, 0,
                   part, scratch, [&](i64 row, Matrix::Rows* block) {
                     fill(s, g, s.merge, in, 0, x + row * pixel, s.matrix.even ? 0 : y * width + row, block);
                   });
  }
}

constexpr StreamOps kStream = {can_stream, conv_reach<State>, beside, stream_scratch, run_lines};

}  // namespace

extern const OpDef kConv, kCompressedConv;
const OpDef kConv = {"Conv", sizeof(ConvParams), prepare, run, &kStream};
const OpDef kCompressedConv = {"CompressedConv", sizeof(ConvParams), prepare_compressed, run, &kStream};

}  // namespace edgeort
