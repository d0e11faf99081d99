// Register tiles of the matrix product for one ISA level.
#include "gemm.h"

#include "../../simd/vec.h"

namespace edgeort {
namespace {

constexpr int kVectorsPerPanel = static_cast<int>(kPanel) / kLanes;

// The address of vector v of a tile's columns at row 0 of the panels.
EDGEORT_INLINE const f32* column(const Tile& t, int v) {
  return t.panels + v / kVectorsPerPanel * t.panel_stride + v % kVectorsPerPanel * kLanes;
}

// One row of the panels. All of its vectors are loaded first, then each row's value is used at once: M * V sums, V weights
// and one value are alive, which fits the registers for every row of kernels.inc.
template <int M, int V>
EDGEORT_INLINE void step(vf (&sum)[M][V], const f32* const (&b)[V], i64 row, const float (&a)[M]) {
  vf weights[V];
#pragma clang loop unroll(full)
  for (int v = 0; v < V; ++v) weights[v] = load(b[v] + row * kPanel);
#pragma clang loop unroll(full)
  for (int m = 0; m < M; ++m) {
#pragma clang loop unroll(full)
    for (int v = 0; v < V; ++v) sum[m][v] = fma(splat(a[m]), weights[v], sum[m][v]);
  }
}

template <int M, int V>
EDGEORT_INLINE void tap(vf (&sum)[M][V], const Tile& t, i64 which) {
  const f32* a[M];
  const f32* b[V];
#pragma clang loop unroll(full)
  for (int m = 0; m < M; ++m) a[m] = t.rows[which * M + m];
#pragma clang loop unroll(full)
  for (int v = 0; v < V; ++v) b[v] = column(t, v) + t.offsets[which] * kPanel;
  i64 k = 0;
#if defined(__ARM_NEON)
  // Four values of a row at once: fmla takes its multiplier from any lane.
  for (; k + 4 <= t.kc; k += 4) {
    vf rows[M];
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) rows[m] = load(a[m] + k);
#pragma clang loop unroll(full)
    for (int lane = 0; lane < 4; ++lane) {
      float values[M];
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) values[m] = rows[m][lane];
      step<M, V>(sum, b, k + lane, values);
    }
  }
#endif
  for (; k < t.kc; ++k) {
    float values[M];
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) values[m] = a[m][k];
    step<M, V>(sum, b, k, values);
  }
}

template <int M, int V>
void tile(const Tile& t) {
  vf sum[M][V];
#pragma clang loop unroll(full)
  for (int m = 0; m < M; ++m) {
#pragma clang loop unroll(full)
    for (int v = 0; v < V; ++v) sum[m][v] = splat(0.0f);
  }
  for (i64 i = 0; i < t.taps; ++i) tap<M, V>(sum, t, i);
#pragma clang loop unroll(full)
  for (int v = 0; v < V; ++v) {
    const vf bias = t.bias ? load(t.bias + v * kLanes) : splat(0.0f), lo = splat(t.lo), hi = splat(t.hi);
    const i64 left = t.columns - v * kLanes;
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) {
      const vf y = clip_sum(sum[m][v] + bias, lo, hi);
      f32* out = t.out + m * t.out_stride + v * kLanes;
      if (left >= kLanes) {
        store(out, y);
      } else if (left > 0) {
        store_n(out, y, static_cast<int>(left));
      }
    }
  }
}

template <int M, int V>
constexpr void fill(TileRow& row) {
  row.fn[M - 1] = tile<M, V>;
  if constexpr (M > 1) fill<M - 1, V>(row);
}

// The rows of kernels.inc that are of this level.
struct Table {
  TileRow rows[8];
  int count;
};

template <bool kHere, int kRows, int V>
constexpr void append(Table& table) {
  if constexpr (kHere) {
    TileRow& row = table.rows[table.count++];
    row.rows = kRows;
    row.columns = V * kLanes;
    fill<kRows, V>(row);
  }
}

constexpr Table tiles() {
  Table table = {};
#define TILE(level, rows, vectors) append<kIsa_##level == EDGEORT_PASTE(kIsa, EDGEORT_ISA), rows, vectors>(table);
#include "kernels.inc"
#undef TILE
  return table;
}

constexpr Table kTiles = tiles();

}  // namespace

EDGEORT_KERNEL(GemmKernels, gemm, {kTiles.rows, kTiles.count})

}  // namespace edgeort
