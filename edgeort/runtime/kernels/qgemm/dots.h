// How each ISA level multiplies M rows by V panels: sums in registers, and their loop over a tap's quads.
//
// struct Dots<M, V, kWide> has
//   clear()                       sums of zero
//   quads(rows, n, panels)        adds n whole quads of each row; steps both
//   quad(values, panels)          adds one, of which each row's bytes are given
//   get(m, v, i)                  sums of row m: columns i * kLanes... of panel v
// kWide: some weight is -128.
#pragma once
#include "../../simd/vec.h"
#include "qgemm.h"

#if defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace edgeort {
namespace {

constexpr int kVectorsPerPanel = static_cast<int>(kPanel) / kLanes;

// The last kc % kDepth values of a row of kc. Nothing behind them is read; the quad's other weights are zero.
EDGEORT_INLINE u32 last_quad(const q8* row, i64 kc) {
  const i64 n = kc % kDepth;
  if (kc > kDepth) return load_as<u32>(row + kc - kDepth) >> (8 * (kDepth - n));
  u32 x = 0;
  for (i64 i = 0; i < n; ++i) x |= static_cast<u32>(static_cast<u8>(row[i])) << (8 * i);
  return x;
}

// The sum of neighbouring lanes of two vectors, in order.
#if defined(__AVX512F__)
EDGEORT_INLINE vi add_pairs(vi a, vi b) {
  return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30) +
         __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}
#elif defined(__AVX2__)
EDGEORT_INLINE vi add_pairs(vi a, vi b) {
  return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14) + __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
}
#elif defined(__aarch64__)
EDGEORT_INLINE vi add_pairs(vi a, vi b) { return vpaddq_s32(a, b); }
#else
EDGEORT_INLINE vi add_pairs(vi a, vi b) { return __builtin_shufflevector(a, b, 0, 2, 4, 6) + __builtin_shufflevector(a, b, 1, 3, 5, 7); }
#endif

#if defined(__ARM_FEATURE_MATMUL_INT8)
// Two rows by two columns and eight k in an instruction: the quads of a pair of columns are brought together first.
template <int M, int V, bool kWide>
struct Dots {
  static_assert(V == 1);
  static constexpr int kPairs = (M + 1) / 2, kColumns = static_cast<int>(kPanel) / 2;
  Vec<i32, 4> sum[kPairs][kColumns];

  EDGEORT_INLINE void clear() {
    for (auto& pair : sum) {
      for (auto& s : pair) s = Vec<i32, 4>{};
    }
  }

  // a: eight k of a row, and eight of the next.
  EDGEORT_INLINE void step(const Vec<i8, 16> (&a)[kPairs], const i8* first, const i8* second) {
#pragma clang loop unroll(full)
    for (int c = 0; c < kColumns; c += 2) {
      const auto w = load_as<Vec<i32, 4>>(first + 8 * c), next = load_as<Vec<i32, 4>>(second + 8 * c);
      const int8x16_t low = vreinterpretq_s8_s32(vzip1q_s32(w, next)), high = vreinterpretq_s8_s32(vzip2q_s32(w, next));
#pragma clang loop unroll(full)
      for (int p = 0; p < kPairs; ++p) {
        sum[p][c] = vmmlaq_s32(sum[p][c], a[p], low);
        sum[p][c + 1] = vmmlaq_s32(sum[p][c + 1], a[p], high);
      }
    }
  }

  EDGEORT_INLINE void quads(const q8* (&rows)[M], i64 n, const i8* (&panels)[V]) {
    for (; n >= 2; n -= 2, panels[0] += 2 * kQuad) {
      Vec<i8, 16> a[kPairs];
#pragma clang loop unroll(full)
      for (int p = 0; p < kPairs; ++p) {
        const int other = 2 * p + 1 < M ? 2 * p + 1 : 2 * p;
        a[p] = vcombine_s8(vld1_s8(rows[2 * p]), vld1_s8(rows[other]));
      }
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) rows[m] += 2 * kDepth;
      step(a, panels[0], panels[0] + kQuad);
    }
    if (n == 0) return;
    u32 x[M];
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) x[m] = load_as<u32>(rows[m]), rows[m] += kDepth;
    quad(x, panels);
  }

  EDGEORT_INLINE void quad(const u32 (&x)[M], const i8* (&panels)[V]) {
    Vec<i8, 16> a[kPairs];
#pragma clang loop unroll(full)
    for (int p = 0; p < kPairs; ++p) a[p] = bitcast<Vec<i8, 16>>(Vec<u32, 4>{x[2 * p], 0, 2 * p + 1 < M ? x[2 * p + 1] : 0, 0});
    step(a, panels[0], panels[0]);
    panels[0] += kQuad;
  }

  EDGEORT_INLINE vi get(int m, int, int i) const {
    using Pair = Vec<i64, 2>;
    const auto a = bitcast<Pair>(sum[m / 2][2 * i]), b = bitcast<Pair>(sum[m / 2][2 * i + 1]);
    return bitcast<vi>(m % 2 ? Pair{a[1], b[1]} : Pair{a[0], b[0]});
  }
};
#elif defined(__ARM_FEATURE_DOTPROD)
// A quad of four columns by one of a row.
template <int M, int V, bool kWide>
struct Dots {
  static_assert(V == 1);
  vi sum[M][kVectorsPerPanel];

  EDGEORT_INLINE void clear() {
    for (auto& row : sum) {
      for (auto& s : row) s = vi{};
    }
  }

  template <int kLane>
  EDGEORT_INLINE void step(const Vec<i8, 16> (&x)[M], const i8* panel) {
#pragma clang loop unroll(full)
    for (int i = 0; i < kVectorsPerPanel; ++i) {
      const auto w = load_as<Vec<i8, 16>>(panel + 16 * i);
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) sum[m][i] = vdotq_laneq_s32(sum[m][i], w, x[m], kLane);
    }
  }

  EDGEORT_INLINE void quads(const q8* (&rows)[M], i64 n, const i8* (&panels)[V]) {
    for (; n >= 4; n -= 4, panels[0] += 4 * kQuad) {
      Vec<i8, 16> x[M];
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) x[m] = load_as<Vec<i8, 16>>(rows[m]), rows[m] += 4 * kDepth;
      step<0>(x, panels[0]);
      step<1>(x, panels[0] + kQuad);
      step<2>(x, panels[0] + 2 * kQuad);
      step<3>(x, panels[0] + 3 * kQuad);
    }
    for (; n > 0; --n) {
      u32 x[M];
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) x[m] = load_as<u32>(rows[m]), rows[m] += kDepth;
      quad(x, panels);
    }
  }

  EDGEORT_INLINE void quad(const u32 (&x)[M], const i8* (&panels)[V]) {
    Vec<i8, 16> a[M];
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) a[m] = vreinterpretq_s8_u32(vdupq_n_u32(x[m]));
    step<0>(a, panels[0]);
    panels[0] += kQuad;
  }

  EDGEORT_INLINE vi get(int m, int, int i) const { return sum[m][i]; }
};
#elif defined(__ARM_NEON)
// Products of two columns by a quad, in 16 bits: those of two quads are added there, for 2 * 128 * 127 fits; two lanes a column.
template <int M, int V, bool kWide>
struct Dots {
  static_assert(V == 1);
  vi sum[M][2 * kVectorsPerPanel];

  EDGEORT_INLINE void clear() {
    for (auto& row : sum) {
      for (auto& s : row) s = vi{};
    }
  }

  template <int kQuads>
  EDGEORT_INLINE void step(const int8x8_t (&x)[M][kQuads], const i8* panel) {
#pragma clang loop unroll(full)
    for (int i = 0; i < kVectorsPerPanel; ++i) {
      int8x16_t w[kQuads];
#pragma clang loop unroll(full)
      for (int q = 0; q < kQuads; ++q) w[q] = vld1q_s8(panel + q * kQuad + 16 * i);
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) {
        int16x8_t low = vmull_s8(vget_low_s8(w[0]), x[m][0]), high = vmull_s8(vget_high_s8(w[0]), x[m][0]);
        if constexpr (kQuads == 2) {
          low = vmlal_s8(low, vget_low_s8(w[1]), x[m][1]);
          high = vmlal_s8(high, vget_high_s8(w[1]), x[m][1]);
        }
        sum[m][2 * i] = vpadalq_s16(sum[m][2 * i], low);
        sum[m][2 * i + 1] = vpadalq_s16(sum[m][2 * i + 1], high);
      }
    }
  }

  template <int kQuads>
  EDGEORT_INLINE void load_and_step(const q8* (&rows)[M], const i8* (&panels)[V]) {
    int8x8_t x[M][kQuads];
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) {
#pragma clang loop unroll(full)
      for (int q = 0; q < kQuads; ++q) x[m][q] = vreinterpret_s8_u32(vdup_n_u32(load_as<u32>(rows[m] + q * kDepth)));
      rows[m] += kQuads * kDepth;
    }
    step<kQuads>(x, panels[0]);
    panels[0] += kQuads * kQuad;
  }

  EDGEORT_INLINE void quads(const q8* (&rows)[M], i64 n, const i8* (&panels)[V]) {
    if constexpr (!kWide) {
      for (; n >= 2; n -= 2) load_and_step<2>(rows, panels);
    }
    for (; n > 0; --n) load_and_step<1>(rows, panels);
  }

  EDGEORT_INLINE void quad(const u32 (&x)[M], const i8* (&panels)[V]) {
    int8x8_t a[M][1];
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) a[m][0] = vreinterpret_s8_u32(vdup_n_u32(x[m]));
    step<1>(a, panels[0]);
    panels[0] += kQuad;
  }

  EDGEORT_INLINE vi get(int m, int, int i) const { return add_pairs(sum[m][2 * i], sum[m][2 * i + 1]); }
};
#else
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
constexpr int kPerColumn = 1;  // lanes
using Weights = vi;
using Values = vi;
EDGEORT_INLINE Weights weights(const i8* p) { return load_as<vi>(p); }
EDGEORT_INLINE Values values(u32 x) { return splat_int(static_cast<i32>(x)); }
// In words of the assembler: compilers disagree about the types of their own.
EDGEORT_INLINE vi dot(vi sum, Values x, Weights w) {
#if defined(__AVX512VNNI__)
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
#else
  __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(x), "x"(w));
#endif
  return sum;
}
#else
// Products of 16 bits, added in pairs. vpmaddubsw, which takes bytes, would saturate.
constexpr int kPerColumn = 2;
using Weights = Vec<i16, 2 * kLanes>;
using Values = Weights;
EDGEORT_INLINE Weights weights(const i8* p) { return __builtin_convertvector((load_as<Vec<i8, 2 * kLanes>>(p)), Weights); }
EDGEORT_INLINE Values values(u32 x) { return __builtin_convertvector(bitcast<Vec<q8, 2 * kLanes>>(Vec<u32, kLanes / 2>{} + x), Values); }
EDGEORT_INLINE vi dot(vi sum, Values x, Weights w) {
#if defined(__AVX512BW__)
  return sum + __builtin_ia32_pmaddwd512(x, w);
#elif defined(__AVX2__)
  return sum + __builtin_ia32_pmaddwd256(x, w);
#else
  using Wide = Vec<i32, 2 * kLanes>;
  const Wide y = __builtin_convertvector(x, Wide) * __builtin_convertvector(w, Wide);
  return sum + __builtin_shufflevector(y, y, 0, 2, 4, 6) + __builtin_shufflevector(y, y, 1, 3, 5, 7);
#endif
}
#endif

template <int M, int V, bool kWide>
struct Dots {
  static constexpr int kParts = kPerColumn * kVectorsPerPanel;  // of a panel
  vi sum[M][V][kParts];

  EDGEORT_INLINE void clear() {
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) {
#pragma clang loop unroll(full)
      for (int v = 0; v < V; ++v) {
#pragma clang loop unroll(full)
        for (int p = 0; p < kParts; ++p) sum[m][v][p] = vi{};
      }
    }
  }

  // Panels and rows at a distance that the compiler need not step.
  template <class Load>
  EDGEORT_INLINE void step(const Load& value, const i8* const (&panels)[V], i64 at) {
    Weights w[V][kParts];
#pragma clang loop unroll(full)
    for (int v = 0; v < V; ++v) {
#pragma clang loop unroll(full)
      for (int p = 0; p < kParts; ++p) w[v][p] = weights(panels[v] + at + p * (kQuad / kParts));
    }
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) {
      const Values x = values(value(m));
#pragma clang loop unroll(full)
      for (int v = 0; v < V; ++v) {
#pragma clang loop unroll(full)
        for (int p = 0; p < kParts; ++p) sum[m][v][p] = dot(sum[m][v][p], x, w[v][p]);
      }
    }
  }

  EDGEORT_INLINE void quads(const q8* (&rows)[M], i64 n, const i8* (&panels)[V]) {
#pragma clang loop unroll(disable)
    for (i64 q = 0; q < n; ++q)
      step([&](int m) __attribute__((always_inline)) { return load_as<u32>(rows[m] + q * kDepth); }, panels, q * kQuad);
#pragma clang loop unroll(full)
    for (int v = 0; v < V; ++v) panels[v] += n * kQuad;
  }

  EDGEORT_INLINE void quad(const u32 (&x)[M], const i8* (&panels)[V]) {
    step([&](int m) __attribute__((always_inline)) { return x[m]; }, panels, 0);
#pragma clang loop unroll(full)
    for (int v = 0; v < V; ++v) panels[v] += kQuad;
  }

  EDGEORT_INLINE vi get(int m, int v, int i) const {
    if constexpr (kPerColumn == 1) {
      return sum[m][v][i];
    } else {
      return add_pairs(sum[m][v][2 * i], sum[m][v][2 * i + 1]);
    }
  }
};
#endif

}  // namespace
}  // namespace edgeort
