// Register tiles of the int8 product for one ISA level.
#include "qgemm.h"

#include "dots.h"
#include "finish.h"

namespace edgeort {
namespace {

enum class Kind { floats, bytes, rectified };

// Results of a row from its sums.
template <int C>
struct Finish {
  static constexpr int kVectors = C / kLanes;
  vf scale[kVectors];
  ToBytes<C> to_bytes;

  EDGEORT_INLINE Finish(const QResult& r, i64 column) : to_bytes(r) {
#pragma clang loop unroll(full)
    for (int i = 0; i < kVectors; ++i) scale[i] = load(r.scale + column + i * kLanes);
  }

  template <Kind kKind, int M>
  EDGEORT_INLINE void rows(const vi (&sum)[M][kVectors], char* out, i64 stride) const {
    vf y[M][kVectors];
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) {
#pragma clang loop unroll(full)
      for (int i = 0; i < kVectors; ++i) y[m][i] = to_float(sum[m][i]) * scale[i];
    }
    if constexpr (kKind == Kind::bytes || kKind == Kind::rectified) {
      to_bytes.template rows<kKind == Kind::rectified>(y, out, stride);
    } else {
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m, out += stride) __builtin_memcpy(out, y[m], sizeof(y[m]));
    }
  }
};

// `rows` rows of C sums, each by its own scale.
template <int C, bool kOffset>
__attribute__((noinline)) void restore_rows(const vi* sum, i64 rows, const f32* scales, const ByRow& by, i64 column, char* out,
                                            i64 stride) {
  constexpr int kVectors = C / kLanes;
  vi sums[kVectors];
  vf scale[kVectors], offset[kVectors];
#pragma clang loop unroll(full)
  for (int i = 0; i < kVectors; ++i) {
    sums[i] = load(by.sums + column + i * kLanes);
    scale[i] = load(scales + column + i * kLanes);
    if constexpr (kOffset) offset[i] = load(by.offset + column + i * kLanes);
  }
#pragma clang loop unroll(disable)
  for (i64 m = 0; m < rows; ++m, out += stride, sum += kVectors) {
    const vi zero = splat_int(by.rows[m].zero), more = splat_int(by.rows[m].more);
    const vf step = splat(by.rows[m].scale);
#pragma clang loop unroll(full)
    for (int i = 0; i < kVectors; ++i) {
      vf y = (to_float(sum[i] - zero * sums[i] + more) * scale[i]) * step;
      if constexpr (kOffset) y += offset[i];
      store(reinterpret_cast<f32*>(out) + i * kLanes, y);
    }
  }
}

#if defined(__x86_64__)
// Tiles are many and large there: what follows their sums is one function for all of a width.
template <int C, Kind kKind>
__attribute__((noinline)) void finish_rows(const vi* sums, i64 rows, const QResult& r, i64 column, char* out, i64 stride) {
  constexpr int kRows = kKind == Kind::floats ? 1 : 4 * kLanes / C;
  const Finish<C> finish(r, column);
  i64 m = 0;
#pragma clang loop unroll(disable)
  for (; m + kRows <= rows; m += kRows) {
    vi sum[kRows][C / kLanes];
    __builtin_memcpy(sum, sums + m * (C / kLanes), sizeof(sum));
    finish.template rows<kKind>(sum, out + m * stride, stride);
  }
#pragma clang loop unroll(disable)
  for (; m < rows; ++m) {
    vi sum[1][C / kLanes];
    __builtin_memcpy(sum, sums + m * (C / kLanes), sizeof(sum));
    finish.template rows<kKind>(sum, out + m * stride, stride);
  }
}
#endif

// A copy has an address, so that the sums of other tiles stay in registers.
template <int M, int C>
EDGEORT_INLINE void put_by_row(const vi (&sum)[M][C / kLanes], const QResult& r, const ByRow& by, i64 block, i64 column, char* out,
                               i64 stride) {
  vi kept[M * (C / kLanes)];
#pragma clang loop unroll(full)
  for (int m = 0; m < M; ++m) {
#pragma clang loop unroll(full)
    for (int i = 0; i < C / kLanes; ++i) kept[m * (C / kLanes) + i] = sum[m][i];
  }
  const auto restore = by.offset ? restore_rows<C, true> : restore_rows<C, false>;
  restore(kept, M, r.scale, {by.rows + block * M, by.sums, by.offset}, column, out, stride);
}

// Results of a tile, `stride` bytes between rows; `block`: how many tiles of M rows stand above it.
template <int M, int C, bool kMayByRow = true, class Sums>
EDGEORT_INLINE void put(const Sums& sums, const QResult& r, bool has_rows, const ByRow& by, i64 block, i64 column, char* out, i64 stride) {
  vi sum[M][C / kLanes];
#pragma clang loop unroll(full)
  for (int m = 0; m < M; ++m) {
#pragma clang loop unroll(full)
    for (int i = 0; i < C / kLanes; ++i) sum[m][i] = sums.get(m, i);
  }
  if (kMayByRow && __builtin_expect(has_rows, 0)) return put_by_row<M, C>(sum, r, by, block, column, out, stride);
#if defined(__x86_64__)
  const auto finish = r.rectified   ? finish_rows<C, Kind::rectified>
                      : r.quantised ? finish_rows<C, Kind::bytes>
                                    : finish_rows<C, Kind::floats>;
  finish(&sum[0][0], M, r, column, out, stride);
#else
  const Finish<C> finish(r, column);
  if (r.rectified) {
    finish.template rows<Kind::rectified>(sum, out, stride);
  } else if (r.quantised) {
    finish.template rows<Kind::bytes>(sum, out, stride);
  } else {
    finish.template rows<Kind::floats>(sum, out, stride);
  }
#endif
}

__attribute__((noinline)) void copy_columns(const char* from, i64 from_stride, char* to, i64 to_stride, i64 rows, i64 bytes) {
  for (i64 m = 0; m < rows; ++m) __builtin_memcpy(to + m * to_stride, from + m * from_stride, static_cast<size_t>(bytes));
}

// Whole tiles of rows of one tap, whose quads have steps.
template <int M, int C, bool kByRow>
void stepped_tiles(const QTile& t) {
  const i64 element = t.result.quantised ? 1 : i64{sizeof(f32)}, stride = t.out_stride * element;
  const i64 kc = t.kc, begin = t.begin, end = t.end, next = t.step - kc;
  const QSteps steps = t.steps;
  const QResult result = t.result;
  const q8* a[M];
#pragma clang loop unroll(full)
  for (int m = 0; m < M; ++m) a[m] = t.rows[m];
  char* block = static_cast<char*>(t.out) + begin * element;
  for (i64 i = 0; i < t.repeat; ++i, block += M * stride) {
    const u64* words = steps.words + begin / kStepColumns * steps.count;
    char* out = block;
    for (i64 column = begin;;) {
      const u64 at = static_cast<u64>(column);
      Dots<M, C, false> dots;
      dots.begin(result.bias + kBiasLanes * column);
      dots.stepped(a, t.panels + at / kPanel * static_cast<u64>(t.panel_stride) + at % kPanel * kDepth, steps, words);
      put<M, C, kByRow>(dots, result, true, t.by_row, i, column, out, stride);
      column += C;
      if (column >= end) break;
      out += C * element;
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) a[m] -= kc;
    }
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) a[m] += next;
  }
}

template <int M, int C, bool kWide>
void tile(const QTile& t) {
  if constexpr (kStepped && !kWide) {
    if (t.steps.words && (t.end - t.begin) % C == 0) {
      return t.by_row.rows ? stepped_tiles<M, C, true>(t) : stepped_tiles<M, C, false>(t);
    }
  }
  const i64 taps = t.taps, quads = t.kc / kDepth, rest = t.kc % kDepth, end = t.end, step = t.step;
  const QResult result = t.result;
  const bool has_rows = t.by_row.rows != nullptr;
  const q8* const* const pointers = t.rows;
  const i64 element = result.quantised ? 1 : i64{sizeof(f32)}, stride = t.out_stride * element;
  char* block = static_cast<char*>(t.out) + t.begin * element;
  for (i64 i = 0, shift = 0; i < t.repeat; ++i, shift += step, block += M * stride) {
    char* out = block;
    for (i64 column = t.begin; column < end; column += C, out += C * element) {
      Dots<M, C, kWide> dots;
      dots.begin(result.bias + kBiasLanes * column);
      if constexpr (kOrdered) dots.follow(t.order, column);
      const i8* panels[panels_of(C)];
#pragma clang loop unroll(full)
      for (int p = 0; p < panels_of(C); ++p) {
        const u64 at = static_cast<u64>(column);
        panels[p] = t.panels + (at / kPanel + static_cast<u64>(p)) * static_cast<u64>(t.panel_stride) + at % kPanel * kDepth;
      }
      const q8* const* rows = pointers;
      i64 left = taps;
      do {
        const q8* a[M];
#pragma clang loop unroll(full)
        for (int m = 0; m < M; ++m) a[m] = rows[m] + shift;
        dots.quads(a, quads, panels, t.once);
        if (rest) {
          Quads<M> last;
#pragma clang loop unroll(full)
          for (int m = 0; m < M; ++m) last.of[m] = last_quad(rows[m] + shift, quads * kDepth + rest);
          dots.quad(last, panels);
        }
        rows += M;
      } while (--left > 0);
      if (end - column >= C) {
        put<M, C>(dots, result, has_rows, t.by_row, i, column, out, stride);
      } else {
        char cut[M * C * i64{sizeof(f32)}];
        put<M, C>(dots, result, has_rows, t.by_row, i, column, cut, C * element);
        copy_columns(cut, C * element, out, stride, M, (end - column) * element);
      }
    }
  }
}

template <int M, int C, bool kWide>
constexpr void fill(QTileRow& row) {
  row.fn[M - 1] = tile<M, C, kWide>;
  if constexpr (M > 1) fill<M - 1, C, kWide>(row);
}

template <int kRows, int C, bool kWide>
constexpr QTileRow tile_row() {
  QTileRow row = {kRows, C, {}};
  fill<kRows, C, kWide>(row);
  return row;
}

// The rows of kernels.inc that are of this level.
struct Table {
  QTileRow rows[4];
  int count;
};

template <bool kHere, int kRows, int C>
constexpr void append(Table& table) {
  if constexpr (kHere) {
    table.rows[table.count++] = tile_row<kRows, C, false>();
  }
}

constexpr Table tiles() {
  Table table = {};
#define TILE(level, rows, columns) append<kIsa_##level == EDGEORT_PASTE(kIsa, EDGEORT_ISA), rows, columns>(table);
#include "kernels.inc"
#undef TILE
  return table;
}

constexpr Table kTiles = tiles();

#if defined(__ARM_NEON) && !defined(__ARM_FEATURE_DOTPROD)
constexpr QTileRow kWideRow = tile_row<2, 8, true>();
constexpr const QTileRow* kWide = &kWideRow;
#else
constexpr const QTileRow* kWide = nullptr;
#endif

}  // namespace

EDGEORT_KERNEL(QGemmKernels, qgemm, {kTiles.rows, kTiles.count, kWide, kBiasLanes})

}  // namespace edgeort
