// QStemConv: a convolution of few channels. The taps of each output are gathered side by side, so that a sum has one run of
// k without gaps, and a line's outputs are the rows of one product.
#include <string.h>

#include "../../core/stream.h"
#include "../conv/geometry.h"
#include "matrix.h"

namespace edgeort {
namespace {

constexpr i64 kChunk = 16;  // bytes that are copied at once

// A kernel row of an output line: where column 0 of the first output's is.
struct Row {
  const q8* from;
  i64 step;  // bytes from output to output; 0 where the row is outside the image
};

struct State {
  Geometry g;   // a column lies down
  bool stands;  // in the tensor, whose lines are then not those of `g`
  QMatrix matrix;
  i64 width;          // bytes of a gathered row: whole quads
  i64 chunks;         // of a kernel row
  const q8* outside;  // so many of what padding reads
  i64 rows() const { return g.kernel[0] * g.kernel[1]; }

  u64 gathered_bytes() const { return static_cast<u64>(g.out[2] * width + chunks * kChunk); }
  u64 scratch_bytes() const { return static_cast<u64>(rows()) * sizeof(Row) + gathered_bytes() + kAlignment + matrix.scratch_bytes(); }
};

Status prepare(Prepare& p) {
  const auto& params = p.params<QConvParams>();
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  Geometry& g = s->g;
  EDGEORT_TRY(conv_geometry(p, params.conv, &g, false, DType::q8, params.quantisation.quantised ? DType::q8 : DType::f32));
  if (g.groups != 1) return p.fail("has groups");
  const Geometry lying = g.laid_down();
  s->stands = lying.in[1] != g.in[1] || lying.out[1] != g.out[1];  // a pixel may be a column by its pads
  g = lying;
  if (g.taps > i64{1} << 20 || g.c_in > 64) return p.fail("the kernel is too large");
  const i64 quads = ceil_div(g.taps * g.c_in, kDepth);
  QMatrix& m = s->matrix;
  EDGEORT_TRY(m.bind(p, params.quantisation, params.conv.epilogue, sizeof(params), 1, g.c_out, quads));
  EDGEORT_TRY(m.read_steps(p, quads * kDepth));
  m.even = true;
  m.partition(g.out[2], 1, 1);
  EDGEORT_TRY(m.put_in_order(p, 1, quads, false));
  s->width = quads * kDepth;
  s->chunks = ceil_div(g.kernel[2] * g.c_in, kChunk);
  void* outside = p.keep(static_cast<u64>(s->chunks * kChunk));
  if (!outside) return p.out_of_memory();
  memset(outside, m.outside, static_cast<size_t>(s->chunks * kChunk));
  s->outside = static_cast<const q8*>(outside);
  p.reads_slice(0);
  p.writes_slice(0);
  p.thread_scratch(s->scratch_bytes());
  return Status::ok;
}

// Gathers the kernels of an output line, [output][tap][channel].
struct Gather {
  const State& s;
  const Lines& in;
  Row* rows;
  q8* to;

  // Where the kernel rows of output line `line`, counted through all images, are.
  void find(i64 line) const {
    const Geometry& g = s.g;
    for (i64 k = 0; k < s.rows(); ++k) {
      const q8* from = input_line<q8>(g, in, line, k / g.kernel[1], k % g.kernel[1]);
      rows[k] = from ? Row{from - g.pad[2] * in.pixel, g.stride[2] * in.pixel} : Row{s.outside, 0};
    }
  }

  // Outputs [first, last) whose kernel rows may reach beyond dense lines; the rows are those of output `origin`.
  void edges(i64 first, i64 last, i64 origin) const {
    const Geometry& g = s.g;
    const auto copy = [](q8* at, const q8* from, i64 n) { memcpy(at, from, static_cast<size_t>(n)); };
    const auto fill = [this](q8* at, i64 n) { memset(at, s.matrix.outside, static_cast<size_t>(n)); };
    for (i64 x = first; x < last; ++x) {
      q8* at = to + x * s.width;
      const i64 taps = g.kernel[2], column = x * g.stride[2] - g.pad[2], c = g.c_in;
      const i64 begin = max_of(0, min_of(taps, -in.left - column)), end = max_of(begin, min_of(taps, g.in[2] + in.right - column));
      for (Row* row = rows; row < rows + s.rows(); ++row, at += taps * c) {
        if (!row->step) {
          fill(at, taps * c);
          continue;
        }
        fill(at, begin * c);
        copy(at + begin * c, row->from + (x - origin) * row->step + begin * c, (end - begin) * c);
        fill(at + end * c, (taps - end) * c);
      }
    }
  }

  // The same of any lines, tap by tap.
  void taps(i64 first, i64 last, i64 origin) const {
    const Geometry& g = s.g;
    for (i64 x = first; x < last; ++x) {
      q8* at = to + x * s.width;
      for (i64 k = 0; k < g.taps; ++k, at += g.c_in) {
        const Row& row = rows[k / g.kernel[2]];
        const i64 t = k % g.kernel[2] * g.dilation[2], column = x * g.stride[2] - g.pad[2] + t;
        const bool here = row.step && column >= -in.left && column < g.in[2] + in.right;
        for (i64 c = 0; c < g.c_in; ++c) at[c] = here ? row.from[(x - origin) * row.step + t * in.pixel + c] : s.matrix.outside;
      }
    }
  }

  // Outputs [first, last), whose kernel rows lie inside dense lines, in chunks: 0 stands for any number. What a chunk copies too
  // much is written again by the kernel row or the output to come. Advances the rows to output `last`.
  template <i64 kChunks>
  void whole_rows(i64 first, i64 last) const {
    const i64 bytes = s.g.kernel[2] * s.g.c_in, width = s.width, chunks = kChunks ? kChunks : s.chunks;
    Row* const end = rows + s.rows();
    for (Row* row = rows; row < end; ++row) row->from += first * row->step;
    q8* output = to + first * width;
    for (i64 x = first; x < last; ++x, output += width) {
      q8* at = output;
      for (Row* row = rows; row < end; ++row, at += bytes) {
        const q8* from = row->from;
        row->from += row->step;
        for (i64 i = 0; i < chunks; ++i) memcpy(at + i * kChunk, from + i * kChunk, kChunk);
      }
    }
  }

  void line(i64 y) const {
    const Geometry& g = s.g;
    find(y);
    const i64 room = (g.in[2] + in.right + g.pad[2]) * g.c_in - s.chunks * kChunk, step = g.stride[2] * g.c_in;
    if (g.dilation[2] > 1 || in.pixel != g.c_in) return taps(0, g.out[2], 0);
    const i64 first = min_of(g.out[2], ceil_div(max_of(0, g.pad[2] - in.left), g.stride[2]));
    const i64 last = room >= 0 ? max_of(first, min_of(g.out[2], room / step + 1)) : first;
    edges(0, first, 0);
    s.chunks == 1 ? whole_rows<1>(first, last) : whole_rows<0>(first, last);
    edges(last, g.out[2], last);
  }
};

// Output lines, counted through the images of `in`. The epilogue's space begins `row` pixels before line 0.
void compute(const Run& r, const Lines& in, const Lines& out, Span lines, i64 row, void* scratch) {
  const State& s = r.state<State>();
  Row* rows = static_cast<Row*>(scratch);
  q8* gathered = reinterpret_cast<q8*>(rows + s.rows());
  u8* rest =
      reinterpret_cast<u8*>((reinterpret_cast<uintptr_t>(gathered) + s.gathered_bytes() + kAlignment - 1) & ~uintptr_t{kAlignment - 1});
  const Gather gather = {s, in, rows, gathered};
  for (i64 y = lines.first; y < lines.last; ++y) {
    gather.line(y);
    const QMatrix::Place to = {out.line<char>(y), out.pixel / s.matrix.element(), 0, row + y * s.g.out[2], 0};
    s.matrix.range(r, to, {0, s.g.out[2], 0, s.g.c_out}, rest, [&](i64 first, QMatrix::Rows* block) {
      for (i64 m = 0; m < block->rows; ++m) block->pointers[m] = gathered + (first + m) * s.width;
      block->taps = 1;
      block->kc = s.width;
      block->step = block->rows * s.width;
    });
  }
}

void run(Run& r) {
  const Geometry& g = r.state<State>().g;
  Lines in = Lines::of(r.in(0)), out = Lines::of(r.out(0));
  in.stride = g.in[2] * in.pixel;
  out.stride = g.out[2] * out.pixel;
  const i64 lines = g.out[2] ? g.out_rows / g.out[2] : 0;
  r.ranges(lines, max_of(1, 8192 / (g.out[2] * g.c_out + 1)),
           [&](i64 begin, i64 end, int thread) { compute(r, in, out, {begin, end}, 0, r.thread_scratch(thread)); });
}

bool can_stream(const void* state) {
  const State& s = *static_cast<const State*>(state);
  return !s.stands && s.g.streams();
}

void beside(const void* state, i64* left, i64* right, u8* byte) {
  const State& s = *static_cast<const State*>(state);
  s.g.borders(left, right);
  *byte = static_cast<u8>(s.matrix.outside);
}

u64 stream_scratch(const void* state, i64) { return static_cast<const State*>(state)->scratch_bytes(); }

void run_lines(const Run& r, const Lines& in, const Lines& out, i64 n, Span lines, void* scratch) {
  const Geometry& g = r.state<State>().g;
  compute(r, in, out, lines, n * g.out[1] * g.out[2], scratch);
}

constexpr StreamOps kStream = {can_stream, conv_reach<State>, beside, stream_scratch, run_lines};

}  // namespace

extern const OpDef kQStemConv;
const OpDef kQStemConv = {"QStemConv", sizeof(QConvParams), prepare, run, &kStream};

}  // namespace edgeort
