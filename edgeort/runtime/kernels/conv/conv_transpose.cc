// ConvTranspose: each output position gathers the kernel positions that reach it, in order. Positions of the same phase
// (coordinate modulo stride) have the same ones, so that a block of rows is taken from one phase.
#include "product.h"

namespace edgeort {
namespace {

Status prepare(Prepare& p) {
  auto* s = p.state<Product>();
  if (!s) return p.fail("out of memory");
  EDGEORT_TRY(s->bind(p, conv_transpose_geometry));
  s->matrix.row_step = s->g.stride[2];
  // The longest run of one phase along x is the largest product.
  s->matrix.partition(ceil_div(s->g.out[2], s->g.stride[2]), s->g.taps, p.threads());
  p.thread_scratch(s->matrix.scratch_bytes());
  return s->keep_zeros(p, s->per_group_in);
}

// The input coordinate that kernel position k of output coordinate `at` reads, or -1.
i64 source(const Geometry& g, int d, i64 at, i64 k) {
  const i64 t = at + g.pad[d] - k * g.dilation[d];
  return t >= 0 && t % g.stride[d] == 0 && t / g.stride[d] < g.in[d] ? t / g.stride[d] : -1;
}

struct Line {
  i64 n, z, y, phase;  // output line, and the first of its positions at `phase`, `phase` + stride, ...
};

void fill(const Product& s, const f32* x, i64 group, const Line& line, i64 first, Matrix::Rows* block) {
  const Geometry& g = s.g;
  const i64 c = s.per_group_in;
  block->kc = c;
  block->taps = 0;
  for (i64 k0 = 0; k0 < g.kernel[0]; ++k0) {
    const i64 z = source(g, 0, line.z, k0);
    if (z < 0) continue;
    for (i64 k1 = 0; k1 < g.kernel[1]; ++k1) {
      const i64 y = source(g, 1, line.y, k1);
      if (y < 0) continue;
      const f32* row = x + ((line.n * g.in[0] + z) * g.in[1] + y) * g.in[2] * g.c_in + group * c;
      for (i64 k2 = 0; k2 < g.kernel[2]; ++k2) {
        const f32** pointers = block->pointers + block->taps * block->rows;
        bool any = false;
        for (int m = 0; m < block->rows; ++m) {
          const i64 at = source(g, 2, line.phase + (first + m) * g.stride[2], k2);
          pointers[m] = at < 0 ? s.zeros : row + at * g.c_in;
          any |= at >= 0;
        }
        if (any) block->offsets[block->taps++] = ((k0 * g.kernel[1] + k1) * g.kernel[2] + k2) * c;
      }
    }
  }
}

// All of one phase of an output line, one group's channels: on all threads, or on `thread` alone.
void run_phase(const Run& r, const Product& s, i64 number, i64 phase, i64 group, int thread) {
  const Geometry& g = s.g;
  const Line line = {number / g.out[1] / g.out[0], number / g.out[1] % g.out[0], number % g.out[1], phase};
  Matrix matrix = s.matrix;
  matrix.rows = ceil_div(g.out[2] - phase, g.stride[2]);
  const i64 column = s.column(group), first = number * g.out[2] + phase, stride = g.c_out * g.stride[2];
  f32* out = r.out(0).as<f32>() + first * g.c_out + column;
  const f32 *panels = s.panels(r, group), *bias = s.bias(r, group), *x = r.in(0).as<const f32>();
  const auto set = [&](i64 row, Matrix::Rows* block) { fill(s, x, group, line, row, block); };
  if (thread < 0) {
    matrix.multiply(r, panels, bias, out, stride, first, column, set);
  } else {
    matrix.range(r, panels, bias, out, stride, first, column, {0, matrix.rows, 0, matrix.n}, r.thread_scratch(thread), set);
  }
}

void run(Run& r) {
  const Product& s = r.state<Product>();
  const Geometry& g = s.g;
  const i64 phases = min_of(g.stride[2], g.out[2]), runs = g.groups * phases * g.batch * g.out[0] * g.out[1];
  const auto one = [&](i64 i, int thread) { run_phase(r, s, i / g.groups / phases, i / g.groups % phases, i % g.groups, thread); };
  // Few long runs share the threads one after the other; of many, each thread takes its own.
  if (r.threads() > 1 && runs >= 4 * r.threads()) return r.parallel(runs, one);
  for (i64 i = 0; i < runs; ++i) one(i, -1);
}

}  // namespace

extern const OpDef kConvTranspose;
const OpDef kConvTranspose = {"ConvTranspose", sizeof(ConvParams), prepare, run};

}  // namespace edgeort
