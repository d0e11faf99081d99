// Winograd convolution F(4x4, 3x3) (Lavin and Gray 2016, "Fast algorithms for convolutional neural networks", section 4.2):
// 4x4 outputs from a 6x6 patch with 36 products a channel pair instead of 144.
//
// Transformed inputs hold value (position, tile, channel c) at
//   position * position_step + c / lanes * channel_step + tile * lanes + c % lanes,
// so that a tile of the product reads its rows through one pointer; products hold (position, tile, column) at
//   position * position_step + tile * columns + column.
// Weights are transformed on the way: a share of the positions at a time, for a block of input channels and a group of
// output columns, into memory that stays in level 1.
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

static constexpr int kWinogradOut = 4, kWinogradIn = 6, kWinogradPositions = 36;
// Positions along a dimension: the points infinity, 0, 1, -1, 2, -2. A share of transformed weights is two rows of positions,
// which have most of their arithmetic in common. (With one, all taps are read twice as often; more are too much for level 1.)
static constexpr int kWinogradShares = 3, kWinogradShare = 12;

// Tiles at the right and at the bottom edge may have fewer outputs: F(m, 3) with the first m + 2 positions of F(4, 3).
// The kinds of tiles, in the order in which a run holds them: those that have a position are neighbours.
enum WinogradKind { kRightTiles, kInnerTiles, kBottomTiles, kCornerTile, kTileKinds };

// A run of neighbouring tiles in one line of tiles.
struct WinogradPatches {
  const f32* lines[kWinogradIn];  // column 0 of the image's lines under the patches; lines of zeros above and below the image
  i64 left, width;                // the column where the first patch begins; the image's columns. Others are zero
  i64 pixel_step, channels, tiles;
  i64 out_height, out_width;  // outputs of each tile
  f32* to;
  i64 position_step, channel_step;
};

struct WinogradWeights {
  const f32* from;  // [channel][tap][kPanel], from the block's first channel on
  i64 panel_step;
  i64 channels;
  f32* to;  // [channels / lanes][position of the share][lanes][columns]
};

struct WinogradProducts {
  const f32* in;  // transformed, at the block's first channel
  i64 in_position_step, in_channel_step;
  const f32* weights;
  i64 channels;
  i64 tiles[kTileKinds];
  i64 edge_height, edge_width;  // outputs of tiles at the edges
  f32* out;
  i64 out_position_step;
  bool first;  // sums start here; otherwise they go on
  // Weights that are wanted next: of each panel, this many lines for each position.
  const f32* ahead;
  i64 ahead_lines, panel_step;
};

// Outputs of one tile: clamp(transformed / 36 + bias), pixels of whole vectors.
struct WinogradTile {
  const f32* from;
  i64 position_step;
  const f32* bias;  // padded to whole panels, as is `from`
  f32 lo, hi;
  f32* to;
  i64 line_step, pixel_step, columns;
  i64 out_height, out_width;
};

// Kernels of a group of columns: wide, or one panel.
struct WinogradTransforms {
  void (*input)(const WinogradPatches&);
  void (*weights[2])(const WinogradWeights&, int share);  // narrow, wide
  void (*output)(const WinogradTile&);
};

struct WinogradMultiply {
  i64 lanes;  // channels of one tile that lie together
  i64 wide;   // columns of a wide group
  void (*multiply[2])(const WinogradProducts&, int share);
};

}  // namespace edgeort
