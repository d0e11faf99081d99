// QConv: a product whose rows are pointers into the input, one for each kernel position; no im2col buffer.
#include <string.h>

#include "../../core/stream.h"
#include "../conv/rows.h"
#include "matrix.h"

namespace edgeort {
namespace {

struct State {
  Geometry g;
  QMatrix matrix;                   // of one group
  i64 per_group_in, per_group_out;  // channels
  Geometry whole;                   // of all lines at once: a column lies down
  bool merge, merge_whole;          // kernel rows, whose quads then are whole
  const q8* outside;                // what padding reads: as much as a tap does
};

Status prepare(Prepare& p) {
  const auto& params = p.params<QConvParams>();
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  Geometry& g = s->g;
  QMatrix& m = s->matrix;
  EDGEORT_TRY(conv_geometry(p, params.conv, &g, false, DType::q8, params.quantisation.quantised ? DType::q8 : DType::f32));
  s->per_group_in = g.c_in / g.groups;
  s->per_group_out = g.c_out / g.groups;
  const i64 quads = g.taps * ceil_div(s->per_group_in, kDepth);
  if (quads > i64{1} << 25) return p.fail("the kernel is too large");
  EDGEORT_TRY(m.bind(p, params.quantisation, params.conv.epilogue, sizeof(params), g.groups, s->per_group_out, quads));
  if (g.taps == 1) EDGEORT_TRY(m.read_steps(p, s->per_group_in));
  m.even = g.taps == 1;  // and of stride 1 without padding
  for (int d = 0; d < 3; ++d) m.even &= g.pad[d] == 0 && g.out[d] == g.in[d] && (g.stride[d] == 1 || g.in[d] == 1);
  m.partition(g.out_rows, g.taps, p.threads());
  EDGEORT_TRY(m.put_in_order(p, g.groups, ceil_div(s->per_group_in, kDepth), s->per_group_in % kDepth != 0));
  s->whole = g.laid_down();
  const bool dense = g.groups == 1 && pitch_of(p.in(0)) == g.c_in && g.c_in % kDepth == 0;
  s->merge = dense && g.dilation[2] == 1 && g.kernel[2] > 1;
  s->merge_whole = dense && s->whole.dilation[2] == 1 && s->whole.kernel[2] > 1;
  p.reads_slice(0);
  p.writes_slice(0);
  p.thread_scratch(m.scratch_bytes());
  const i64 bytes = g.c_in * max_of(s->merge ? g.kernel[2] : 1, s->merge_whole ? s->whole.kernel[2] : 1);
  void* outside = p.keep(static_cast<u64>(bytes));
  if (!outside) return p.out_of_memory();
  memset(outside, m.outside, static_cast<size_t>(bytes));
  s->outside = static_cast<const q8*>(outside);
  return Status::ok;
}

// The rows of a block from `row` on, whose first pixel is at x where they are even.
void fill(const State& s, const Geometry& g, bool merge, const Lines& in, i64 group, const q8* x, i64 row, QMatrix::Rows* block) {
  if (s.matrix.even) {
    fill_even(x, in.pixel, s.per_group_in, block);
  } else {
    fill_rows(g, in, {merge, group * s.per_group_in, s.per_group_in}, s.outside, row, block);
  }
}

void run(Run& r) {
  const State& s = r.state<State>();
  if (s.g.out_rows == 0) return;
  Lines in = Lines::of(r.in(0));
  in.stride = s.whole.in[2] * in.pixel;
  for (i64 group = 0; group < s.g.groups; ++group) {
    const i64 column = group * s.per_group_out;
    const q8* x = in.line<const q8>(0) + group * s.per_group_in;
    s.matrix.multiply(r, {r.out(0).as<char>() + column * s.matrix.element(), pitch_of(r.out(0)), group, 0, column},
                      [&](i64 row, QMatrix::Rows* block) { fill(s, s.whole, s.merge_whole, in, group, x + row * in.pixel, row, block); });
  }
}

bool can_stream(const void* state) {
  const Geometry& g = static_cast<const State*>(state)->g;
  return g.groups == 1 && g.streams();
}

void beside(const void* state, i64* left, i64* right, u8* byte) {
  const State& s = *static_cast<const State*>(state);
  s.g.borders(left, right);
  *byte = static_cast<u8>(s.matrix.outside);
}

u64 stream_scratch(const void* state, i64) { return static_cast<const State*>(state)->matrix.scratch_bytes(); }

void run_lines(const Run& r, const Lines& in, const Lines& out, i64 n, Span lines, void* scratch) {
  const State& s = r.state<State>();
  const i64 width = s.g.out[2];
  for (i64 y = lines.first, step; y < lines.last; y += step) {
    // Lines that follow one another are one range: none do where there are columns beside them; those that are read, up to
    // the end of their ring where it matters.
    step = out.stride == width * out.pixel ? lines.last - y : 1;
    if (s.matrix.even) step = in.stride == width * in.pixel ? min_of(step, in.ring - y % in.ring) : 1;
    const q8* x = in.line<const q8>(y);
    const QMatrix::Place to = {out.line<char>(y), out.pixel / s.matrix.element(), 0, (n * s.g.out[1] + y) * width, 0};
    s.matrix.range(r, to, {0, step * width, 0, s.g.c_out}, scratch,
                   [&](i64 row, QMatrix::Rows* block) { fill(s, s.g, s.merge, in, 0, x + row * in.pixel, y * width + row, block); });
  }
}

constexpr StreamOps kStream = {can_stream, conv_reach<State>, beside, stream_scratch, run_lines};

}  // namespace

extern const OpDef kQConv;
const OpDef kQConv = {"QConv", sizeof(QConvParams), prepare, run, &kStream};

}  // namespace edgeort
