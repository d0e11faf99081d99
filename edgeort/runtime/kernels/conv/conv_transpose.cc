// ConvTranspose: each output position gathers the kernel positions that reach it, in order. Positions of the same phase
// (coordinate modulo stride) have the same ones, so that a block of rows is taken from one phase.
#include "../gemm/matrix.h"
#include "geometry.h"

namespace edgeort {
namespace {

struct State {
  Geometry g;
  Matrix matrix;
  i64 per_group_in, per_group_out;
  const f32* zeros;
};

Status prepare(Prepare& p) {
  const auto& params = p.params<ConvParams>();
  auto* s = p.state<State>();
  if (!s) return p.fail("out of memory");
  Geometry& g = s->g;
  EDGEORT_TRY(conv_transpose_geometry(p, params, &g));
  s->per_group_in = g.c_in / g.groups;
  s->per_group_out = g.c_out / g.groups;
  const i64 k = g.taps * s->per_group_in, padded_out = ceil_div(s->per_group_out, kPanel) * kPanel;
  if (k > i64{1} << 27) return p.fail("the kernel is too large");
  EDGEORT_TRY(check_weights(p, g.groups * k * padded_out, g.groups * padded_out));
  const Tensor& y = p.out(0);
  EDGEORT_TRY(s->matrix.bind(p, params.epilogue, sizeof(params), y.dims, y.rank - 1, g.c_out, k));
  s->matrix.n = s->per_group_out;
  s->zeros = static_cast<const f32*>(p.keep(static_cast<size_t>(s->per_group_in) * sizeof(f32)));
  if (!s->zeros) return p.fail("out of memory");
  s->matrix.row_step = g.stride[2];
  // The longest run of one phase along x is the largest product.
  s->matrix.partition(ceil_div(g.out[2], g.stride[2]), g.taps, p.threads());
  p.thread_scratch(s->matrix.scratch_bytes());
  return Status::ok;
}

// The input coordinate that kernel position k of output coordinate `at` reads, or -1.
i64 source(const Geometry& g, int d, i64 at, i64 k) {
  const i64 t = at + g.pad[d] - k * g.dilation[d];
  return t >= 0 && t % g.stride[d] == 0 && t / g.stride[d] < g.in[d] ? t / g.stride[d] : -1;
}

struct Line {
  i64 n, z, y, phase;  // output line, and the first of its positions at `phase`, `phase` + stride, ...
};

void fill(const State& s, const f32* x, i64 group, const Line& line, i64 first, Matrix::Rows* block) {
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

void run(Run& r) {
  const State& s = r.state<State>();
  const Geometry& g = s.g;
  const i64 padded_out = ceil_div(s.per_group_out, kPanel) * kPanel, k = g.taps * s.per_group_in;
  const i64 lines = g.batch * g.out[0] * g.out[1];
  for (i64 i = 0; i < g.groups * lines * g.stride[2]; ++i) {
    const i64 group = i % g.groups, phase = i / g.groups % g.stride[2], number = i / g.groups / g.stride[2];
    if (phase >= g.out[2]) continue;
    const Line line = {number / g.out[1] / g.out[0], number / g.out[1] % g.out[0], number % g.out[1], phase};
    Matrix matrix = s.matrix;
    matrix.rows = (g.out[2] - phase + g.stride[2] - 1) / g.stride[2];
    const i64 column = group * s.per_group_out, first = number * g.out[2] + phase;
    f32* out = r.out(0).as<f32>() + first * g.c_out + column;
    matrix.multiply(r, r.in(1).as<const f32>() + group * k * padded_out, r.in(2).as<const f32>() + group * padded_out, out,
                    g.c_out * g.stride[2], first, column,
                    [&](i64 row, Matrix::Rows* block) { fill(s, r.in(0).as<const f32>(), group, line, row, block); });
  }
}

}  // namespace

extern const OpDef kConvTranspose;
const OpDef kConvTranspose = {"ConvTranspose", sizeof(ConvParams), prepare, run};

}  // namespace edgeort
