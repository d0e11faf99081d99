// Products by weights that are mostly zeros, a tile of rows of x at a time:
//
//   y[n][m] = clamp( sum over the k where w[k, n] is not zero of x[k][m] * w[k, n]  + bias[n] )
//
// The tile lies transposed, m side by side, so that each weight multiplies vectors of rows (Elsen, Dukhan, Gale and Simonyan
// 2020, "Fast sparse convnets", whose tensors lie so throughout). A sum starts at +0 and runs over k in order in one
// accumulator with fused multiply-add; the bias is added at the end.
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

// Columns of one tile.
struct SparseTile {
  const f32* x;       // [k][vectors]
  const u32* starts;  // [columns + 1]: where each column's weights begin
  const u16* rows;    // of each weight: its k
  const f32* weights;
  const f32* bias;  // [columns]
  i64 columns;
  bool clips;
  f32 lo, hi;
  f32* y;  // [columns][vectors]
};

using SparseFn = void (*)(const SparseTile&);
// to[column][width] = from[row][column], rows `pitch` floats apart; rows behind the last one are copies of it. Writes columns
// up to a multiple of 16.
using SideBySideFn = void (*)(const f32* from, i64 pitch, i64 rows, i64 columns, f32* to, i64 width);
// to[row][column] = from[column][width]. Reads columns up to a multiple of 16.
using ApartFn = void (*)(const f32* from, i64 width, i64 rows, i64 columns, f32* to, i64 pitch);

static constexpr int kMostVectors = 8;

struct SparseKernels {
  int lanes;                  // of a vector
  SparseFn fn[kMostVectors];  // fn[v - 1]: tiles of v vectors
  SideBySideFn side_by_side;
  ApartFn apart;
};

}  // namespace edgeort
