// Products of the rows of one tensor, which share a scale, by packed int8 weights (qgemm/qgemm.h).
#pragma once
#include "../../core/op.h"
#include "../qgemm/qgemm.h"

namespace edgeort {

// Which inputs hold the weights of all directions, their columns' sums and scales.
struct QRnnInputs {
  int weights, sums, scale;
};

// One product; its weights are a part of an input.
struct QRnnProduct {
  const QTileRow* tiles;
  int tile_count;
  int input;         // of the weights
  i64 first;         // byte of its first panel there
  i64 n, k;          // columns and rows of the weights
  i64 chunk;         // columns whose weights stay in a cache while all rows pass
  i64 tasks;         // columns are cut into so many
  const i32* sums;   // of each column's weights; whole panels, and so are the next
  const i32* zeros;  // biases of the sums
  const f32* scale;

  i64 panel_stride() const { return ceil_div(k, kDepth) * kQuad; }
  i64 bytes() const { return ceil_div(n, kPanel) * panel_stride(); }
  i64 padded() const { return round_up(n, kPanel); }

  // Cuts the work for `rows` rows.
  void cut(i64 rows, int threads);
  // out[rows, n] of x [rows, k], contiguous bytes; `scales`: of each row. offset: added to each column, whole panels, or null.
  void multiply(const Run& r, const q8* x, i64 rows, const RowScale* scales, const f32* offset, f32* out) const;

 private:
  void columns(const QTile& common, const q8* x, i64 rows, i64 begin, i64 end, f32* out) const;
};

}  // namespace edgeort
