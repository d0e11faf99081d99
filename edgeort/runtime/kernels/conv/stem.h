// The first layer of a network for pictures: 3x3 or 7x7 of stride 2 over three planes (channels first), channels last from there on.
//
//   out[x, o] = finish( sum over kh, kw, c of rows[kh * 3 + c][2 x + kw] * panels[(kh * kernel + kw) * 3 + c][o]  + bias[o] )
//
// Sums run in that order from +0 in one accumulator with fused multiply-add. Panels are those of kernels/gemm.
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

static constexpr i64 kStemPlanes = 3, kStemStride = 2, kStemMostRows = 7 * kStemPlanes;

struct StemArgs {
  const f32* rows[kStemMostRows];  // where the first output's first tap is read
  i64 pixels;                      // outputs; whole groups are read
  const f32* panels;               // at the tile's first column
  i64 panel_stride;                // floats
  const f32* bias;                 // at the tile's first column
  f32 lo, hi;
  bool swish;
  f32* out;
  i64 out_stride;  // floats between outputs
  i64 columns;     // to store; the tile may compute more
};

// Groups of `pixels` outputs by `columns` channels; a group reads `reads` floats of each row.
struct StemTile {
  int pixels, columns, reads;
  void (*fn)(const StemArgs&);
};

struct StemTiles {
  const StemTile* tiles;  // wide ones first
  int count;
};
struct StemKernels {
  StemTiles small, large;  // 3x3, 7x7
};

}  // namespace edgeort
