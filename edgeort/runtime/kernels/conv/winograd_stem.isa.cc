// Winograd's transforms and products of a first layer for one ISA level: every step is one IEEE operation, so that all levels agree.
#include "winograd_stem.h"

#include "../../simd/several.h"

namespace edgeort {
namespace {

// ---- input -----------------------------------------------------------------------------------------------------------

// Six pixels at the six finite points.
EDGEORT_INLINE void finite(vf d0, vf d1, vf d2, vf d3, vf d4, vf d5, vf* t) {
  const vf even1 = fma(splat(-4.25f), d2, d0 + d4), odd1 = fma(splat(-4.25f), d3, d1 + d5);
  t[0] = odd1 + even1;
  t[1] = odd1 - even1;
  const vf even2 = fma(splat(0.5f), d0, fma(splat(-2.5f), d2, d4 + d4)), odd2 = fma(splat(0.25f), d1, fma(splat(-1.25f), d3, d5));
  t[2] = odd2 + even2;
  t[3] = odd2 - even2;
  const vf even3 = fma(splat(2.0f), d0, fma(splat(-2.5f), d2, splat(0.5f) * d4)), odd3 = fma(splat(4.0f), d1, fma(splat(-5.0f), d3, d5));
  t[4] = odd3 + even3;
  t[5] = odd3 - even3;
}

// A patch's pixels along a dimension: the seven points of the even ones, the six of the odd ones.
EDGEORT_INLINE void input_1d(const vf (&d)[kStemPatch], vf (&t)[kStemPatch]) {
  finite(d[0], d[2], d[4], d[6], d[8], d[10], t);
  t[6] = fma(splat(5.25f), d[4] - d[8], d[12] - d[0]);
  finite(d[1], d[3], d[5], d[7], d[9], d[11], t + kStemPoints);
}

// Along y, in place.
EDGEORT_INLINE void transform_down(f32* lines, i64 floats) {
  for (i64 x = 0; x < floats; x += kLanes) {
    vf d[kStemPatch], t[kStemPatch];
#pragma clang loop unroll(full)
    for (int i = 0; i < kStemPatch; ++i) d[i] = load(lines + i * kStemLine + x);
    input_1d(d, t);
#pragma clang loop unroll(full)
    for (int i = 0; i < kStemPatch; ++i) store(lines + i * kStemLine + x, t[i]);
  }
}

using Quad = Vec<f32, 4>;

EDGEORT_INLINE void transpose(const f32* from, f32 (*to)[kStemRun + 4]) {
  Quad a[4];
#pragma clang loop unroll(full)
  for (int i = 0; i < 4; ++i) a[i] = load_as<Quad>(from + i * kStemStep);
  const Quad b0 = __builtin_shufflevector(a[0], a[1], 0, 4, 2, 6), b1 = __builtin_shufflevector(a[0], a[1], 1, 5, 3, 7);
  const Quad b2 = __builtin_shufflevector(a[2], a[3], 0, 4, 2, 6), b3 = __builtin_shufflevector(a[2], a[3], 1, 5, 3, 7);
  store(to[0], __builtin_shufflevector(b0, b2, 0, 1, 4, 5));
  store(to[1], __builtin_shufflevector(b1, b3, 0, 1, 4, 5));
  store(to[2], __builtin_shufflevector(b0, b2, 2, 3, 6, 7));
  store(to[3], __builtin_shufflevector(b1, b3, 2, 3, 6, 7));
}

// Along x, of one transformed line, a vector of tiles at a time; kStep terms lie between positions, of which `last` is at infinity.
template <i64 kStep>
EDGEORT_INLINE void transform_across(const f32* line, i64 tiles, f32* to, f32* last) {
  f32 split[kStemStep][kStemRun + 4];  // pixels by their place in a tile's eight
  for (i64 tile = 0; tile <= tiles; tile += 4) {
    transpose(line + tile * kStemStep, reinterpret_cast<f32(*)[kStemRun + 4]>(&split[0][tile]));
    transpose(line + tile * kStemStep + 4, reinterpret_cast<f32(*)[kStemRun + 4]>(&split[4][tile]));
  }
  for (i64 tile = 0; tile < tiles; tile += kLanes) {
    vf d[kStemPatch], t[kStemPatch];
#pragma clang loop unroll(full)
    for (int i = 0; i < kStemPatch; ++i) d[i] = load(&split[i % kStemStep][tile + i / kStemStep]);
    input_1d(d, t);
#pragma clang loop unroll(full)
    for (int i = 0; i < kStemPoints - 1; ++i) {
      store(to + i * kStep * kStemRun + tile, t[i]);
      store(to + (i * kStep + kStemChannels) * kStemRun + tile, t[kStemPoints + i]);
    }
    store(last + tile, t[kStemPoints - 1]);
  }
}

void input(f32* lines, i64 tiles, f32* to) {
  constexpr i64 kC = kStemChannels, kFinite = kStemPoints - 1;
  constexpr i64 kLine = kFinite * 4 * kC + 2 * kC;  // terms of a finite line of positions
  const i64 whole = (tiles + kLanes - 1) / kLanes * kLanes;
  for (i64 c = 0; c < kC; ++c, lines += kStemPatch * kStemLine) {
    transform_down(lines, (whole + 4) * kStemStep);
    for (i64 i = 0; i < kStemPatch; ++i) {
      const i64 odd = i / kStemPoints, y = i % kStemPoints;
      f32* row = to + (y * kLine + c) * kStemRun;
      const f32* line = lines + i * kStemLine;
      if (y == kFinite) {
        transform_across<2 * kC>(line, whole, row, row + kFinite * 2 * kC * kStemRun);
      } else {
        transform_across<4 * kC>(line, whole, row + odd * 2 * kC * kStemRun, row + (kFinite * 4 * kC + odd * kC) * kStemRun);
      }
    }
  }
}

// ---- products --------------------------------------------------------------------------------------------------------

// A register tile: at most kMostUnits * kUnit tiles by kVectors vectors of columns.
#if defined(__AVX512F__)
constexpr int kUnit = 4, kMostUnits = 3, kVectors = 1;
#elif defined(__AVX2__)
constexpr int kUnit = 2, kMostUnits = 3, kVectors = 2;
#elif defined(__aarch64__)
constexpr int kUnit = 4, kMostUnits = 3, kVectors = 2;
#elif defined(__ARM_NEON)
constexpr int kUnit = 4, kMostUnits = 1, kVectors = 2;
#else
constexpr int kUnit = 2, kMostUnits = 2, kVectors = 2;
#endif

template <int M, int V, bool kFirst>
EDGEORT_INLINE void step(vf (&sum)[M][V], const f32* in, const f32* weights) {
  vf row[V];
#pragma clang loop unroll(full)
  for (int v = 0; v < V; ++v) row[v] = load(weights + v * kLanes);
#if defined(__ARM_NEON)
  // fmla takes its multiplier from any lane.
  vf values[M / kLanes];
#pragma clang loop unroll(full)
  for (int i = 0; i < M / kLanes; ++i) values[i] = load(in + i * kLanes);
#endif
#pragma clang loop unroll(full)
  for (int m = 0; m < M; ++m) {
#if defined(__ARM_NEON)
    const vf value = splat(values[m / kLanes][m % kLanes]);
#else
    const vf value = splat(in[m]);
#endif
#pragma clang loop unroll(full)
    for (int v = 0; v < V; ++v) sum[m][v] = kFirst ? value * row[v] : fma(value, row[v], sum[m][v]);
  }
}

// kUnits * kUnit tiles, kVectors vectors of columns, one position of so many terms, three at a time.
template <int kUnits>
EDGEORT_INLINE void block(const f32* in, const f32* weights, i64 terms, f32* out) {
  constexpr int M = kUnits * kUnit, V = kVectors;
  vf sum[M][V];
  step<M, V, true>(sum, in, weights);
  step<M, V, false>(sum, in + kStemRun, weights + kPanel);
  step<M, V, false>(sum, in + 2 * kStemRun, weights + 2 * kPanel);
  for (const f32* end = in + terms * kStemRun; (in += 3 * kStemRun) != end;) {
    weights += 3 * kPanel;
#pragma clang loop unroll(full)
    for (int i = 0; i < 3; ++i) step<M, V, false>(sum, in + i * kStemRun, weights + i * kPanel);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < M * V; ++i) store(out + i / V * kPanel + i % V * kLanes, sum[i / V][i % V]);
}

// So many units of tiles: `block` of the largest first.
template <int kUnits>
EDGEORT_INLINE void block_of(i64 units, const f32* in, const f32* weights, i64 terms, f32* out) {
  if (units == kUnits) return block<kUnits>(in, weights, terms, out);
  if constexpr (kUnits > 1) block_of<kUnits - 1>(units, in, weights, terms, out);
}

void multiply(const f32* in, i64 tiles, const f32* panel, f32* sums) {
  // Pieces as equal as registers allow: `larger` of them have a unit more.
  const i64 units = (tiles + kUnit - 1) / kUnit, pieces = (units + kMostUnits - 1) / kMostUnits, least = units / pieces,
            larger = units % pieces;
  for (i64 y = 0; y < kStemPoints; ++y) {
    for (i64 x = 0; x < kStemPoints; ++x, sums += kStemSums) {
      const i64 terms = kStemChannels * (y < kStemPoints - 1 ? 2 : 1) * (x < kStemPoints - 1 ? 2 : 1);
      for (i64 column = 0; column < kPanel; column += kVectors * kLanes) {
        i64 tile = 0;
        for (i64 piece = 0; piece < pieces; ++piece) {
          const i64 count = piece < larger ? least + 1 : least;
          block_of<kMostUnits>(count, in + tile, panel + column, terms, sums + tile * kPanel + column);
          tile += count * kUnit;
        }
      }
      in += terms * kStemRun;
      panel += terms * kPanel;
    }
  }
}

// ---- output ----------------------------------------------------------------------------------------------------------

// The first powers of a point.
struct Powers {
#if defined(__aarch64__)
  vf lanes;  // in one register: fmla takes its multiplier from any lane
  explicit Powers(f32 a) : lanes{a, a * a, a * a * a} { asm("" : "+w"(lanes)); }
  EDGEORT_INLINE vf operator[](int power) const { return splat(lanes[power - 1]); }
#else
  f32 a;
  explicit Powers(f32 point) : a(point) {}
  EDGEORT_INLINE vf operator[](int power) const { return splat(power == 1 ? a : power == 2 ? a * a : a * a * a); }
#endif
};

// Four outputs of each of N lines, added up pair by pair of points: infinity, 1 and -1, then those of `next`.
template <int N>
struct Outputs {
  vf y[kStemTile][N];

  EDGEORT_INLINE void first(const vf (&plus)[N], const vf (&minus)[N], const vf (&infinity)[N]) {
#pragma clang loop unroll(full)
    for (int i = 0; i < N; ++i) {
      y[0][i] = y[2][i] = settled(plus[i] + minus[i]);
      y[1][i] = settled(plus[i] - minus[i]);
      y[3][i] = settled(y[1][i] + infinity[i]);
    }
  }
  EDGEORT_INLINE void next(const vf (&plus)[N], const vf (&minus)[N], const Powers& a) {
#pragma clang loop unroll(full)
    for (int i = 0; i < N; ++i) {
      const vf sum = plus[i] + minus[i], difference = plus[i] - minus[i];
      y[0][i] = settled(y[0][i] + sum);
      y[1][i] = settled(fma(a[1], difference, y[1][i]));
      y[2][i] = settled(fma(a[2], sum, y[2][i]));
      y[3][i] = settled(fma(a[3], difference, y[3][i]));
    }
  }
};

// The positions of a column, in two halves that one address each reaches.
constexpr int kHalf = 4;
struct Column {
  const f32 *top, *bottom;

  EDGEORT_INLINE void operator()(int x, const Powers& two, const Powers& half, vf (&to)[kStemTile]) const {
    vf m[kStemPoints][1];
#pragma clang loop unroll(full)
    for (int y = 0; y < kStemPoints; ++y) {
      m[y][0] = load((y < kHalf ? top + y * kStemPoints * kStemSums : bottom + (y - kHalf) * kStemPoints * kStemSums) + x * kStemSums);
    }
    Outputs<1> out;
    out.first(m[0], m[1], m[6]);
    out.next(m[2], m[3], two);
    out.next(m[4], m[5], half);
#pragma clang loop unroll(full)
    for (int y = 0; y < kStemTile; ++y) to[y] = out.y[y][0];
  }
};

void output(const WinogradStemTile& t) {
  const vf low = splat(t.lo), high = splat(t.hi);
  const Powers two(2.0f), half(0.5f);
  const i64 count = t.columns, step = t.pixel_step;
  const f32 *sums = t.sums, *biases = t.bias;
  f32* const lines[kStemTile] = {t.lines[0], t.lines[1], t.lines[2], t.lines[3]};
  for (i64 c = 0; c < count; c += kLanes) {
    const Column column = {sums + c, opaque(sums + c + kHalf * kStemPoints * kStemSums)};
    Outputs<kStemTile> out;
    vf plus[kStemTile], minus[kStemTile], infinity[kStemTile];
    column(6, two, half, infinity);
    column(0, two, half, plus);
    column(1, two, half, minus);
    out.first(plus, minus, infinity);
    column(2, two, half, plus);
    column(3, two, half, minus);
    out.next(plus, minus, two);
    column(4, two, half, plus);
    column(5, two, half, minus);
    out.next(plus, minus, half);
    const vf bias = load(biases + c);
#pragma clang loop unroll(full)
    for (int y = 0; y < kStemTile; ++y) {
#pragma clang loop unroll(full)
      for (int x = 0; x < kStemTile; ++x) store(lines[y] + x * step + c, clip_sum(out.y[x][y] + bias, low, high));
    }
  }
}

}  // namespace

EDGEORT_KERNEL(WinogradStemKernels, winograd_stem, {kLanes, input, multiply, output})

}  // namespace edgeort
