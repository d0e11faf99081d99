// Matrix products over packed panels, and convolutions that are matrix products over row pointers.
//
//   out[m, n] = clamp( sum over taps t, k < kc of rows[t][m][k] * panels[t.offset + k][n]  + bias[n] )
//
// The sum starts at +0, runs over (t, k) in order in one accumulator with fused multiply-add; bias is added at the end.
// `panels` holds kPanel columns a panel, row after row: element (k, n) at (n / kPanel) * panel_stride + k * kPanel + n % kPanel.
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

struct Tile {
  const f32* const* rows;  // [taps][m]
  const i64* offsets;      // [taps]: the first row of the panels that a tap multiplies
  i64 taps, kc;
  const f32* panels;  // at the tile's first column
  i64 panel_stride;   // floats
  const f32* bias;    // at the tile's first column, padded to whole panels; null: none
  bool clips;
  f32 lo, hi;
  f32* out;
  i64 out_stride;  // floats between rows
  i64 columns;     // to store: as many whole tiles as fit (one, if it is narrower than a panel), or a part of one
  i64 repeat;      // so many blocks of m rows, one below the other
  i64 step;        // floats that a row's pointers move from block to block
};

using TileFn = void (*)(const Tile&);

static constexpr int kMaxTileRows = 16;

// The rows of a block: pointers[tap * rows + m] is where row m reads tap `tap`, whose first row of weights is offsets[tap].
// `repeat` blocks lie one below the other, and read `step` elements behind the one before.
template <class T>
struct TapRows {
  const T** pointers;
  i64* offsets;
  i64 taps, kc;
  int rows;
  i64 repeat = 1, step = 0;
};

// Tiles of 1..rows rows and `columns` columns.
struct TileRow {
  int rows, columns;
  TileFn fn[kMaxTileRows];  // fn[m - 1]
};

struct GemmKernels {
  const TileRow* tiles;  // wide ones first
  int count;
};

}  // namespace edgeort
