#include "product.h"

#include "../gemm/blocks.h"

namespace edgeort {
namespace {

constexpr i64 kChunkBytes = i64{1} << 17;
constexpr i64 kWorth = i64{1} << 19;  // multiply-adds that are worth waking a thread for

}  // namespace

void QRnnProduct::cut(i64 rows, int threads) {
  const i64 width = largest_tile(tiles, tile_count, max_of(padded(), kPanel)).columns;
  chunk = max_of(width, kChunkBytes / max_of(1, k) / width * width);
  tasks =
      max_of(1, min_of(min_of(threads, ceil_div(n, width)), static_cast<i64>(static_cast<f64>(rows * k) * static_cast<f64>(n) / kWorth)));
}

void QRnnProduct::columns(const QTile& common, const q8* x, i64 rows, i64 begin, i64 end, f32* out) const {
  const int most = tiles[tile_count - 1].rows;
  const i64 whole = rows / most * most;
  const q8* pointers[kMaxQTileRows];
  QTile tile = common;
  tile.rows = pointers;
  for (i64 row = 0; row < rows; row += tile.repeat * most) {
    const int block = static_cast<int>(row < whole ? most : rows - whole);
    for (int m = 0; m < block; ++m) pointers[m] = x + (row + m) * k;
    tile.repeat = row < whole ? whole / most : 1;
    tile.step = block * k;
    tile.by_row.rows = common.by_row.rows + row;
    tile.out = out + row * n;
    cover(tiles, tile_count, block, begin, end, [&](const QTileRow& kernels, i64 column, i64 left) {
      tile.begin = column;
      tile.end = column + min_of(left, max_of(kernels.columns, left / kernels.columns * kernels.columns));
      kernels.fn[block - 1](tile);
      return tile.end - column;
    });
  }
}

void QRnnProduct::multiply(const Run& r, const q8* x, i64 rows, const RowScale* scales, const f32* offset, f32* out) const {
  QTile tile = {};
  tile.taps = 1;
  tile.kc = k;
  tile.panels = r.in(input).as<const i8>() + first;
  tile.panel_stride = panel_stride();
  tile.result = {zeros, scale, 0, 0, 0, false, false};
  tile.by_row = {scales, sums, offset};
  tile.out_stride = n;
  const auto part = [&](i64 begin, i64 end) {
    for (i64 column = begin; column < end; column += chunk) columns(tile, x, rows, column, min_of(end, column + chunk), out);
  };
  // A step may be so short that even asking for threads counts.
  if (tasks == 1) return part(0, n);
  const i64 panels = ceil_div(n, kPanel);
  r.parallel(tasks, [&](i64 task, int) { part(panels * task / tasks * kPanel, min_of(n, panels * (task + 1) / tasks * kPanel)); });
}

}  // namespace edgeort
