// ConvTranspose: each output position gathers the kernel positions that reach it, in order. Positions of the same phase
// (coordinate modulo stride) have the same ones, so that a block of rows is taken from one phase.
#include "product.h"

namespace edgeort {
namespace {

struct State : Product {
  i64 width, channels;  // of the output
  i64 step;             // outputs along x for each row of the products
  i64 piece;            // rows that a task computes of each phase of a line
  bool program;         // runs over a piece of a line, when all of its phases and groups are there
};

// With a kernel as wide as its stride every output has one tap along x: an input pixel makes the whole run of outputs, the
// columns of one product. Weights are packed so (lowering/matrix.py, _one_tap_along_x).
Status geometry(Prepare& p, const ConvParams& params, Geometry* g) {
  EDGEORT_TRY(conv_transpose_geometry(p, params, g));
  if (g->groups == 1 && params.kernel[2] == params.stride[2] && params.dilation[2] == 1 && params.pad_begin[2] == 0 &&
      params.pad_end[2] == 0 && params.output_padding[2] == 0 && params.output_shape[2] < 0) {
    g->out[2] = g->in[2];
    g->c_out *= g->kernel[2];
    if (g->c_out > i64{1} << 31) return p.fail("an input pixel makes too many outputs");
    g->taps /= g->kernel[2];
    g->kernel[2] = g->stride[2] = 1;
  }
  return Status::ok;
}

// Elements of a line that the program takes at once.
i64 program_tile(const State& s) { return s.matrix.epilogue.flat ? kProgramTile : s.channels; }

u64 scratch_bytes(const State& s) {
  const u64 product = s.matrix.scratch_bytes(), program = s.program ? s.matrix.epilogue.scratch_bytes(program_tile(s)) : 0;
  return product > program ? product : program;
}

Status prepare(Prepare& p) {
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  EDGEORT_TRY(s->bind(p, geometry));
  const Geometry& g = s->g;
  const Tensor& y = p.out(0);
  s->channels = y.dims[y.rank - 1];
  s->width = y.dims[y.rank - 2];
  s->step = p.params<ConvParams>().stride[2];
  s->program = s->matrix.program;
  s->matrix.program = false;
  s->matrix.even = g.kernel[2] == 1 && g.stride[2] == 1 && g.out[2] == g.in[2] && g.pad[2] == 0;
  // The longest run of one phase along x is the largest product. Few lines are cut, so that every thread has a share.
  const i64 rows = ceil_div(g.out[2], g.stride[2]), lines = max_of(1, g.batch * g.out[0] * g.out[1]);
  s->matrix.partition(rows, g.taps, 1);
  s->piece = max_of(s->matrix.block, ceil_div(rows, p.threads() > 1 ? ceil_div(i64{4} * p.threads(), lines) : 1));
  p.thread_scratch(scratch_bytes(*s));
  return s->keep_zeros(p, s->per_group_in);
}

// The first of positions 0, 1, ... of input dimension d that kernel position k of output coordinates `at`, `at` + stride, ...
// reads; false when it is between them.
bool source(const Geometry& g, int d, i64 at, i64 k, i64* first) {
  const i64 t = at + g.pad[d] - k * g.dilation[d];
  if (g.stride[d] == 1) return *first = t, true;
  *first = t / g.stride[d];
  return t % g.stride[d] == 0;
}

struct Line {
  i64 number;  // of all output lines
  i64 image;   // the first input line of its image
  i64 z, y;
};

// Sets the pointers of rows that read positions `at`, `at` + 1, ... of an input line; false when none is inside.
bool point(const State& s, const f32* line, i64 at, int rows, const f32** pointers) {
  const i64 width = s.g.in[2], step = s.g.c_in;
  const f32* x = line + at * step;
  if (at >= 0 && at + rows <= width) {
    for (int m = 0; m < rows; ++m, x += step) pointers[m] = x;
    return true;
  }
  for (int m = 0; m < rows; ++m, x += step) pointers[m] = at + m >= 0 && at + m < width ? x : s.zeros;
  return at + rows > 0 && at < width;
}

// A block of rows from `first` on: outputs `phase` + row * stride of a line.
void fill(const State& s, const Lines& in, i64 group, const Line& line, i64 phase, i64 first, Matrix::Rows* block) {
  const Geometry& g = s.g;
  block->kc = s.per_group_in;
  block->taps = 0;
  block->step = block->rows * (in.pixel / i64{sizeof(f32)});
  i64 z, y, x;
  for (i64 k0 = 0; k0 < g.kernel[0]; ++k0) {
    if (!source(g, 0, line.z, k0, &z) || z < 0 || z >= g.in[0]) continue;
    for (i64 k1 = 0; k1 < g.kernel[1]; ++k1) {
      if (!source(g, 1, line.y, k1, &y) || y < 0 || y >= g.in[1]) continue;
      const f32* from = in.line(line.image + z * g.in[1] + y) + group * s.per_group_in;
      for (i64 k2 = 0; k2 < g.kernel[2]; ++k2) {
        if (!source(g, 2, phase, k2, &x)) continue;
        if (point(s, from, x + first, block->rows, block->pointers + block->taps * block->rows)) {
          block->offsets[block->taps++] = ((k0 * g.kernel[1] + k1) * g.kernel[2] + k2) * s.per_group_in;
        }
      }
    }
  }
}

// Rows [first, last) of every phase of an output line whose first output is `out`, then the program over all of them.
void run_piece(const Run& r, const State& s, const Lines& in, const Line& line, i64 first, i64 last, f32* out, void* scratch) {
  const Geometry& g = s.g;
  for (i64 group = 0; group < g.groups; ++group) {
    for (i64 phase = 0; phase < min_of(g.stride[2], g.out[2]); ++phase) {
      const i64 rows = ceil_div(g.out[2] - phase, g.stride[2]);
      const Matrix::Part part = {first, min_of(last, rows), 0, s.matrix.n};
      f32* to = out + phase * s.channels + s.column(group);
      s.matrix.range(r, s.weights(r, group), s.bias(r, group), to, s.channels * s.step, 0, 0, part, scratch,
                     [&](i64 row, Matrix::Rows* block) { fill(s, in, group, line, phase, row, block); });
    }
  }
  if (!s.program) return;
  const i64 position = line.number * s.width, tile = program_tile(s);
  const i64 end = min_of(s.width, last * s.step) * s.channels;
  for (i64 i = first * s.step * s.channels; i < end; i += tile) {
    s.matrix.epilogue.run(r, out + i, position + i / s.channels, i % s.channels, min_of(tile, end - i), scratch);
  }
}

void run(Run& r) {
  const State& s = r.state<State>();
  const Geometry& g = s.g;
  const i64 rows = ceil_div(g.out[2], g.stride[2]), pieces = ceil_div(rows, s.piece), lines = g.batch * g.out[0] * g.out[1];
  const Lines in = Lines::of(r.in(0));
  r.parallel(lines * pieces, [&](i64 task, int thread) {
    const i64 number = task / pieces, first = task % pieces * s.piece;
    const i64 image = number / g.out[1] / g.out[0] * g.in[0] * g.in[1];
    const Line line = {number, image, number / g.out[1] % g.out[0], number % g.out[1]};
    f32* out = r.out(0).as<f32>() + number * s.width * s.channels;
    run_piece(r, s, in, line, first, min_of(rows, first + s.piece), out, r.thread_scratch(thread));
  });
}

bool can_stream(const void* state) {
  const Geometry& g = static_cast<const State*>(state)->g;
  return g.kernel[0] == 1 && g.in[0] == 1 && g.out[0] == 1 && g.pad[0] == 0 && g.pad[1] >= 0;
}

// Lines of different phases read different numbers of lines: these are the most that any of them read, so that rings are
// large enough for all.
Span reach(const void* state, Span out) {
  const Geometry& g = static_cast<const State*>(state)->g;
  const i64 window = (g.kernel[1] - 1) * g.dilation[1] + 1, most = ceil_div(window, g.stride[1]);
  const i64 first = (out.first + g.pad[1]) / g.stride[1] + 1 - most;
  return {first, first + most + ceil_div(out.last - 1 - out.first, g.stride[1])};
}

void beside(const void*, i64*, i64*, u8*) {}

u64 stream_scratch(const void* state, i64) { return scratch_bytes(*static_cast<const State*>(state)); }

void run_lines(const Run& r, const Lines& in, const Lines& out, i64 n, Span lines, void* scratch) {
  const State& s = r.state<State>();
  const i64 rows = ceil_div(s.g.out[2], s.g.stride[2]);
  for (i64 y = lines.first; y < lines.last; ++y) {
    run_piece(r, s, in, {n * s.g.out[1] + y, 0, 0, y}, 0, rows, out.line(y), scratch);
  }
}

constexpr StreamOps kStream = {can_stream, reach, beside, stream_scratch, run_lines};

}  // namespace

extern const OpDef kConvTranspose;
const OpDef kConvTranspose = {"ConvTranspose", sizeof(ConvParams), prepare, run, &kStream};

}  // namespace edgeort
