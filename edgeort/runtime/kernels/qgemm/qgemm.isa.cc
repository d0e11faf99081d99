// Register tiles of the int8 product for one ISA level.
#include "qgemm.h"

#include "../../simd/bytes.h"
#include "dots.h"

namespace edgeort {
namespace {

using Bytes = Vec<q8, static_cast<int>(kPanel)>;

// From the sums of a panel to its results.
struct Finish {
  vi bias[kVectorsPerPanel];
  vf scale[kVectorsPerPanel];

  EDGEORT_INLINE Finish(const QResult& r, i64 column) {
#pragma clang loop unroll(full)
    for (int i = 0; i < kVectorsPerPanel; ++i) {
      bias[i] = load(r.bias + column + i * kLanes);
      scale[i] = load(r.scale + column + i * kLanes);
    }
  }

  template <class D>
  EDGEORT_INLINE void floats(const D& dots, int m, int v, vf (&y)[kVectorsPerPanel]) const {
#pragma clang loop unroll(full)
    for (int i = 0; i < kVectorsPerPanel; ++i) y[i] = to_float(dots.get(m, v, i) + bias[i]) * scale[i];
  }
};

// clip(round_even(y) + zero_point, lo, hi) of a panel.
struct ToBytes {
#if defined(__aarch64__)
  int16x8_t zero_point;
  int8x16_t lo, hi;

  EDGEORT_INLINE explicit ToBytes(const QResult& r)
      : zero_point(vdupq_n_s16(static_cast<i16>(r.zero_point))),
        lo(vdupq_n_s8(static_cast<i8>(r.lo))),
        hi(vdupq_n_s8(static_cast<i8>(r.hi))) {}

  static EDGEORT_INLINE int16x8_t half(vf a, vf b) { return vqmovn_high_s32(vqmovn_s32(vcvtnq_s32_f32(a)), vcvtnq_s32_f32(b)); }

  EDGEORT_INLINE Bytes operator()(const vf (&y)[kVectorsPerPanel]) const {
    const int16x8_t a = vqaddq_s16(half(y[0], y[1]), zero_point), b = vqaddq_s16(half(y[2], y[3]), zero_point);
    return vminq_s8(vmaxq_s8(vqmovn_high_s16(vqmovn_s16(a), b), lo), hi);
  }
#else
  vf lo, hi;
  vi zero_point;

  EDGEORT_INLINE explicit ToBytes(const QResult& r)
      : lo(splat(static_cast<f32>(r.lo - r.zero_point))),
        hi(splat(static_cast<f32>(r.hi - r.zero_point))),
        zero_point(splat_int(r.zero_point)) {}

  EDGEORT_INLINE Bytes operator()(const vf (&y)[kVectorsPerPanel]) const {
    vi q[kVectorsPerPanel];
#pragma clang loop unroll(full)
    for (int i = 0; i < kVectorsPerPanel; ++i) q[i] = to_int(vmin(vmax(lo, y[i]), hi)) + zero_point;
    return __builtin_convertvector((load_as<Vec<i32, static_cast<int>(kPanel)> >(q)), Bytes);
  }
#endif
};

// Results of a tile, `stride` elements between rows.
template <int M, int V, bool kWide>
EDGEORT_INLINE void put(const Dots<M, V, kWide>& dots, const QResult& r, i64 column, void* out, i64 stride) {
  const ToBytes to_bytes(r);
#pragma clang loop unroll(full)
  for (int v = 0; v < V; ++v) {
    const Finish finish(r, column + v * kPanel);
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) {
      vf y[kVectorsPerPanel];
      finish.floats(dots, m, v, y);
      const i64 at = m * stride + v * kPanel;
      if (r.quantised) {
        store(static_cast<q8*>(out) + at, to_bytes(y));
        continue;
      }
#pragma clang loop unroll(full)
      for (int i = 0; i < kVectorsPerPanel; ++i) store(static_cast<f32*>(out) + at + i * kLanes, y[i]);
    }
  }
}

__attribute__((noinline)) void copy_columns(const char* from, i64 from_stride, char* to, i64 to_stride, i64 rows, i64 bytes) {
  for (i64 m = 0; m < rows; ++m) __builtin_memcpy(to + m * to_stride, from + m * from_stride, static_cast<size_t>(bytes));
}

template <int M, int V, bool kWide>
void tile(const QTile& t) {
  constexpr i64 kWidth = V * kPanel;
  const i64 taps = t.taps, kc = t.kc, panel_stride = t.panel_stride, element = t.result.quantised ? 1 : i64{sizeof(f32)};
  char* block = static_cast<char*>(t.out);
  for (i64 i = 0, shift = 0; i < t.repeat; ++i, shift += t.step, block += M * t.out_stride * element) {
    for (i64 column = 0; column < t.columns; column += kWidth) {
      const i64 left = t.columns - column;
      Dots<M, V, kWide> dots;
      dots.clear();
      const i8* panels[V];
#pragma clang loop unroll(full)
      for (int v = 0; v < V; ++v) panels[v] = t.panels + (column / kPanel + v) * panel_stride;
      const q8* const* rows = t.rows;
      for (i64 k = 0; k < taps; ++k, rows += M) {
        const q8* a[M];
#pragma clang loop unroll(full)
        for (int m = 0; m < M; ++m) a[m] = rows[m] + shift;
        dots.quads(a, kc / kDepth, panels);
        if (kc % kDepth == 0) continue;
        u32 last[M];
#pragma clang loop unroll(full)
        for (int m = 0; m < M; ++m) last[m] = last_quad(rows[m] + shift, kc);
        dots.quad(last, panels);
      }
      char* out = block + column * element;
      if (left >= kWidth) {
        put(dots, t.result, column, out, t.out_stride);
      } else {
        alignas(64) char cut[M * kWidth * i64{sizeof(f32)}];
        put(dots, t.result, column, cut, kWidth);
        copy_columns(cut, kWidth * element, out, t.out_stride * element, M, left * element);
      }
    }
  }
}

template <int M, int V, bool kWide>
constexpr void fill(QTileRow& row) {
  row.fn[M - 1] = tile<M, V, kWide>;
  if constexpr (M > 1) fill<M - 1, V, kWide>(row);
}

template <int kRows, int V, bool kWide>
constexpr QTileRow tile_row() {
  QTileRow row = {kRows, V * static_cast<int>(kPanel), {}};
  fill<kRows, V, kWide>(row);
  return row;
}

// The rows of kernels.inc that are of this level.
struct Table {
  QTileRow rows[4];
  int count;
};

template <bool kHere, int kRows, int V>
constexpr void append(Table& table) {
  if constexpr (kHere) {
    table.rows[table.count++] = tile_row<kRows, V, false>();
  }
}

constexpr Table tiles() {
  Table table = {};
#define TILE(level, rows, panels) append<kIsa_##level == EDGEORT_PASTE(kIsa, EDGEORT_ISA), rows, panels>(table);
#include "kernels.inc"
#undef TILE
  return table;
}

constexpr Table kTiles = tiles();

#if defined(__ARM_NEON) && !defined(__ARM_FEATURE_DOTPROD)
constexpr QTileRow kWideRow = tile_row<2, 1, true>();
constexpr const QTileRow* kWide = &kWideRow;
#else
constexpr const QTileRow* kWide = nullptr;
#endif

}  // namespace

EDGEORT_KERNEL(QGemmKernels, qgemm, {kTiles.rows, kTiles.count, kWide})

}  // namespace edgeort
