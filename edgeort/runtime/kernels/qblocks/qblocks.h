// Products of rows that become bytes as the model runs, a scale for each block of k, by weights of 4 or 8 bits in the same blocks.
//
//   y[m, n] = (sum over blocks b, in order: acc = fma(float32(dot), x_scale[m, b] * scale[b, n], acc), from +0) + bias[n]
//   dot     = sum over k of the block of q[m, k] * (w[k, n] - zero[b, n]), exact
//
// Weights are panels of kPanel columns, in each [block][quad of four k][column][four k]: of 8 bits as signed bytes, whose zero points are
// 0 unless given; of 4 bits 0..15, two quads in kQuadBytes bytes, the first in the low bits, zero points 8 unless given. Scales and zero
// points are [panel][block][kPanel]. A block has whole fours of quads; x beyond k is zero.
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

static constexpr i64 kQuadRows = 4;
static constexpr i64 kQuadBytes = kPanel * kQuadRows;  // of a panel's quad in 8 bits

// Of a block of a row: the size of a step, and the sum of its bytes.
struct BlockScale {
  f32 scale;
  i32 sum;
};

struct BlockTile {
  const u8* weights;  // of the first panel, and so on
  const f32* scale;
  const i8* zero;            // null: none given
  i64 blocks, quads;         // of a row, and of a block
  const i8* rows;            // bytes, blocks * quads * kQuadRows a row
  const BlockScale* scales;  // `blocks` a row
  const f32* bias;           // whole panels; null: none
  f32* out;
  i64 out_stride;  // floats between rows
  i64 columns;
  bool once;  // a run reads the weights once, and caches should not keep them
};

using BlockTileFn = void (*)(const BlockTile&);

static constexpr int kMaxBlockRows = 8;

struct BlockKernels {
  int rows;                                   // of the largest tile
  BlockTileFn multiply[2][2][kMaxBlockRows];  // [8 bits, 4 bits][zero points: none, given][m - 1]
  // Of each block of x [k]: scale = max(max |x| / 127, 2^-126), i = 1 / scale, to = clip(round(x * i), -127, 127). A NaN gives -127.
  void (*quantise)(const f32* x, i64 k, i64 block, i8* to, BlockScale* scales);
};

}  // namespace edgeort
