// Products of q8 rows by packed int8 weights, and convolutions that are such products over row pointers.
//
//   acc[m, n] = bias[n] + sum over taps t, k < kc of rows[t][m][k] * weights[t, k, n]        int32
//   out[m, n] = float32(acc) * scale[n], or clip(round_even(that) + zero_point, lo, hi) as bytes
//
// Of rows with scales of their own:
//
//   out[m, n] = (float32(acc - row[m].zero * sums[n] + row[m].more) * scale[n]) * row[m].scale, and that + offset[n]
//
// Weights are panels of kPanel columns, in each [tap][quad of four k][column][four k], so that kQuad bytes in a row are
// what one value of four k multiplies; k beyond kc are zero there.
#pragma once
#include "../../core/dispatch.h"
#include "../../core/q8.h"
#include "../gemm/qresult.h"
#include "order.h"
#include "rows.h"

namespace edgeort {

static constexpr i64 kDepth = 4;               // k of a quad
static constexpr i64 kQuad = kPanel * kDepth;  // bytes of a panel's quad

// What the results of rows with scales of their own are made with; else nulls.
struct ByRow {
  const RowScale* rows;  // of the first row
  const i32* sums;       // of each column's weights; whole panels, and so is the offset
  const f32* offset;     // null: none
};

// How the quads of a tap are added where 16 bits hold the products of two, or of three whose weights are small: bits from the top of
// a word on, 0 for three and 1 for two, then a 1 and zeros.
static constexpr i64 kStepColumns = 8;  // that have words of their own
struct QSteps {
  const u64* words;  // of column 0; null: all by two
  i64 count;         // words of kStepColumns columns
  bool single;       // one quad is left
};

struct QTile {
  const q8* const* rows;  // [taps][m]
  i64 taps, kc;
  const i8* panels;
  i64 panel_stride;  // bytes
  QSteps steps;
  const QOrder* order;  // of kOrderColumns columns each, from column 0 on; null: there is none, and no pair is known to fit
  QResult result;
  ByRow by_row;
  void* out;       // column 0
  i64 out_stride;  // elements between rows
  i64 begin, end;  // columns to store: whole tiles, the last of which may be a part of one
  i64 repeat;      // so many blocks of m rows, one below the other
  i64 step;        // bytes that a row's pointers move from block to block
  bool once;       // a run reads the panels once, and caches should not keep them
};

using QTileFn = void (*)(const QTile&);

static constexpr int kMaxQTileRows = 12;

// Tiles of 1..rows rows and `columns` columns.
struct QTileRow {
  int rows, columns;
  QTileFn fn[kMaxQTileRows];  // fn[m - 1]
};

struct QGemmKernels {
  const QTileRow* tiles;  // wide ones first
  int count;
  const QTileRow* wide;  // instead of those, where some weight is -128; null: all can
  int bias_lanes;        // int32 of a column's bias in QTile: it, and zeros
};

}  // namespace edgeort
