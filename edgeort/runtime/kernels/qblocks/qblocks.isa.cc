// Tiles of products in blocks, and the bytes of rows, for one ISA level.
#include "qblocks.h"

#include "../../simd/lanes16.h"
#include "dots.h"

namespace edgeort {
namespace {

constexpr int kVectors = static_cast<int>(kPanel) / kLanes;  // of a panel
constexpr i64 kAhead = 8192;                                 // bytes, beyond what caches fetch by themselves when a page ends

EDGEORT_INLINE vf load_some(const f32* p, i64 n) { return n >= kLanes ? load(p) : load_n(p, static_cast<int>(n)); }

struct Most {
  template <class T>
  EDGEORT_INLINE T operator()(T a, T b) const {
    return vmax<T>(a, b);
  }
};
struct Plus {
  template <class T>
  EDGEORT_INLINE T operator()(T a, T b) const {
    return a + b;
  }
};

// n <= block numbers; the others of the block are zero.
EDGEORT_INLINE BlockScale quantise_block(const f32* x, i64 n, i64 block, i8* to) {
  vf most = {};
  for (i64 i = 0; i < n; i += kLanes) most = vmax(most, abs(load_some(x + i, n - i)));  // a NaN is passed over
  constexpr f32 kLeastScale = 0x1p-126f;
  const f32 step = tree(most, Most{}) / 127.0f, scale = step > kLeastScale ? step : kLeastScale;
  const vf inverse = splat(1.0f / scale), lo = splat(-127.0f), hi = splat(127.0f);
  vi sum = {};
  for (i64 i = 0; i < block; i += kLanes) {
    const vi q = i < n ? to_int(vmin(vmax(lo, load_some(x + i, n - i) * inverse), hi)) : vi{};
    sum += q;
    store(to + i, __builtin_convertvector(q, Vec<i8, kLanes>));
  }
  return {scale, __builtin_reduce_add(sum)};
}

void quantise(const f32* x, i64 k, i64 block, i8* to, BlockScale* scales) {
  for (i64 first = 0; first < k; first += block, to += block)
    *scales++ = quantise_block(x + first, k - first < block ? k - first : block, block, to);
}

// One panel of M rows.
template <int M, int kBits, bool kZeroed>
struct Tile {
  static constexpr i64 kLoadQuads = kBits == 8 ? 1 : 2;  // quads of kQuadBytes
  static constexpr i64 kGroup = Dots<kBits>::kDeep < kLoadQuads ? kLoadQuads : Dots<kBits>::kDeep;
  vf sum[M][kVectors] = {};
  Dots<kBits> dots[M][kVectors];

  EDGEORT_INLINE void begin(const BlockTile& t, i64 block, const i8* zero) {
    constexpr i32 kZero = kBits == 8 ? 0 : 8;
#pragma clang loop unroll(full)
    for (int v = 0; v < kVectors; ++v) {
      vi less = splat_int(kZero + kOffset<kBits>);
      if constexpr (kZeroed) less = __builtin_convertvector((load_as<Vec<i8, kLanes>>(zero + v * kLanes)), vi) + kOffset<kBits>;
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) dots[m][v].begin(less * -t.scales[m * t.blocks + block].sum);
    }
  }

  // kLoadQuads quads.
  EDGEORT_INLINE void step(const u8* weights, const i8* x, i64 row_step) {
    typename Dots<kBits>::Values values[kLoadQuads][M];
#pragma clang loop unroll(full)
    for (int q = 0; q < kLoadQuads; ++q) {
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) values[q][m] = Dots<kBits>::values(x + m * row_step + q * kQuadRows);
    }
#pragma clang loop unroll(full)
    for (int v = 0; v < kVectors; ++v) {
      const Bytes w = load_as<Bytes>(weights + v * static_cast<i64>(sizeof(Bytes)));
      const Bytes first = kBits == 8 ? w : w & 15;
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) dots[m][v].add(first, values[0][m]);
      if constexpr (kBits == 4) {
        const Bytes second = w >> 4;
#pragma clang loop unroll(full)
        for (int m = 0; m < M; ++m) dots[m][v].add(second, values[1][m]);
      }
    }
  }

  EDGEORT_INLINE void flush() {
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) {
#pragma clang loop unroll(full)
      for (int v = 0; v < kVectors; ++v) dots[m][v].flush();
    }
  }

  template <bool kOnce>
  EDGEORT_INLINE void multiply(const BlockTile& t, const u8* weights, const f32* scale, const i8* zero) {
    const i64 row_step = t.blocks * t.quads * kQuadRows;
    const i8* x = t.rows;
#pragma clang loop unroll(disable)
    for (i64 block = 0; block < t.blocks; ++block, scale += kPanel, zero += kZeroed ? kPanel : 0) {
      begin(t, block, zero);
      i64 left = t.quads;
#pragma clang loop unroll(disable)
      for (; left >= kGroup; left -= kGroup) {
#pragma clang loop unroll(full)
        for (int i = 0; i < kGroup / kLoadQuads; ++i, weights += kQuadBytes, x += kLoadQuads * kQuadRows) {
          __builtin_prefetch(weights + kAhead, 0, kOnce ? 0 : 3);
          step(weights, x, row_step);
        }
        flush();
      }
      if (kGroup > kLoadQuads && left > 0) {
#pragma clang loop unroll(disable)
        for (; left > 0; left -= kLoadQuads, weights += kQuadBytes, x += kLoadQuads * kQuadRows) step(weights, x, row_step);
        flush();
      }
#pragma clang loop unroll(full)
      for (int v = 0; v < kVectors; ++v) {
        const vf w = load(scale + v * kLanes);
#pragma clang loop unroll(full)
        for (int m = 0; m < M; ++m) sum[m][v] = fma(to_float(dots[m][v].sum()), splat(t.scales[m * t.blocks + block].scale) * w, sum[m][v]);
      }
    }
  }

  EDGEORT_INLINE void put(const BlockTile& t, i64 column) const {
    const i64 left = t.columns - column;
#pragma clang loop unroll(full)
    for (int v = 0; v < kVectors; ++v) {
      const vf add = t.bias ? load(t.bias + column + v * kLanes) : vf{};
      const i64 n = left - v * kLanes;
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) {
        f32* to = t.out + m * t.out_stride + column + v * kLanes;
        const vf y = sum[m][v] + add;
        if (n >= kLanes) {
          store(to, y);
        } else if (n > 0) {
          store_n(to, y, static_cast<int>(n));
        }
      }
    }
  }
};

template <int M, int kBits, bool kZeroed>
void multiply(const BlockTile& t) {
  const i64 panel_bytes = t.blocks * t.quads * kQuadBytes / (kBits == 8 ? 1 : 2), panel_scales = t.blocks * kPanel;
  for (i64 column = 0; column < t.columns; column += kPanel) {
    const i64 panel = column / kPanel;
    const u8* weights = t.weights + panel * panel_bytes;
    const f32* scale = t.scale + panel * panel_scales;
    const i8* zero = kZeroed ? t.zero + panel * panel_scales : nullptr;
    Tile<M, kBits, kZeroed> tile;
    t.once ? tile.template multiply<true>(t, weights, scale, zero) : tile.template multiply<false>(t, weights, scale, zero);
    tile.put(t, column);
  }
}

template <int M>
constexpr void fill(BlockKernels& kernels) {
  kernels.multiply[0][0][M - 1] = multiply<M, 8, false>;
  kernels.multiply[0][1][M - 1] = multiply<M, 8, true>;
  kernels.multiply[1][0][M - 1] = multiply<M, 4, false>;
  kernels.multiply[1][1][M - 1] = multiply<M, 4, true>;
  if constexpr (M > 1) fill<M - 1>(kernels);
}

// The row of kernels.inc that is of this level.
template <bool kHere, int kRows>
constexpr void take(BlockKernels& kernels) {
  if constexpr (kHere) {
    kernels.rows = kRows;
    fill<kRows>(kernels);
  }
}

constexpr BlockKernels made() {
  BlockKernels kernels = {};
  kernels.quantise = quantise;
#define TILE(level, rows) take<kIsa_##level == EDGEORT_PASTE(kIsa, EDGEORT_ISA), rows>(kernels);
#include "kernels.inc"
#undef TILE
  return kernels;
}

}  // namespace

EDGEORT_KERNEL(BlockKernels, qblocks, made())

}  // namespace edgeort
