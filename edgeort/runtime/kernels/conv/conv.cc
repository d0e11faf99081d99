// Conv: a matrix product whose rows are pointers into the input, one for each kernel position; no im2col buffer.
#include <string.h>

#include "../../core/stream.h"
#include "product.h"

namespace edgeort {
namespace {

struct State : Product {
  bool merge;  // one tap is a whole kernel row: its pixels are neighbours in memory
  bool widen;  // few channels: a copy of the input with zeros beside its lines lets every kernel row be one tap
};

// A convolution with few input channels has short taps: merging kernel rows needs a copy without borders.
constexpr i64 kFewChannels = 8;
// Below this, merging kernel rows is worth more than reading a slice, whose pixels are not neighbours.
constexpr i64 kLongTap = 64;

Status prepare(Prepare& p) {
  auto* s = p.state<State>();
  if (!s) return p.fail("out of memory");
  EDGEORT_TRY(s->bind(p, conv_geometry));
  const Geometry& g = s->g;
  s->matrix.even = g.taps == 1;  // and of stride 1 without padding
  for (int d = 0; d < 3; ++d) s->matrix.even &= g.pad[d] == 0 && g.out[d] == g.in[d] && (g.stride[d] == 1 || g.in[d] == 1);
  s->matrix.partition(g.out_rows, g.taps, p.threads());
  s->merge = g.groups == 1 && g.dilation[2] == 1 && pitch_of(p.in(0)) == g.c_in;
  s->widen = s->merge && g.can_widen() && g.c_in <= kFewChannels && g.taps > 1;
  if (s->widen) p.scratch(g.widened_bytes());
  if (g.kernel[2] == 1 || g.c_in >= kLongTap) p.reads_slice(0);
  p.writes_slice(0);
  p.thread_scratch(s->matrix.scratch_bytes());
  return s->keep_zeros(p, g.c_in * (s->merge ? g.kernel[2] : 1));
}

// Rows of a block that lie in one output line.
struct Piece {
  i64 row, count;
  i64 n, z, y, x;  // where the kernel of the first begins
};

// Cuts a block at the ends of output lines; true when no row's kernel leaves the lines of `in` along x.
bool cut(const Geometry& g, const Lines& in, i64 row, int rows, Piece* pieces, int* count) {
  bool inside = true;
  *count = 0;
  for (i64 m = 0; m < rows;) {
    i64 n, at[3];
    g.locate(row + m, &n, at);
    Piece& piece = pieces[(*count)++];
    piece = {m,
             min_of(rows - m, g.out[2] - at[2]),
             n,
             at[0] * g.stride[0] - g.pad[0],
             at[1] * g.stride[1] - g.pad[1],
             at[2] * g.stride[2] - g.pad[2]};
    const i64 last = piece.x + (piece.count - 1) * g.stride[2] + (g.kernel[2] - 1) * g.dilation[2];
    inside &= piece.x >= -in.left && last < g.in[2] + in.right;
    m += piece.count;
  }
  return inside;
}

// Sets the pointers of a block: a tap for each kernel row when all of its pixels are inside along x, else a tap for each
// kernel position; positions outside the image read zeros, and taps that are outside for the whole block are left out.
void fill(const State& s, const Lines& in, i64 group, i64 row, Matrix::Rows* block) {
  const Geometry& g = s.g;
  const i64 c = s.per_group_in;
  Piece pieces[kMaxTileRows];
  int count;
  const bool inside = cut(g, in, row, block->rows, pieces, &count);
  const bool merge = inside && s.merge;
  const i64 steps = merge ? 1 : g.kernel[2];
  block->kc = merge ? g.kernel[2] * c : c;
  block->taps = 0;
  for (i64 k = 0; k < g.kernel[0] * g.kernel[1] * steps; ++k) {
    const i64 k2 = k % steps, k1 = k / steps % g.kernel[1], k0 = k / steps / g.kernel[1];
    const f32** pointers = block->pointers + block->taps * block->rows;
    bool any = false;
    for (int i = 0; i < count; ++i) {
      const Piece& p = pieces[i];
      const i64 z = p.z + k0 * g.dilation[0], y = p.y + k1 * g.dilation[1];
      const bool image = z >= 0 && z < g.in[0] && y >= 0 && y < g.in[1];
      const f32* line = image ? in.line((p.n * g.in[0] + z) * g.in[1] + y) + group * c : nullptr;
      i64 x = p.x + k2 * g.dilation[2];
      for (i64 m = p.row; m < p.row + p.count; ++m, x += g.stride[2]) {
        const bool here = image && (inside || (x >= -in.left && x < g.in[2] + in.right));
        pointers[m] = here ? line + x * in.pixel : s.zeros;
        any |= here;
      }
    }
    if (any) block->offsets[block->taps++] = ((k0 * g.kernel[1] + k1) * g.kernel[2] + k2) * c;
  }
}

// A 1x1 convolution of stride 1: row m is pixel m, the first of which is at x.
void fill_dense(const State& s, const f32* x, i64 pixel, Matrix::Rows* block) {
  for (int m = 0; m < block->rows; ++m) block->pointers[m] = x + m * pixel;
  block->offsets[0] = 0;
  block->taps = 1;
  block->kc = s.per_group_in;
  block->step = block->rows * pixel;
}

void run(Run& r) {
  const State& s = r.state<State>();
  const Geometry& g = s.g;
  if (g.out_rows == 0) return;
  Lines in = Lines::of(r.in(0));
  if (s.widen) in = widen(r, g, in.base, static_cast<f32*>(r.scratch()));
  for (i64 group = 0; group < g.groups; ++group) {
    const i64 column = s.column(group);
    f32* out = r.out(0).as<f32>() + column;
    const f32* x = in.base + group * s.per_group_in;
    s.matrix.multiply(r, s.panels(r, group), s.bias(r, group), out, pitch_of(r.out(0)), 0, column, [&](i64 row, Matrix::Rows* block) {
      s.matrix.even ? fill_dense(s, x + row * in.pixel, in.pixel, block) : fill(s, in, group, row, block);
    });
  }
}

bool can_stream(const void* state) {
  const State& s = *static_cast<const State*>(state);
  const Geometry& g = s.g;
  return g.groups == 1 && g.kernel[0] == 1 && g.in[0] == 1 && g.pad[0] == 0 && g.stride[0] == 1 && g.narrow_borders();
}

void beside(const void* state, i64* left, i64* right) {
  const State& s = *static_cast<const State*>(state);
  *left = max_of(0, s.g.pad[2]);
  *right = s.g.beside();
}

u64 stream_scratch(const void* state, i64) { return static_cast<const State*>(state)->matrix.scratch_bytes(); }

void run_lines(const Run& r, const Lines& in, const Lines& out, i64 n, Span lines, void* scratch) {
  const State& s = r.state<State>();
  const Geometry& g = s.g;
  const i64 width = g.out[2];
  for (i64 y = lines.first, step; y < lines.last; y += step) {
    // Lines that follow one another are one range: none do where there are columns beside them; those that are read, up to
    // the end of their ring where it matters.
    step = out.stride == width * out.pixel ? lines.last - y : 1;
    if (s.matrix.even) step = in.stride == width * in.pixel ? min_of(step, in.ring - y % in.ring) : 1;
    const Matrix::Part part = {0, step * width, 0, g.c_out};
    const f32* x = in.line(y);
    s.matrix.range(r, r.in(1).as<const f32>(), r.in(2).as<const f32>(), out.line(y), out.pixel, (n * g.out[1] + y) * width, 0, part,
                   scratch, [&](i64 row, Matrix::Rows* block) {
                     s.matrix.even ? fill_dense(s, x + row * in.pixel, in.pixel, block) : fill(s, in, 0, y * width + row, block);
                   });
  }
}

constexpr StreamOps kStream = {can_stream, conv_reach<State>, beside, stream_scratch, run_lines};

}  // namespace

extern const OpDef kConv;
const OpDef kConv = {"Conv", sizeof(ConvParams), prepare, run, &kStream};

}  // namespace edgeort
