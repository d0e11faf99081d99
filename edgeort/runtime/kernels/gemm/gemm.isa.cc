// Register tiles of the matrix product for one ISA level.
#include "gemm.h"

#include "../../simd/vec.h"
#include "put.h"

namespace edgeort {
namespace {

template <class T>
constexpr int kVectorsPerPanel = static_cast<int>(kPanel) / lanes_of<T>;
constexpr int kWidest = 8;  // vectors of the widest tile
// Rows of panels that the loop over them has at once: two multiply-adds a cycle leave no room for counting.
#if defined(__AVX512F__)
constexpr int kUnroll = 2;
#else
constexpr int kUnroll = 1;
#endif
// Vectors of a row of panels that are loaded at once: on 64-bit Arm a pair is one instruction, and leaves registers for more values.
#if defined(__aarch64__)
constexpr int kLoaded = 2;
#else
constexpr int kLoaded = kWidest;
#endif
template <class T = vf>
constexpr int panels_of(int vectors) {
  return (vectors + kVectorsPerPanel<T> - 1) / kVectorsPerPanel<T>;
}

// What is added where there is no bias.
constexpr f32 kNoBias[kWidest * kLanes] = {};

// The same pointer; the compiler no longer knows that it walks beside others, and steps it as part of a load.
EDGEORT_INLINE const f32* opaque(const f32* p) {
  __asm__("" : "+r"(p));
  return p;
}

#if defined(__ARM_NEON)
// Eight values, and a step of kStep. In one instruction on 64-bit Arm, where the compiler would part the two loads.
template <int kStep = 8>
EDGEORT_INLINE void load_pair(const f32*& p, vf& a, vf& b) {
#if defined(__aarch64__)
  __asm__("ldp %q0, %q1, [%2], %4" : "=w"(a), "=w"(b), "+r"(p) : "m"(*reinterpret_cast<const f32(*)[8]>(p)), "i"(kStep * sizeof(f32)));
#else
  a = load(p);
  b = load(p + 4);
  p = opaque(p + kStep);
#endif
}
#endif

// One row of the panels. Up to kLoaded of its vectors are loaded, then each row's value is used at once: M * V sums, those weights
// and one value are alive, which fits the registers for every row of kernels.inc.
// kAhead: steps over so many rows of panels as part of the first load; `row` is counted from where they end.
template <int M, int V, bool kBegin = false, int kAhead = 0, class T>
EDGEORT_INLINE void step(T (&sum)[M][V], const f32* (&panels)[panels_of<T>(V)], i64 row, const float (&a)[M]) {
  constexpr int kAtOnce = V < kLoaded ? V : kLoaded;
#pragma clang loop unroll(full)
  for (int first = 0; first < V; first += kAtOnce) {
    if (kAtOnce < V) __asm__ volatile("" ::: "memory");  // else all would be loaded first
    T weights[kAtOnce];
    if constexpr (kAhead > 0) {
      if (first == 0) load_pair<kAhead * kPanel>(panels[0], weights[0], weights[1]);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < kAtOnce; ++i) {
      const int v = first + i;
      if (kAhead > 0 && v < 2) continue;
      weights[i] = load_as<T>(panels[v / kVectorsPerPanel<T>] + row * kPanel + v % kVectorsPerPanel<T> * lanes_of<T>);
    }
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) {
#pragma clang loop unroll(full)
      for (int i = 0; i < kAtOnce; ++i) {
        T& y = sum[m][first + i];
        y = kBegin ? splat<T>(a[m]) * weights[i] : fma(splat<T>(a[m]), weights[i], y);
      }
    }
  }
}

template <int M, int V, class T>
EDGEORT_INLINE void clear(T (&sum)[M][V]) {
#pragma clang loop unroll(full)
  for (int m = 0; m < M; ++m) {
#pragma clang loop unroll(full)
    for (int v = 0; v < V; ++v) sum[m][v] = splat<T>(0.0f);
  }
}

#if defined(__ARM_NEON)
// Whether a step over four rows of panels is part of their first load.
constexpr bool steps_first(int v) {
#if defined(__aarch64__)
  return v >= 2 && panels_of(v) == 1;
#else
  return v < 0;
#endif
}

// How many rows are loaded in pairs: the second halves of theirs take the registers that sums, weights and values leave.
constexpr int paired_rows(int m, int v) {
  const int weights = v > kLoaded ? kLoaded + 1 : v;
  const int spare = 32 - (m * v + weights + m);
  return spare < m ? spare : m;
}

// kFours times four rows of the panels, with four values of each row: fmla takes its multiplier from any lane. Sums that begin
// with a product need no zero; at most the sign of a zero differs, which adding the bias sets right.
template <int M, int V, int kFours, bool kBegin = false>
EDGEORT_INLINE void fours(vf (&sum)[M][V], const f32* (&panels)[panels_of(V)], const f32* (&a)[M]) {
  constexpr int kPairs = kFours == 2 ? paired_rows(M, V) : 0, kAhead = steps_first(V) ? 4 : 0;
  vf four[M], next[M];
#pragma clang loop unroll(full)
  for (int m = 0; m < kPairs; ++m) {
    load_pair(a[m], four[m], next[m]);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < kFours; ++i) {
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) {
      if (m >= kPairs) {
        four[m] = load(a[m]), a[m] = opaque(a[m] + 4);
      } else if (i > 0) {
        four[m] = next[m];
      }
    }
#pragma clang loop unroll(full)
    for (int lane = 0; lane < 4; ++lane) {
      float values[M];
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) values[m] = four[m][lane];
      const i64 row = kAhead ? lane - kAhead : 4 * i + lane;
      if (kBegin && i + lane == 0) {
        step<M, V, true, kAhead>(sum, panels, row, values);
      } else if (lane == 0) {
        step<M, V, false, kAhead>(sum, panels, row, values);
      } else {
        step<M, V>(sum, panels, row, values);
      }
    }
  }
#pragma clang loop unroll(full)
  for (int p = 0; p < panels_of(V) && !kAhead; ++p) panels[p] = opaque(panels[p] + 4 * kFours * kPanel);
}

// All fours of a tap; returns what is left of kc. More unrolling costs a third of the code: tiles of few sums do without.
template <int M, int V>
EDGEORT_INLINE i64 all_fours(vf (&sum)[M][V], bool begin, const f32* (&panels)[panels_of(V)], const f32* (&a)[M], i64 kc) {
  constexpr bool kOften = M * V >= 16;
  constexpr int kAtOnce = kOften ? 2 : 1;
  if (kOften && begin && kc >= 4 * kAtOnce) {
    fours<M, V, kAtOnce, true>(sum, panels, a);
    kc -= 4 * kAtOnce;
  } else if (begin) {
    clear<M, V>(sum);
  }
  for (u64 turns = static_cast<u64>(kc) / (4 * kAtOnce); turns != 0; --turns) fours<M, V, kAtOnce>(sum, panels, a);
  if (kOften && (kc & 4)) fours<M, V, 1>(sum, panels, a);
  return kc & 3;
}
#endif

#if defined(__wasm_simd128__)
// Four rows of the panels at a time, at constant distances, which are part of a load; returns what is left of kc. In this order: the
// compiler would go on with one sum through several rows, or load all values of one first, and the weights would wait on the stack.
template <int M, int V>
EDGEORT_INLINE i64 all_fours(vf (&sum)[M][V], const f32* (&panels)[panels_of(V)], const f32* (&a)[M], i64 kc) {
  for (u32 turns = static_cast<u32>(kc / 4); turns != 0; --turns) {
#pragma clang loop unroll(full)
    for (u32 row = 0; row < 4; ++row) {
      vf weights[V];
#pragma clang loop unroll(full)
      for (u32 v = 0; v < V; ++v) weights[v] = load(&panels[v / kVectorsPerPanel<vf>][row * kPanel + v % kVectorsPerPanel<vf> * kLanes]);
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) {
        const vf value = splat(a[m][row]);
#pragma clang loop unroll(full)
        for (int v = 0; v < V; ++v) sum[m][v] = fma(value, weights[v], sum[m][v]);
#pragma clang loop unroll(full)
        for (int v = 0; v < V; ++v) __asm__ volatile("" : "+r"(sum[m][v])::"memory");
      }
    }
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) a[m] = opaque(a[m] + 4);
#pragma clang loop unroll(full)
    for (int p = 0; p < panels_of(V); ++p) panels[p] = opaque(panels[p] + 4 * kPanel);
  }
  return kc & 3;
}
#endif

// Begins sums, or adds to them: kc products each, of rows[m][shift...] and the panels whose first one begins at `first`.
template <int M, int V, class T>
EDGEORT_INLINE void tap(T (&sum)[M][V], bool begin, const f32* const* rows, i64 shift, i64 kc, const f32* first, i64 panel_stride) {
  const f32* a[M];
  const f32* panels[panels_of<T>(V)];
#pragma clang loop unroll(full)
  for (int m = 0; m < M; ++m) a[m] = opaque(rows[m] + shift);
#pragma clang loop unroll(full)
  for (int p = 0; p < panels_of<T>(V); ++p) panels[p] = first + p * panel_stride;
#if defined(__ARM_NEON)
  kc = all_fours<M, V>(sum, begin, panels, a, kc);
#else
  if (begin) clear<M, V>(sum);
#if defined(__wasm_simd128__)
  kc = all_fours<M, V>(sum, panels, a, kc);
#endif
#endif
#pragma clang loop unroll_count(kUnroll)
  for (i64 k = 0; k < kc; ++k) {
    float values[M];
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) values[m] = a[m][k];
    step<M, V>(sum, panels, k, values);
  }
}

// Adds the bias and clips.
template <int M, int V, class T>
EDGEORT_INLINE void finish(T (&sum)[M][V], const f32* bias, bool clips, f32 low, f32 high) {
  T add[V];
#pragma clang loop unroll(full)
  for (int v = 0; v < V; ++v) add[v] = load_as<T>(bias + v * lanes_of<T>);
#pragma clang loop unroll(full)
  for (int m = 0; m < M; ++m) {
#pragma clang loop unroll(full)
    for (int v = 0; v < V; ++v) sum[m][v] += add[v];
  }
  if (!clips) return;
  const T lo = splat<T>(low), hi = splat<T>(high);
#pragma clang loop unroll(full)
  for (int m = 0; m < M; ++m) {
#pragma clang loop unroll(full)
    for (int v = 0; v < V; ++v) sum[m][v] = clip_sum(sum[m][v], lo, hi);
  }
}

template <int M, int V, class T>
void tile(const Tile& t) {
  constexpr i64 kWidth = V * lanes_of<T>;
  const i64 taps = t.taps, kc = t.kc, panel_stride = t.panel_stride, out_stride = t.out_stride, bias_step = t.bias ? kWidth : 0;
  const f32 lo = t.lo, hi = t.hi;
  const bool clips = t.clips;
  f32* block = t.out;
  for (i64 i = 0, shift = 0; i < t.repeat; ++i, shift += t.step, block += M * out_stride) {
    const f32 *panels = t.panels, *bias = t.bias ? t.bias : kNoBias;
    f32* out = block;
    for (i64 left = t.columns; left > 0; left -= kWidth) {
      T sum[M][V];
      if (taps == 0) clear<M, V>(sum);
      const f32* const* rows = t.rows;
      for (i64 k = 0; k < taps; ++k, rows += M) tap<M, V>(sum, k == 0, rows, shift, kc, panels + t.offsets[k] * kPanel, panel_stride);
      finish<M, V>(sum, bias, clips, lo, hi);
      put<M, V>(sum, out, out_stride, left);
      panels += kWidth / kPanel * panel_stride;
      bias += bias_step;
      out += kWidth;
    }
  }
}

template <int M, int V, class T>
constexpr void fill(TileRow& row) {
  static_assert(V <= kWidest, "kNoBias is as wide as the widest tile");
  row.fn[M - 1] = tile<M, V, T>;
  if constexpr (M > 1) fill<M - 1, V, T>(row);
}

// The rows of kernels.inc that are of this level.
struct Table {
  TileRow rows[8];
  int count;
};

template <bool kHere, int kRows, int V, class T = vf>
constexpr void append(Table& table) {
  if constexpr (kHere) {
    TileRow& row = table.rows[table.count++];
    row.rows = kRows;
    row.columns = V * lanes_of<T>;
    fill<kRows, V, T>(row);
  }
}

constexpr Table tiles() {
  Table table = {};
#define TILE(level, rows, vectors) append<kIsa_##level == EDGEORT_PASTE(kIsa, EDGEORT_ISA), rows, vectors>(table);
#define HALF(level, rows) append<kIsa_##level == EDGEORT_PASTE(kIsa, EDGEORT_ISA), rows, 1, Half>(table);
#include "kernels.inc"
#undef HALF
#undef TILE
  return table;
}

constexpr Table kTiles = tiles();

}  // namespace

EDGEORT_KERNEL(GemmKernels, gemm, {kTiles.rows, kTiles.count})

}  // namespace edgeort
