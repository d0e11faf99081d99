// The transforms of Winograd convolution for one ISA level: every step is one IEEE operation, so that all levels agree.
#include "winograd_shares.h"

namespace edgeort {
namespace {

// Keeps the compiler from folding an address or an offset into its uses. Arm's paired stores reach 1 KB around an address, and
// the sum of two registers costs them nothing.
template <class T>
EDGEORT_INLINE T anchor(T value) {
  asm("" : "+r"(value));
  return value;
}

constexpr i64 kBytes = sizeof(f32);
EDGEORT_INLINE f32* at(f32* p, i64 bytes) { return reinterpret_cast<f32*>(reinterpret_cast<char*>(p) + bytes); }
EDGEORT_INLINE const f32* at(const f32* p, i64 bytes) { return reinterpret_cast<const f32*>(reinterpret_cast<const char*>(p) + bytes); }

// ---- input -----------------------------------------------------------------------------------------------------------

// The positions of F(M, 3) from M + 2 values.
template <int M>
EDGEORT_INLINE void input_1d(const vf (&d)[kIn], vf (&t)[kIn]) {
  if constexpr (M == 1) {
    t[1] = d[0] - d[1];
    t[2] = d[1];
    t[0] = d[2] - d[1];
  } else if constexpr (M == 2) {
    t[1] = d[0] - d[2];
    t[2] = d[1] + d[2];
    t[3] = d[2] - d[1];
    t[0] = d[3] - d[1];
  } else if constexpr (M == 3) {
    const vf e = d[3] - d[1];
    t[1] = fma(splat(2.0f), d[0] - d[2], e);
    t[2] = fma(splat(-2.0f), d[1], d[3] - d[2]);
    t[3] = fma(splat(2.0f), d[1], fma(splat(-3.0f), d[2], d[3]));
    t[4] = e;
    t[0] = fma(splat(-2.0f), e, d[4] - d[2]);
  } else {
    const vf c = d[4] - d[2], e = d[3] - d[1];
    const vf a = fma(splat(-4.0f), d[2], d[4]), b = fma(splat(-4.0f), d[1], d[3]);
    t[1] = fma(splat(4.0f), d[0] - d[2], c);
    t[2] = a + b;
    t[3] = a - b;
    t[4] = fma(splat(2.0f), e, c);
    t[5] = fma(splat(-2.0f), e, c);
    t[0] = fma(splat(-4.0f), e, d[5] - d[3]);
  }
}

constexpr i64 kPiece = 8;  // tiles whose columns are transformed before their rows
constexpr i64 kPieceColumns = kPiece * kOut + 2;

EDGEORT_INLINE i64 clamp(i64 value, i64 lo, i64 hi) { return value < lo ? lo : value > hi ? hi : value; }

// kLanes channels of the columns of pixels under a few tiles of M lines, along y. Neighbouring tiles share columns.
template <int M, class Load>
EDGEORT_INLINE void columns_from(const WinogradPatches& p, i64 left, i64 count, i64 c, vf (*columns)[kIn], const Load& load_pixel) {
  const f32* lines[M + 2];
#pragma clang loop unroll(full)
  for (int y = 0; y < M + 2; ++y) lines[y] = anchor(p.lines[y] + left * p.pixel_step + c);
  const i64 step = p.pixel_step * kBytes, begin = clamp(-left, 0, count), end = clamp(p.width - left, begin, count);
  const vf zero[kIn] = {};
  for (i64 x = 0; x < begin; ++x) __builtin_memcpy(columns[x], zero, sizeof(zero));
  for (i64 x = end; x < count; ++x) __builtin_memcpy(columns[x], zero, sizeof(zero));
  i64 offset = begin * step;
  for (i64 x = begin; x < end; ++x, offset = anchor(offset + step)) {
    vf d[kIn];
#pragma clang loop unroll(full)
    for (int y = 0; y < M + 2; ++y) d[y] = load_pixel(at(lines[y], offset));
    input_1d<M>(d, columns[x]);
  }
}

template <int M>
void input_columns(const WinogradPatches& p, i64 left, i64 count, i64 c, vf (*columns)[kIn]) {
  const int rest = static_cast<int>(p.channels - c);
  if (rest >= kLanes) {
    columns_from<M>(p, left, count, c, columns, [](const f32* pixel) { return load(pixel); });
  } else {
    columns_from<M>(p, left, count, c, columns, [&](const f32* pixel) { return load_n(pixel, rest); });
  }
}

// Along x, for each tile of M columns of outputs.
template <int M>
void input_rows(const WinogradPatches& p, const vf (*columns)[kIn], i64 tiles, f32* to) {
  const i64 height = p.out_height, step = p.position_step;
  i64 offsets[kIn];
#pragma clang loop unroll(full)
  for (int x = 0; x < kIn; ++x) offsets[x] = anchor(x * step * kBytes);
  for (i64 tile = 0; tile < tiles; ++tile, to += kLanes, columns += kOut) {
    f32* row = to;
    for (int y = 0; y < height + 2; ++y, row += kIn * step) {
      vf d[kIn], t[kIn];
#pragma clang loop unroll(full)
      for (int x = 0; x < M + 2; ++x) d[x] = columns[x][y];
      input_1d<M>(d, t);
#pragma clang loop unroll(full)
      for (int x = 0; x < M + 2; ++x) store(at(row, offsets[x]), t[x]);
    }
  }
}

void input(const WinogradPatches& p) {
  constexpr void (*kColumns[])(const WinogradPatches&, i64, i64, i64, vf(*)[kIn]) = {input_columns<1>, input_columns<2>, input_columns<3>,
                                                                                     input_columns<4>};
  constexpr void (*kRows[])(const WinogradPatches&, const vf(*)[kIn], i64, f32*) = {input_rows<1>, input_rows<2>, input_rows<3>,
                                                                                    input_rows<4>};
  vf columns[kPieceColumns][kIn];
  for (i64 first = 0; first < p.tiles; first += kPiece) {
    const i64 tiles = p.tiles - first < kPiece ? p.tiles - first : kPiece;
    const i64 left = p.left + first * kOut, count = (tiles - 1) * kOut + p.out_width + 2;
    f32* to = p.to + first * kLanes;
    for (i64 c = 0; c < p.channels; c += kLanes, to += p.channel_step) {
      kColumns[p.out_height - 1](p, left, count, c, columns);
      kRows[p.out_width - 1](p, columns, tiles, to);
    }
  }
}

// ---- weights ---------------------------------------------------------------------------------------------------------

// t[i] = the i-th row of G times g, without its factor.
EDGEORT_INLINE void weights_1d(const vf (&g)[3], vf (&t)[kIn]) {
  const vf s = g[0] + g[2], u = fma(splat(4.0f), g[2], g[0]);
  t[1] = g[0];
  t[2] = s + g[1];
  t[3] = s - g[1];
  t[4] = fma(splat(2.0f), g[1], u);
  t[5] = fma(splat(-2.0f), g[1], u);
  t[0] = g[2];
}

// kPair vectors at once, which Arm stores together.
template <int kWhich, int V>
void weights_share(const WinogradWeights& w) {
  constexpr i64 kRow = V * kLanes, kPair = V % 2 == 0 && kPanelVectors > 1 ? 2 : 1, kNear = kShare % 4 == 0 ? 4 : kShare;
  const i64 channels = w.channels, panel_step = w.panel_step;
  const f32* taps = w.from;
  f32* block = w.to;
  for (i64 c = 0; c < channels; ++c, taps += 9 * kPanel) {
    if (c != 0 && c % kLanes == 0) block += kShare * kLanes * kRow;
    f32* to[kShare / kNear];
#pragma clang loop unroll(full)
    for (int i = 0; i < kShare / kNear; ++i) to[i] = anchor(block + (i * kNear * kLanes + c % kLanes) * kRow);
#pragma clang loop unroll(full)
    for (int v = 0; v < V; v += kPair) {
      const f32* from = taps + v / kPanelVectors * panel_step + v % kPanelVectors * kLanes;
      vf rows[kPair][kShareRows][3];
#pragma clang loop unroll(full)
      for (int i = 0; i < kPair; ++i) {
#pragma clang loop unroll(full)
        for (int x = 0; x < 3; ++x) {
          vf g[3], t[kIn];
#pragma clang loop unroll(full)
          for (int y = 0; y < 3; ++y) g[y] = load(from + (y * 3 + x) * kPanel + i * kLanes);
          weights_1d(g, t);
#pragma clang loop unroll(full)
          for (int y = 0; y < kShareRows; ++y) rows[i][y][x] = t[kWhich * kShareRows + y];
        }
      }
#pragma clang loop unroll(full)
      for (int y = 0; y < kShareRows; ++y) {
        vf t[kPair][kIn];
#pragma clang loop unroll(full)
        for (int i = 0; i < kPair; ++i) weights_1d(rows[i][y], t[i]);
#pragma clang loop unroll(full)
        for (int x = 0; x < kIn; ++x) {
#pragma clang loop unroll(full)
          for (int i = 0; i < kPair; ++i) {
            const int position = y * kIn + x;
            store(to[position / kNear] + position % kNear * kLanes * kRow + (v + i) * kLanes, t[i][x]);
          }
        }
      }
    }
  }
#if defined(__ARM_NEON)
  // The product takes whole vectors of channels.
  for (i64 c = channels; c % kLanes != 0; ++c) {
    for (i64 i = 0; i < kShare; ++i) {
      for (i64 column = 0; column < kRow; column += kLanes) store(block + (i * kLanes + c % kLanes) * kRow + column, splat(0.0f));
    }
  }
#endif
}

template <int V, int kWhich = 0>
void weights(const WinogradWeights& w, int share) {
  if (share == kWhich) return weights_share<kWhich, V>(w);
  if constexpr ((kWhich + 1) * kShareRows < kIn) weights<V, kWhich + 1>(w, share);
}

// ---- output ----------------------------------------------------------------------------------------------------------

// -6 times the rows of A^T, with the factors that weights_1d leaves out.
template <int M>
EDGEORT_INLINE void output_1d(const vf (&m)[kIn], vf (&y)[kOut]) {
  if constexpr (M == 1) {
    y[0] = splat(-6.0f) * ((m[1] + m[2]) + m[0]);
  } else if constexpr (M == 2) {
    y[0] = splat(-3.0f) * fma(splat(2.0f), m[1], m[2] + m[3]);
    y[1] = splat(-3.0f) * fma(splat(2.0f), m[0], m[2] - m[3]);
  } else if constexpr (M == 3) {
    y[0] = fma(splat(3.0f), m[2] - m[1], m[3] - m[4]);
    y[1] = fma(splat(-2.0f), m[4], fma(splat(3.0f), m[2], -m[3]));
    y[2] = fma(splat(-6.0f), m[0], fma(splat(-4.0f), m[4], fma(splat(3.0f), m[2], m[3])));
  } else {
    const vf s12 = m[2] + m[3], d12 = m[2] - m[3], s34 = m[4] + m[5], d34 = m[4] - m[5];
    y[0] = fma(splat(-0.25f), s34, fma(splat(-1.5f), m[1], s12));
    y[1] = fma(splat(-0.5f), d34, d12);
    y[2] = s12 - s34;
    y[3] = fma(splat(-6.0f), m[0], fma(splat(-2.0f), d34, d12));
  }
}

EDGEORT_INLINE void output_any(i64 outputs, const vf (&m)[kIn], vf (&y)[kOut]) {
  switch (outputs) {
    case 1:
      return output_1d<1>(m, y);
    case 2:
      return output_1d<2>(m, y);
    case 3:
      return output_1d<3>(m, y);
    default:
      return output_1d<4>(m, y);
  }
}

__attribute__((noinline)) void output_edge(const WinogradTile& t) {
  for (i64 c = 0; c < t.columns; c += kLanes) {
    vf columns[kIn][kOut] = {};
    for (int x = 0; x < t.out_width + 2; ++x) {
      vf m[kIn];
#pragma clang loop unroll(full)
      for (int y = 0; y < kIn; ++y) m[y] = load(t.from + (y * kIn + x) * t.position_step + c);
      output_any(t.out_height, m, columns[x]);
    }
    for (int y = 0; y < t.out_height; ++y) {
      vf m[kIn], out[kOut];
#pragma clang loop unroll(full)
      for (int x = 0; x < kIn; ++x) m[x] = columns[x][y];
      output_any(t.out_width, m, out);
      for (int x = 0; x < t.out_width; ++x) {
        const vf value = clip_sum(out[x] * splat(1.0f / 36) + load(t.bias + c), splat(t.lo), splat(t.hi));
        store(t.to + y * t.line_step + x * t.pixel_step + c, value);
      }
    }
  }
}

void output(const WinogradTile& t) {
  if (t.out_height != kOut || t.out_width != kOut) return output_edge(t);
  const vf low = splat(t.lo), high = splat(t.hi);
  const i64 count = t.columns, step = t.position_step, line_step = t.line_step, pixel_step = t.pixel_step;
  const f32 *from = t.from, *biases = t.bias;
  f32* to = t.to;
  i64 offsets[kIn];
#pragma clang loop unroll(full)
  for (int x = 0; x < kIn; ++x) offsets[x] = anchor(x * step * kBytes);
  for (i64 c = 0; c < count; c += kLanes, from += kLanes, biases += kLanes, to += kLanes) {
    const vf bias = load(biases);
    const f32* rows[kIn];
#pragma clang loop unroll(full)
    for (int y = 0; y < kIn; ++y) rows[y] = anchor(from + y * kIn * step);
    vf columns[kIn][kOut];
#pragma clang loop unroll(full)
    for (int x = 0; x < kIn; ++x) {
      vf m[kIn];
#pragma clang loop unroll(full)
      for (int y = 0; y < kIn; ++y) m[y] = load(at(rows[y], offsets[x]));
      output_1d<kOut>(m, columns[x]);
    }
#pragma clang loop unroll(full)
    for (int y = 0; y < kOut; ++y) {
      vf m[kIn], out[kOut];
#pragma clang loop unroll(full)
      for (int x = 0; x < kIn; ++x) m[x] = columns[x][y];
      output_1d<kOut>(m, out);
#pragma clang loop unroll(full)
      for (int x = 0; x < kOut; ++x) store(to + y * line_step + x * pixel_step, clip_sum(out[x] * splat(1.0f / 36) + bias, low, high));
    }
  }
}

}  // namespace

EDGEORT_KERNEL(WinogradTransforms, winograd_transforms, {input, {weights<kPanelVectors>, weights<kWide>}, output})

}  // namespace edgeort
