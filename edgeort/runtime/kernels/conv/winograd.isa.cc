// The transforms of Winograd's images for one ISA level: every step is one IEEE operation, so that all levels agree.
#include "winograd_shares.h"

namespace edgeort {
namespace {

// ---- input -----------------------------------------------------------------------------------------------------------

constexpr int kOut = kWinogradOut;

// N values at N points, the first of infinity, 0, 1, -1, 2, -2: t[0] alone depends on d[N - 1].
template <int N>
EDGEORT_INLINE void evaluate(const vf* d, vf* t) {
  if constexpr (N == 2) {
    t[1] = d[0];
    t[0] = d[1];
  } else if constexpr (N == 3) {
    t[1] = d[0] - d[1];
    t[2] = d[1];
    t[0] = d[2] - d[1];
  } else if constexpr (N == 4) {
    t[1] = d[0] - d[2];
    t[2] = d[1] + d[2];
    t[3] = d[2] - d[1];
    t[0] = d[3] - d[1];
  } else if constexpr (N == 5) {
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

// Pixels under M outputs of stride S.
template <int S, int M>
constexpr int kPixels = S == 1 ? M + 2 : 2 * M + 1;

// The positions of that many pixels.
template <int S, int M>
EDGEORT_INLINE void input_1d(const vf (&d)[winograd_in(S)], vf (&t)[winograd_in(S)]) {
  if constexpr (S == 1) {
    evaluate<M + 2>(d, t);
  } else {
    vf even[M + 1], odd[M + 1], finite[M + 1];
#pragma clang loop unroll(full)
    for (int i = 0; i <= M; ++i) even[i] = d[2 * i];
#pragma clang loop unroll(full)
    for (int i = 0; i < M; ++i) odd[i] = d[2 * i + 1];
    odd[M] = splat(0.0f);
    evaluate<M + 1>(even, t);
    evaluate<M + 1>(odd, finite);
#pragma clang loop unroll(full)
    for (int i = 0; i < M; ++i) t[winograd_sums(S) + i] = finite[1 + i];
  }
}

// Whether a tile of so many outputs has position i.
template <int S>
EDGEORT_INLINE bool has(i64 outputs, int i) {
  return S == 1 ? i < outputs + 2 : i <= outputs || (i >= winograd_sums(S) && i < winograd_sums(S) + outputs);
}

// Tiles whose columns are transformed before their rows; columns stay in level 1.
template <int S>
constexpr i64 kPiece = S == 1 ? 8 : 4;

EDGEORT_INLINE i64 clamp(i64 value, i64 lo, i64 hi) { return value < lo ? lo : value > hi ? hi : value; }

// kLanes channels of the columns of pixels under a few tiles of M lines, along y. Neighbouring tiles share columns.
template <int S, int M, class Load>
EDGEORT_INLINE void columns_from(const WinogradPatches& p, i64 left, i64 count, i64 c, vf (*columns)[winograd_in(S)],
                                 const Load& load_pixel) {
  const f32* lines[kPixels<S, M>];
#pragma clang loop unroll(full)
  for (int y = 0; y < kPixels<S, M>; ++y) lines[y] = anchor(p.lines[y] + left * p.pixel_step + c);
  const i64 step = p.pixel_step * kBytes, begin = clamp(-left, 0, count), end = clamp(p.width - left, begin, count);
  const vf zero[winograd_in(S)] = {};
  for (i64 x = 0; x < begin; ++x) __builtin_memcpy(columns[x], zero, sizeof(zero));
  for (i64 x = end; x < count; ++x) __builtin_memcpy(columns[x], zero, sizeof(zero));
  i64 offset = begin * step;
  for (i64 x = begin; x < end; ++x, offset = anchor(offset + step)) {
    vf d[winograd_in(S)];
#pragma clang loop unroll(full)
    for (int y = 0; y < kPixels<S, M>; ++y) d[y] = load_pixel(at(lines[y], offset));
    input_1d<S, M>(d, columns[x]);
  }
}

template <int S, int M>
void input_columns(const WinogradPatches& p, i64 left, i64 count, i64 c, vf (*columns)[winograd_in(S)]) {
  const int rest = static_cast<int>(p.channels - c);
  if (rest >= kLanes) {
    columns_from<S, M>(p, left, count, c, columns, [](const f32* pixel) { return load(pixel); });
  } else {
    columns_from<S, M>(p, left, count, c, columns, [&](const f32* pixel) { return load_n(pixel, rest); });
  }
}

// Along x, for each tile of M columns of outputs.
template <int S, int M>
void input_rows(const WinogradPatches& p, const vf (*columns)[winograd_in(S)], i64 tiles, f32* to) {
  constexpr int kIn = winograd_in(S);
  const i64 height = p.out_height, step = p.position_step;
  i64 offsets[kIn];
#pragma clang loop unroll(full)
  for (int x = 0; x < kIn; ++x) offsets[x] = anchor(x * step * kBytes);
  for (i64 tile = 0; tile < tiles; ++tile, to += kLanes, columns += S * kOut) {
    f32* row = to;
    for (int y = 0; y < kIn; ++y, row += kIn * step) {
      if (!has<S>(height, y)) continue;
      vf d[kIn], t[kIn];
#pragma clang loop unroll(full)
      for (int x = 0; x < kPixels<S, M>; ++x) d[x] = columns[x][y];
      input_1d<S, M>(d, t);
#pragma clang loop unroll(full)
      for (int x = 0; x < kIn; ++x) {
        if (has<S>(M, x)) store(at(row, offsets[x]), t[x]);
      }
    }
  }
}

template <int S>
void input(const WinogradPatches& p) {
  constexpr int kIn = winograd_in(S);
  constexpr void (*kColumns[])(const WinogradPatches&, i64, i64, i64, vf(*)[kIn]) = {input_columns<S, 1>, input_columns<S, 2>,
                                                                                     input_columns<S, 3>, input_columns<S, 4>};
  constexpr void (*kRows[])(const WinogradPatches&, const vf(*)[kIn], i64, f32*) = {input_rows<S, 1>, input_rows<S, 2>, input_rows<S, 3>,
                                                                                    input_rows<S, 4>};
  vf columns[kPixels<S, kOut> + (kPiece<S> - 1) * S * kOut][kIn];
  for (i64 first = 0; first < p.tiles; first += kPiece<S>) {
    const i64 tiles = p.tiles - first < kPiece<S> ? p.tiles - first : kPiece<S>;
    const i64 left = p.left + first * S * kOut, count = ((tiles - 1) * kOut + p.out_width - 1) * S + 3;
    f32* to = p.to + first * kLanes;
    for (i64 c = 0; c < p.channels; c += kLanes, to += p.channel_step) {
      kColumns[p.out_height - 1](p, left, count, c, columns);
      kRows[p.out_width - 1](p, columns, tiles, to);
    }
  }
}

// ---- output ----------------------------------------------------------------------------------------------------------

// -6 times the rows of A^T, with the factors that the weights lack.
template <int S, int M>
EDGEORT_INLINE void output_1d(const vf (&m)[winograd_sums(S)], vf (&y)[kOut]) {
  if constexpr (S == 2 && M == 1) {
    y[0] = splat(-6.0f) * (m[1] + m[0]);
  } else if constexpr (S == 2 && M == 2) {
    y[0] = splat(-6.0f) * (m[1] + m[2]);
    y[1] = splat(-6.0f) * (m[2] + m[0]);
  } else if constexpr (S == 2 && M == 3) {
    const vf s = m[2] + m[3];
    y[0] = splat(-3.0f) * fma(splat(2.0f), m[1], s);
    y[1] = splat(-3.0f) * (m[2] - m[3]);
    y[2] = splat(-3.0f) * fma(splat(2.0f), m[0], s);
  } else if constexpr (S == 2) {
    const vf d = fma(splat(3.0f), m[2], -m[3]);
    y[0] = fma(splat(3.0f), m[2] - m[1], m[3] - m[4]);
    y[1] = fma(splat(-2.0f), m[4], d);
    y[2] = fma(splat(-4.0f), m[4], fma(splat(3.0f), m[2], m[3]));
    y[3] = fma(splat(-6.0f), m[0], fma(splat(-8.0f), m[4], d));
  } else if constexpr (M == 1) {
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

template <int S>
EDGEORT_INLINE void output_any(i64 outputs, const vf (&m)[winograd_sums(S)], vf (&y)[kOut]) {
  switch (outputs) {
    case 1:
      return output_1d<S, 1>(m, y);
    case 2:
      return output_1d<S, 2>(m, y);
    case 3:
      return output_1d<S, 3>(m, y);
    default:
      return output_1d<S, 4>(m, y);
  }
}

template <int S>
__attribute__((noinline)) void output_edge(const WinogradTile& t) {
  constexpr int kIn = winograd_sums(S);
  for (i64 c = 0; c < t.columns; c += kLanes) {
    vf columns[kIn][kOut] = {};
    for (int x = 0; x < t.out_width + kIn - kOut; ++x) {
      vf m[kIn];
#pragma clang loop unroll(full)
      for (int y = 0; y < kIn; ++y) m[y] = load(t.from + (y * kIn + x) * t.position_step + c);
      output_any<S>(t.out_height, m, columns[x]);
    }
    for (int y = 0; y < t.out_height; ++y) {
      vf m[kIn], out[kOut];
#pragma clang loop unroll(full)
      for (int x = 0; x < kIn; ++x) m[x] = columns[x][y];
      output_any<S>(t.out_width, m, out);
      for (int x = 0; x < t.out_width; ++x) {
        vf value = out[x] * splat(1.0f / 36) + load(t.bias + c);
        if (t.addend) value = value + load(t.addend + y * t.addend_line_step + x * t.addend_pixel_step + c);
        value = clip_sum(value, splat(t.lo), splat(t.hi));
        store(t.to + y * t.line_step + x * t.pixel_step + c, value);
      }
    }
  }
}

template <int S, bool kAdds>
void output_whole(const WinogradTile& t) {
  constexpr int kIn = winograd_sums(S);
  const vf low = splat(t.lo), high = splat(t.hi);
  const i64 count = t.columns, step = t.position_step, line_step = t.line_step, pixel_step = t.pixel_step;
  const i64 addend_line_step = t.addend_line_step, addend_pixel_step = t.addend_pixel_step;
  const f32 *from = t.from, *biases = t.bias, *addends = t.addend;
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
      output_1d<S, kOut>(m, columns[x]);
    }
#pragma clang loop unroll(full)
    for (int y = 0; y < kOut; ++y) {
      vf m[kIn], out[kOut];
#pragma clang loop unroll(full)
      for (int x = 0; x < kIn; ++x) m[x] = columns[x][y];
      output_1d<S, kOut>(m, out);
#pragma clang loop unroll(full)
      for (int x = 0; x < kOut; ++x) {
        vf value = out[x] * splat(1.0f / 36) + bias;
        if constexpr (kAdds) value = value + load(addends + y * addend_line_step + x * addend_pixel_step);
        store(to + y * line_step + x * pixel_step, clip_sum(value, low, high));
      }
    }
    if constexpr (kAdds) addends += kLanes;
  }
}

template <int S>
void output(const WinogradTile& t) {
  if (t.out_height != kOut || t.out_width != kOut) return output_edge<S>(t);
  t.addend ? output_whole<S, true>(t) : output_whole<S, false>(t);
}

}  // namespace

EDGEORT_KERNEL(WinogradTransforms, winograd_transforms, {{input<1>, input<2>}, {output<1>, output<2>}})

}  // namespace edgeort
