// Products of few rows by compressed weights, which are read once, and the widening of weights for the tiles of more rows.
#include "compressed.h"

#include "../../simd/half.h"
#include "../../simd/vec.h"

namespace edgeort {
namespace {

constexpr int kRow = static_cast<int>(kPanel);
using Row = Vec<f32, kRow>;
using Bytes = Vec<i8, kRow>;

EDGEORT_INLINE Row to_row(Bytes q) { return __builtin_convertvector(q, Row); }

// Each form: `open` reads what a block of rows shares, `place` elements from the first scale on; `load` makes float32 of the kRows rows at
// `p`, which take kSize bytes.
template <CompressedForm kForm>
struct Form;

template <>
struct Form<kF16> {
  static constexpr int kRows = 1, kSize = 2 * kRow;
  EDGEORT_INLINE void open(const Compressed&, i64) {}
  EDGEORT_INLINE void load(const u8* p, Row (&w)[1]) const { w[0] = load_halves<kRow>(reinterpret_cast<const u16*>(p)); }
};

template <>
struct Form<kInt8> {
  static constexpr int kRows = 1, kSize = kRow;
  Row scale;
  EDGEORT_INLINE void open(const Compressed& c, i64 place) { scale = load_as<Row>(c.scale + place); }
  EDGEORT_INLINE void load(const u8* p, Row (&w)[1]) const { w[0] = to_row(load_as<Bytes>(p)) * scale; }
};

template <>
struct Form<kZeroedInt8> {
  static constexpr int kRows = 1, kSize = kRow;
  Row scale, zero;
  EDGEORT_INLINE void open(const Compressed& c, i64 place) {
    scale = load_as<Row>(c.scale + place);
    zero = to_row(load_as<Bytes>(c.zero + place));
  }
  EDGEORT_INLINE void load(const u8* p, Row (&w)[1]) const { w[0] = (to_row(load_as<Bytes>(p)) - zero) * scale; }
};

template <bool kZeroed>
struct Nibbles {
  static constexpr int kRows = 2, kSize = kRow;
  Row scale;
#if defined(__AVX512F__)
  // A permutation takes the low four bits of its indices, and so needs no mask and no conversion.
  Row values, zero;
  EDGEORT_INLINE void open(const Compressed& c, i64 place) {
    scale = load_as<Row>(c.scale + place);
    values = Row{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} - (kZeroed ? 0.0f : 8.0f);
    if (kZeroed) zero = to_row(load_as<Bytes>(c.zero + place));
  }
  EDGEORT_INLINE Row number(vi index) const {
    const Row q = __builtin_ia32_permvarsf512(values, index);
    return (kZeroed ? q - zero : q) * scale;
  }
  EDGEORT_INLINE void load(const u8* p, Row (&w)[2]) const {
    const vi pairs = __builtin_convertvector((load_as<Vec<u8, kRow>>(p)), vi);
    w[0] = number(pairs);
    w[1] = number(pairs >> 4);
  }
#else
  Bytes zero;
  EDGEORT_INLINE void open(const Compressed& c, i64 place) {
    scale = load_as<Row>(c.scale + place);
    zero = kZeroed ? load_as<Bytes>(c.zero + place) : Bytes{} + static_cast<i8>(8);
  }
  EDGEORT_INLINE void load(const u8* p, Row (&w)[2]) const {
    const auto pairs = load_as<Vec<u8, kRow>>(p);
    w[0] = to_row(bitcast<Bytes>(pairs & 15) - zero) * scale;
    w[1] = to_row(bitcast<Bytes>(pairs >> 4) - zero) * scale;
  }
#endif
};

template <>
struct Form<kInt4> : Nibbles<false> {};
template <>
struct Form<kZeroedInt4> : Nibbles<true> {};

template <CompressedForm kForm>
void widen(const Compressed& c, i64 panels, f32* to) {
  using F = Form<kForm>;
  i64 place = 0;
  for (i64 panel = 0; panel < panels; ++panel) {
    const u8* from = c.rows + panel * c.panel_bytes;
    for (i64 first = 0; first < c.k; first += c.block, place += kRow) {
      F form;
      form.open(c, place);
      const i64 rows = c.k - first < c.block ? c.k - first : c.block;
      for (i64 k = 0; k < rows; k += F::kRows, from += F::kSize) {
        Row w[F::kRows];
        form.load(from, w);
#pragma clang loop unroll(full)
        for (int i = 0; i < F::kRows; ++i) {
          if (k + i < rows) store(to, w[i]), to += kRow;
        }
      }
    }
  }
}

// Panels side by side: enough sums for the latency of a multiply-add, and few enough for the registers.
constexpr int panels_of(int rows) {
#if defined(__AVX512F__)
  return rows > 2 ? 2 : static_cast<int>(kFewPanels);
#else
  return rows > 1 ? 1 : 2;
#endif
}

constexpr int kLine = 64;     // bytes of the cache
constexpr i64 kAhead = 1024;  // how far before its use a panel's line is fetched

// `P` panels, and M rows of what they are multiplied by.
template <CompressedForm kForm, int M, int P>
struct Tile {
  using F = Form<kForm>;
  Row sum[M][P] = {};
  F form[P];
  const u8* at;

  // The products of the first kCount of the rows at `at` by column k of x.
  template <int kCount>
  EDGEORT_INLINE void step(const f32* const (&x)[M], i64 k, i64 panel_bytes) {
    Row w[P][F::kRows];
#pragma clang loop unroll(full)
    for (int p = 0; p < P; ++p) form[p].load(at + p * panel_bytes, w[p]);
#pragma clang loop unroll(full)
    for (int i = 0; i < kCount; ++i) {
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) {
#pragma clang loop unroll(full)
        for (int p = 0; p < P; ++p) sum[m][p] = fma(splat<Row>(x[m][k + i]), w[p][i], sum[m][p]);
      }
    }
    at += F::kSize;
  }

  // Fetches what comes next of each panel; behind its end, of the panel that the next tile has in its place.
  template <bool kOnce>
  EDGEORT_INLINE void fetch(const u8* near_end, i64 panel_bytes) const {
    const u8* from = at + kAhead + (at > near_end ? (P - 1) * panel_bytes : 0);
#pragma clang loop unroll(full)
    for (int p = 0; p < P; ++p) __builtin_prefetch(from + p * panel_bytes, 0, kOnce ? 0 : 3);
  }

  // Rows k to last - 1 of a block, a cache line of each panel at a time; returns the row behind them.
  template <bool kOnce>
  EDGEORT_INLINE i64 lines(const f32* const (&x)[M], i64 k, i64 last, const u8* near_end, i64 panel_bytes) {
    constexpr int kSteps = kLine / F::kSize;
#pragma clang loop unroll(disable)
    for (; k + kSteps * F::kRows <= last; k += kSteps * F::kRows) {
      fetch<kOnce>(near_end, panel_bytes);
#pragma clang loop unroll(full)
      for (int i = 0; i < kSteps; ++i) step<F::kRows>(x, k + i * F::kRows, panel_bytes);
    }
    return k;
  }

  EDGEORT_INLINE void multiply(const f32* const* rows, const Compressed& c, i64 panel) {
    const f32* x[M];
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) x[m] = rows[m];
    at = c.rows + panel * c.panel_bytes;
    const u8* near_end = at + c.panel_bytes - kAhead;
    const i64 panel_step = (c.k + c.block - 1) / c.block * kRow;
    i64 place = panel * panel_step;
    for (i64 first = 0, last; first < c.k; first = last, place += kRow) {
      last = c.k - first < c.block ? c.k : first + c.block;
#pragma clang loop unroll(full)
      for (int p = 0; p < P; ++p) form[p].open(c, place + p * panel_step);
      i64 k = c.once ? lines<true>(x, first, last, near_end, c.panel_bytes) : lines<false>(x, first, last, near_end, c.panel_bytes);
#pragma clang loop unroll(disable)
      for (; k + F::kRows <= last; k += F::kRows) step<F::kRows>(x, k, c.panel_bytes);
      if (k < last) step<1>(x, k, c.panel_bytes);
    }
  }

  EDGEORT_INLINE void put(const CompressedRows& t, const f32* bias, f32* out, i64 columns) {
#pragma clang loop unroll(full)
    for (int p = 0; p < P; ++p) {
      const Row add = bias ? load_as<Row>(bias + p * kRow) : Row{};
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) {
        const Row y = clip_sum(sum[m][p] + add, splat<Row>(t.lo), splat<Row>(t.hi));
        f32* to = out + m * t.out_stride + p * kRow;
        const i64 left = columns - p * kRow;
        if (left >= kRow) {
          store(to, y);
        } else {
          f32 cut[kRow];
          store(cut, y);
          for (i64 i = 0; i < left; ++i) to[i] = cut[i];
        }
      }
    }
  }
};

// Tiles of P panels while they fit; returns the column behind them.
template <CompressedForm kForm, int M, int P>
EDGEORT_INLINE i64 tiles(const CompressedRows& t, i64 column) {
  for (; t.columns - column > (P - 1) * kRow; column += P * kRow) {
    Tile<kForm, M, P> tile;
    tile.multiply(t.rows, t.weights, column / kRow);
    tile.put(t, t.bias ? t.bias + column : nullptr, t.out + column, t.columns - column);
  }
  return column;
}

template <CompressedForm kForm, int M>
void multiply(const CompressedRows& t) {
  const i64 column = tiles<kForm, M, panels_of(M)>(t, 0);
  tiles<kForm, M, 1>(t, column);
}

}  // namespace

#define FEW(form) {multiply<form, 1>, multiply<form, 2>, multiply<form, 3>, multiply<form, 4>}
EDGEORT_KERNEL(CompressedKernels, compressed,
               {{widen<kF16>, widen<kInt8>, widen<kZeroedInt8>, widen<kInt4>, widen<kZeroedInt4>},
                {FEW(kF16), FEW(kInt8), FEW(kZeroedInt8), FEW(kInt4), FEW(kZeroedInt4)}})
#undef FEW

}  // namespace edgeort
