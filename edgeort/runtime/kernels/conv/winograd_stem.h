// Winograd convolution of a first layer: 7x7 of stride 2 over three planes (channels first), channels last from there on (Lavin and
// Gray 2016, "Fast algorithms for convolutional neural networks", section 4). 4x4 outputs come from a patch of 13x13 pixels.
//
// Along a dimension it sums F(4, 4) of the even pixels, with taps 0, 2, 4 and 6, and F(4, 3) of the odd ones, with the others. Both
// have products at the points 1, -1, 2, -2, 1/2 and -1/2, the even ones also at infinity. A position (py, px) of the 7x7 sums then
// adds the products of the phases that have it (lines even or odd, columns even or odd), and of their planes: 12 terms, 6 where one
// point is infinity, 3 where both are. Terms are rows, numbered position by position; weights are transformed when a plan is made
// (edgeort/lowering/winograd_stem.py).
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

static constexpr i64 kStemTile = 4, kStemPatch = 13, kStemPoints = 7, kStemTerms = 507;
static constexpr i64 kStemChannels = 3, kStemKernel = 7, kStemStep = 2 * kStemTile;  // pixels between tiles
// Tiles of a run, the most; the floats of a line of pixels under them, and of one more that vectors of tiles touch.
static constexpr i64 kStemRun = 32, kStemLine = kStemStep * (kStemRun + 4);
// Floats between positions of the sums: an odd number of cache lines.
static constexpr i64 kStemSums = (kStemRun + 1) * kPanel;

// Outputs of one tile in a panel's columns: clamp(transformed + bias).
struct WinogradStemTile {
  const f32* sums;  // of the tile, at position 0
  const f32* bias;
  f32 lo, hi;
  f32* lines[kStemTile];
  i64 pixel_step, columns;  // whole vectors
};

struct WinogradStemKernels {
  i64 lanes;
  // `lines` are those of plane 0, then 1 and 2, kStemPatch of each, from the first tile's first pixel on, kStemLine floats apart; they
  // are overwritten. Of term t, `to` gets kStemRun tiles' values at t * kStemRun.
  void (*input)(f32* lines, i64 tiles, f32* to);
  // Sums of one panel of weights [term][kPanel]: position, tile and column at position * kStemSums + tile * kPanel + column.
  void (*multiply)(const f32* in, i64 tiles, const f32* panel, f32* sums);
  void (*output)(const WinogradStemTile&);
};

}  // namespace edgeort
