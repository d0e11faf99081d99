// Winograd convolution of 3x3 kernels (Lavin and Gray 2016, "Fast algorithms for convolutional neural networks", section 4): 4x4 outputs
// from one transformed patch, with 36 products a channel pair at stride 1 and 81 at stride 2 instead of 144.
//
// Transformed inputs hold value (position, tile, channel c) at
//   position * position_step + c / lanes * channel_step + tile * lanes + c % lanes,
// so that a tile of the product reads its rows through one pointer; sums hold (position, tile, column) at
//   position * position_step + tile * columns + column.
// Weights are transformed on the way: a share of the positions at a time, for a block of input channels and a group of
// output columns, into memory that stays in level 1.
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

static constexpr int kWinogradOut = 4, kWinogradLargestIn = 9, kWinogradPhases = 5;

// Stride 1 is F(4, 3) along a dimension: a patch of 6 pixels has the positions infinity, 0, 1, -1, 2, -2.
// Stride 2 sums F(4, 2) of the even pixels, with the outer taps, and the odd ones with the middle tap: 9 pixels have the positions
// infinity, 0, 1, -1, 2 of the even and 0, 1, -1, 2 of the odd ones; one tap gives nothing at infinity. Both are summed at 5 positions.
static constexpr int winograd_in(int stride) { return stride == 1 ? 6 : 9; }
static constexpr int winograd_sums(int stride) { return stride == 1 ? 6 : 5; }

// Taps, and the positions that they have products at. Stride 1 has the first phase, stride 2 the others.
struct WinogradPhase {
  int taps_y, taps_x;
  int rows, columns;  // of transformed weights; one that stands for all positions but infinity where there is one tap
  int share;          // rows of them at a time, which have most of their arithmetic in common. More are too much for level 1
  int in;             // its first position in a patch, less its first among the sums

  constexpr int taps() const { return taps_y * taps_x; }
  constexpr int top() const { return rows == 1; }
  constexpr int left() const { return columns == 1; }
};
static constexpr WinogradPhase kWinogradPhase[kWinogradPhases] = {
    {3, 3, 6, 6, 2, 0}, {2, 2, 5, 5, 1, 0}, {2, 1, 5, 1, 5, 4}, {1, 2, 1, 5, 1, 4 * 9}, {1, 1, 1, 1, 1, 4 * 9 + 4}};

// Tiles at the right and at the bottom edge may have fewer outputs: m of them need m + 2 (stride 2: m + 1) of the sums' positions, the
// first. The kinds of tiles, in the order in which a run holds them: those that have a position are neighbours.
enum WinogradKind { kRightTiles, kInnerTiles, kBottomTiles, kCornerTile, kTileKinds };

// A run of neighbouring tiles in one line of tiles.
struct WinogradPatches {
  const f32* lines[kWinogradLargestIn];  // column 0 of the image's lines under the patches; lines of zeros above and below the image
  i64 left, width;                       // the column where the first patch begins; the image's columns. Others are zero
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
  const f32* in;                                        // transformed, at the block's first channel; position (0, 0) of the sums
  i64 in_positions, in_position_step, in_channel_step;  // positions: in a row
  const f32* weights;
  i64 weights_row_step, weights_position_step, weights_channel_step;
  i64 channels;
  i64 top, bottom, left;  // rows of positions, and the first column
  i64 tiles[kTileKinds];
  i64 edge_height, edge_width;  // outputs of tiles at the edges
  f32* out;
  i64 out_positions, out_position_step;
  bool first;  // sums start here; otherwise they go on
  // Weights that are wanted next: of each panel, this many lines for each position.
  const f32* ahead;
  i64 ahead_lines, panel_step;
};

// Outputs of one tile: clamp(transformed / 36 + bias + addend), pixels of whole vectors.
struct WinogradTile {
  const f32* from;
  i64 position_step;
  const f32* bias;  // padded to whole panels, as is `from`
  f32 lo, hi;
  const f32* addend;  // of the tile's first output, or null; `to` may be the same
  i64 addend_line_step, addend_pixel_step;
  f32* to;
  i64 line_step, pixel_step, columns;
  i64 out_height, out_width;
};

// By stride, from 1 on.
struct WinogradTransforms {
  void (*input[2])(const WinogradPatches&);
  void (*output[2])(const WinogradTile&);
};

// Kernels of a group of columns: narrow, which is one panel, or wide.
struct WinogradWeightTransforms {
  void (*share[2][kWinogradPhases])(const WinogradWeights&, int row);  // the one that begins at this row
};
struct WinogradMultiply {
  i64 lanes;  // channels of one tile that lie together
  i64 wide;   // columns of a wide group
  void (*multiply[2])(const WinogradProducts&);
};

}  // namespace edgeort
