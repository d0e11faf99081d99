// The tiles of 4x4 outputs that cover a batch of images, or lines of one, numbered kind by kind.
#pragma once
#include "../../core/op.h"
#include "winograd.h"

namespace edgeort {

struct WinogradTiles {
  // Lines of tiles in each image, numbered from `first` on over all images.
  struct Kind {
    i64 first, lines, across;
    i64 top, left;      // of the first tile's outputs
    i64 height, width;  // outputs of a tile
  };
  // Where a tile's outputs are.
  struct Place {
    i64 n, top, left, height, width;
    i64 along;  // tiles up to the end of its line
  };

  Kind kinds[kTileKinds + 1];  // the last only ends the one before it

  // Of `batch` images of out_height lines of out_width outputs.
  void number(i64 batch, i64 out_height, i64 out_width) {
    const i64 down = out_height / kWinogradOut, across = out_width / kWinogradOut;
    const i64 bottom = down * kWinogradOut, right = across * kWinogradOut, height = out_height - bottom, width = out_width - right;
    kinds[kRightTiles] = {0, down, width ? 1 : 0, 0, right, kWinogradOut, width};
    kinds[kInnerTiles] = {0, down, across, 0, 0, kWinogradOut, kWinogradOut};
    kinds[kBottomTiles] = {0, height ? 1 : 0, across, bottom, 0, height, kWinogradOut};
    kinds[kCornerTile] = {0, height ? 1 : 0, width ? 1 : 0, bottom, right, height, width};
    for (int i = 0; i < kTileKinds; ++i) kinds[i + 1].first = kinds[i].first + batch * kinds[i].lines * kinds[i].across;
  }

  i64 count() const { return kinds[kTileKinds].first; }
  // How many of `tiles` from `first` on are of a kind.
  i64 count(int kind, i64 first, i64 tiles) const {
    return max_of(0, min_of(first + tiles, kinds[kind + 1].first) - max_of(first, kinds[kind].first));
  }

  Place place(i64 tile) const {
    const Kind* k = kinds;
    while (tile >= k[1].first) ++k;
    const i64 line = (tile - k->first) / k->across, x = (tile - k->first) % k->across;
    const i64 y = line % k->lines;
    return {line / k->lines, k->top + y * kWinogradOut, k->left + x * kWinogradOut, k->height, k->width, k->across - x};
  }
};

}  // namespace edgeort
