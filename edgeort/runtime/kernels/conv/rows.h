// The rows of a convolution that is a matrix product: where each output reads the taps of its kernel.
#pragma once
#include "../gemm/gemm.h"
#include "geometry.h"

namespace edgeort {

// The channels that a group reads. merge: one tap is a whole kernel row, whose pixels are neighbours in memory.
struct Taps {
  bool merge;
  i64 first, channels;
};

// Rows of a block that lie in one output line.
struct Piece {
  i64 row, count;
  i64 n, z, y, x;  // where the kernel of the first begins
};

// Cuts a block of `rows` rows from `row` on at the ends of output lines, into at most `rows` pieces; true when no row's
// kernel leaves the lines of `in` along x.
bool cut(const Geometry& g, const Lines& in, i64 row, int rows, Piece* pieces, int* count);

// Sets the pointers of a block: a tap for each kernel row when all of its pixels are inside along x and they may be merged,
// else a tap for each kernel position; positions outside the image read `outside`. Taps that are outside for the whole
// block are left out where T is a float, whose outside is zero.
template <class T>
void fill_rows(const Geometry& g, const Lines& in, const Taps& taps, const T* outside, i64 row, TapRows<T>* block) {
  Piece pieces[kMaxTileRows];
  int count;
  const bool inside = cut(g, in, row, block->rows, pieces, &count);
  const bool merge = inside && taps.merge;
  const i64 steps = merge ? 1 : g.kernel[2], pixel = in.pixel / i64{sizeof(T)};
  block->kc = merge ? g.kernel[2] * taps.channels : taps.channels;
  block->taps = 0;
  for (i64 k = 0; k < g.kernel[0] * g.kernel[1] * steps; ++k) {
    const i64 k2 = k % steps, k1 = k / steps % g.kernel[1], k0 = k / steps / g.kernel[1];
    const T** pointers = block->pointers + block->taps * block->rows;
    bool any = sizeof(T) == 1;
    for (int i = 0; i < count; ++i) {
      const Piece& p = pieces[i];
      const i64 z = p.z + k0 * g.dilation[0], y = p.y + k1 * g.dilation[1];
      const bool image = z >= 0 && z < g.in[0] && y >= 0 && y < g.in[1];
      const T* line = image ? in.line<const T>((p.n * g.in[0] + z) * g.in[1] + y) + taps.first : nullptr;
      i64 x = p.x + k2 * g.dilation[2];
      for (i64 m = p.row; m < p.row + p.count; ++m, x += g.stride[2]) {
        const bool here = image && (inside || (x >= -in.left && x < g.in[2] + in.right));
        pointers[m] = here ? line + x * pixel : outside;
        any |= here;
      }
    }
    if (any) block->offsets[block->taps++] = ((k0 * g.kernel[1] + k1) * g.kernel[2] + k2) * taps.channels;
  }
}

// A 1x1 convolution of stride 1, `pixel` bytes apart: row m is pixel m, the first of which is at x.
template <class T>
void fill_even(const T* x, i64 pixel, i64 channels, TapRows<T>* block) {
  const i64 step = pixel / i64{sizeof(T)};
  for (int m = 0; m < block->rows; ++m) block->pointers[m] = x + m * step;
  block->offsets[0] = 0;
  block->taps = 1;
  block->kc = channels;
  block->step = block->rows * step;
}

}  // namespace edgeort
