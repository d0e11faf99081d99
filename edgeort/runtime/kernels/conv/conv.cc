// Conv: a matrix product whose rows are pointers into the input, one for each kernel position; no im2col buffer.
#include <string.h>

#include "../gemm/matrix.h"
#include "geometry.h"

namespace edgeort {
namespace {

struct State {
  Geometry g;
  Matrix matrix;
  i64 per_group_in, per_group_out;
  bool dense;        // 1x1, stride 1, no padding
  bool merge;        // one tap is a whole kernel row: its pixels are neighbours in memory
  bool pad_copy;     // few channels: a padded copy of the input lets every kernel row be one tap
  i64 padded[3];     // dimensions of that copy
  const f32* zeros;  // what padding reads
};

// A convolution with few input channels has short taps: merging kernel rows needs a copy without borders.
constexpr i64 kFewChannels = 8;

Status prepare(Prepare& p) {
  const auto& params = p.params<ConvParams>();
  auto* s = p.state<State>();
  if (!s) return p.fail("out of memory");
  Geometry& g = s->g;
  EDGEORT_TRY(conv_geometry(p, params, &g));
  s->per_group_in = g.c_in / g.groups;
  s->per_group_out = g.c_out / g.groups;
  const i64 k = g.taps * s->per_group_in, padded_out = ceil_div(s->per_group_out, kPanel) * kPanel;
  if (k > i64{1} << 27) return p.fail("the kernel is too large");
  EDGEORT_TRY(check_weights(p, g.groups * k * padded_out, g.groups * padded_out));
  const Tensor& y = p.out(0);
  EDGEORT_TRY(s->matrix.bind(p, params.epilogue, sizeof(params), y.dims, y.rank - 1, g.c_out, k));
  s->matrix.n = s->per_group_out;
  s->matrix.partition(g.out_rows, g.taps, p.threads());
  s->dense = g.taps == 1 && g.out_rows == g.batch * g.in[0] * g.in[1] * g.in[2] && g.pad[0] == 0 && g.pad[1] == 0 && g.pad[2] == 0;
  s->merge = g.groups == 1 && g.dilation[2] == 1;
  bool pads = false;
  for (int d = 0; d < 3; ++d) {
    // The copy reaches as far as the last output reads; unread rows at the end of the input are left out.
    s->padded[d] = (g.out[d] - 1) * g.stride[d] + (g.kernel[d] - 1) * g.dilation[d] + 1;
    pads |= g.pad[d] > 0 || s->padded[d] - g.pad[d] > g.in[d];
  }
  s->pad_copy = s->merge && pads && g.c_in <= kFewChannels && g.taps > 1;
  if (s->pad_copy) p.scratch(static_cast<size_t>(g.batch * s->padded[0] * s->padded[1] * s->padded[2] * g.c_in) * sizeof(f32));
  s->zeros = static_cast<const f32*>(p.keep(static_cast<size_t>(g.c_in * (s->merge ? g.kernel[2] : 1)) * sizeof(f32)));
  if (!s->zeros) return p.fail("out of memory");
  p.thread_scratch(s->matrix.scratch_bytes());
  return Status::ok;
}

// The input with its padding written out.
void pad(const Run& r, const State& s, const f32* x, f32* out) {
  const Geometry& g = s.g;
  const i64 rows = g.batch * s.padded[0] * s.padded[1], width = s.padded[2] * g.c_in;
  const i64 left = min_of(g.pad[2], s.padded[2]) * g.c_in, copied = max_of(0, min_of(g.in[2] * g.c_in, width - left));
  r.ranges(rows, max_of(1, 8192 / (width + 1)), [&](i64 begin, i64 end, int) {
    for (i64 row = begin; row < end; ++row) {
      const i64 y = row % s.padded[1] - g.pad[1], z = row / s.padded[1] % s.padded[0] - g.pad[0], n = row / s.padded[1] / s.padded[0];
      f32* to = out + row * width;
      if (y < 0 || y >= g.in[1] || z < 0 || z >= g.in[0]) {
        memset(to, 0, static_cast<size_t>(width) * sizeof(f32));
        continue;
      }
      memset(to, 0, static_cast<size_t>(left) * sizeof(f32));
      memcpy(to + left, x + ((n * g.in[0] + z) * g.in[1] + y) * g.in[2] * g.c_in, static_cast<size_t>(copied) * sizeof(f32));
      memset(to + left + copied, 0, static_cast<size_t>(width - left - copied) * sizeof(f32));
    }
  });
}

// An input image as a block of rows sees it.
struct Image {
  const f32* data;
  const i64* dims;
  const i64* pad;
};

// Where the kernel of each row of a block begins: coordinates, and the element offset (of a place that may lie outside).
struct Origins {
  i64 at[kMaxTileRows][3];
  i64 offset[kMaxTileRows];
  bool inside;    // every kernel position of every row lies in the image
  bool inside_x;  // along the last dimension

  Origins(const Geometry& g, const Image& image, i64 row, int rows) {
    i64 batch, out[3];
    g.locate(row, &batch, out);
    inside = inside_x = true;
    for (int m = 0; m < rows;) {
      // One output line: only x moves.
      i64 line = batch;
      for (int d = 0; d < 3; ++d) at[m][d] = out[d] * g.stride[d] - image.pad[d];
      for (int d = 0; d < 3; ++d) line = line * image.dims[d] + at[m][d];
      inside &= fits(g, image, 0, at[m][0]) && fits(g, image, 1, at[m][1]);
      const i64 left = min_of(rows - m, g.out[2] - out[2]);
      inside_x &= fits(g, image, 2, at[m][2]) && fits(g, image, 2, at[m][2] + (left - 1) * g.stride[2]);
      for (i64 i = 0; i < left; ++i, ++m) {
        at[m][0] = at[m - i][0];
        at[m][1] = at[m - i][1];
        at[m][2] = at[m - i][2] + i * g.stride[2];
        offset[m] = (line + i * g.stride[2]) * g.c_in;
      }
      out[2] = 0;
      for (int d = 1; d >= 0 && ++out[d] == g.out[d]; --d) {
        out[d] = 0;
        batch += d == 0;
      }
    }
    inside &= inside_x;
  }

 private:
  static bool fits(const Geometry& g, const Image& image, int d, i64 start) {
    return start >= 0 && start + (g.kernel[d] - 1) * g.dilation[d] < image.dims[d];
  }
};

// Sets the pointers of a block: a tap for each kernel row when all of its pixels are inside along x, else a tap for each
// kernel position; positions outside the image read zeros, and taps that are outside for the whole block are left out.
void fill(const State& s, const Image& image, i64 group, i64 row, Matrix::Rows* block) {
  const Geometry& g = s.g;
  const i64 c = s.per_group_in;
  const Origins origins(g, image, row, block->rows);
  const bool merge = s.merge && origins.inside_x;
  const i64 steps = merge ? 1 : g.kernel[2];
  block->kc = merge ? g.kernel[2] * c : c;
  block->taps = 0;
  const f32* data = image.data + group * c;
  for (i64 k0 = 0; k0 < g.kernel[0]; ++k0) {
    for (i64 k1 = 0; k1 < g.kernel[1]; ++k1) {
      for (i64 k2 = 0; k2 < steps; ++k2) {
        const f32** pointers = block->pointers + block->taps * block->rows;
        const i64 k[3] = {k0 * g.dilation[0], k1 * g.dilation[1], k2 * g.dilation[2]};
        const i64 shift = ((k[0] * image.dims[1] + k[1]) * image.dims[2] + k[2]) * g.c_in;
        bool any = origins.inside;
        for (int m = 0; m < block->rows; ++m) {
          bool in = true;
          for (int d = 0; d < 3 && !origins.inside; ++d) in &= static_cast<u64>(origins.at[m][d] + k[d]) < static_cast<u64>(image.dims[d]);
          pointers[m] = in ? data + origins.offset[m] + shift : s.zeros;
          any |= in;
        }
        if (any) block->offsets[block->taps++] = ((k0 * g.kernel[1] + k1) * g.kernel[2] + k2) * c;
      }
    }
  }
}

// A 1x1 convolution of stride 1: row m is pixel m.
void fill_dense(const State& s, const f32* x, i64 group, i64 row, Matrix::Rows* block) {
  x += row * s.g.c_in + group * s.per_group_in;
  for (int m = 0; m < block->rows; ++m) block->pointers[m] = x + m * s.g.c_in;
  block->offsets[0] = 0;
  block->taps = 1;
  block->kc = s.per_group_in;
}

void run(Run& r) {
  const State& s = r.state<State>();
  const Geometry& g = s.g;
  if (g.out_rows == 0) return;
  constexpr i64 kNoPad[3] = {0, 0, 0};
  Image image = {r.in(0).as<const f32>(), g.in, g.pad};
  if (s.pad_copy) {
    f32* copy = static_cast<f32*>(r.scratch());
    pad(r, s, image.data, copy);
    image = {copy, s.padded, kNoPad};
  }
  const i64 padded_out = ceil_div(s.per_group_out, kPanel) * kPanel, k = g.taps * s.per_group_in;
  for (i64 group = 0; group < g.groups; ++group) {
    const f32* panels = r.in(1).as<const f32>() + group * k * padded_out;
    const f32* bias = r.in(2).as<const f32>() + group * padded_out;
    const i64 column = group * s.per_group_out;
    s.matrix.multiply(r, panels, bias, r.out(0).as<f32>() + column, g.c_out, 0, column, [&](i64 row, Matrix::Rows* block) {
      s.dense ? fill_dense(s, image.data, group, row, block) : fill(s, image, group, row, block);
    });
  }
}

}  // namespace

extern const OpDef kConv;
const OpDef kConv = {"Conv", sizeof(ConvParams), prepare, run};

}  // namespace edgeort
