// Dots of vectors whose lanes hold a column's sum, or each half of one: AVX-VNNI, AVX-512, WebAssembly, and any other CPU.
#pragma once
#include "../../simd/interleave.h"

namespace edgeort {
namespace {

constexpr int kBiasLanes = 1;
constexpr bool kStepped = false;
constexpr bool kOrdered = false;

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
constexpr int kHalves = 1;  // lanes of a column
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
constexpr int kHalves = 2;
using Weights = Vec<i16, 2 * kLanes>;
using Values = Weights;
EDGEORT_INLINE Weights weights(const i8* p) { return __builtin_convertvector((load_as<Vec<i8, 2 * kLanes>>(p)), Weights); }
EDGEORT_INLINE Values values(u32 x) {
#if defined(__AVX2__)
  // To widen half a register is two steps on many cores.
  const auto bytes = bitcast<Vec<q8, 4 * kLanes>>(Vec<u32, kLanes>{} + x);
  return bitcast<Values>(interleave<0>(bytes, decltype(bytes){}));
#else
  return __builtin_convertvector(bitcast<Vec<q8, 2 * kLanes>>(Vec<u32, kLanes / 2>{} + x), Values);
#endif
}
EDGEORT_INLINE vi dot(vi sum, Values x, Weights w) {
#if defined(__AVX512BW__)
  return sum + __builtin_ia32_pmaddwd512(x, w);
#elif defined(__AVX2__)
  return sum + __builtin_ia32_pmaddwd256(x, w);
#elif defined(__wasm_simd128__)
  return sum + __builtin_wasm_dot_s_i32x4_i16x8(x, w);
#else
  using Wide = Vec<i32, 2 * kLanes>;
  const Wide y = __builtin_convertvector(x, Wide) * __builtin_convertvector(w, Wide);
  return sum + __builtin_shufflevector(y, y, 0, 2, 4, 6) + __builtin_shufflevector(y, y, 1, 3, 5, 7);
#endif
}
#endif

// Lanes of two vectors: the even ones, or the odd ones.
template <int kFirst>
EDGEORT_INLINE vi every_other(vi a, vi b) {
  constexpr int f = kFirst;
#if defined(__AVX512F__)
  return __builtin_shufflevector(a, b, f, f + 2, f + 4, f + 6, f + 8, f + 10, f + 12, f + 14, f + 16, f + 18, f + 20, f + 22, f + 24,
                                 f + 26, f + 28, f + 30);
#elif defined(__AVX2__)
  return __builtin_shufflevector(a, b, f, f + 2, f + 4, f + 6, f + 8, f + 10, f + 12, f + 14);
#else
  return __builtin_shufflevector(a, b, f, f + 2, f + 4, f + 6);
#endif
}

template <int M, int C, bool kWide>
struct Dots {
  static constexpr int kParts = kHalves * C / kLanes;
  static constexpr int kPanelParts = kHalves * static_cast<int>(kPanel) / kLanes;
  vi sum[M][kParts];

  EDGEORT_INLINE void begin(const i32* bias) {
#pragma clang loop unroll(full)
    for (int p = 0; p < kParts; ++p) {
      vi b;
      if constexpr (kHalves == 1) {
        b = load(bias + p * kLanes);
      } else {
        b = bitcast<vi>(__builtin_convertvector((load_as<Vec<u32, kLanes / 2>>(bias + p * kLanes / 2)), Vec<u64, kLanes / 2>));
      }
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) sum[m][p] = b;
    }
  }

  static EDGEORT_INLINE Weights part(const i8* const (&panels)[panels_of(C)], i64 at, int p) {
    return weights(panels[p / kPanelParts] + at + p % kPanelParts * (kQuad / kPanelParts));
  }

  // The quads at `at` of the panels. Few registers: weights one after the other where they are more than a row's values.
  template <class Load>
  EDGEORT_INLINE void step(const Load& value, const i8* const (&panels)[panels_of(C)], i64 at) {
    if constexpr (M < kParts && kHalves == 2) {
      Values x[M];
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) x[m] = values(value(m));
#pragma clang loop unroll(full)
      for (int p = 0; p < kParts; ++p) {
        const Weights w = part(panels, at, p);
#pragma clang loop unroll(full)
        for (int m = 0; m < M; ++m) sum[m][p] = dot(sum[m][p], x[m], w);
#if defined(__wasm_simd128__)
        // In this order: else all weights are widened first, and wait on the stack.
#pragma clang loop unroll(full)
        for (int m = 0; m < M; ++m) __asm__ volatile("" : "+r"(sum[m][p])::"memory");
#endif
      }
    } else {
      Weights w[kParts];
#pragma clang loop unroll(full)
      for (int p = 0; p < kParts; ++p) w[p] = part(panels, at, p);
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) {
        const Values x = values(value(m));
#pragma clang loop unroll(full)
        for (int p = 0; p < kParts; ++p) sum[m][p] = dot(sum[m][p], x, w[p]);
      }
    }
  }

  // Of one row, which reads weights once: panel after panel, as they lie in memory, in sums enough for the latency of a dot.
  // kOnce: what is fetched leaves level 1 for nowhere, so that level 2 keeps what the next operators read.
  template <bool kOnce>
  EDGEORT_INLINE void row_quads(const q8* row, i64 n, const i8* const (&panels)[panels_of(C)]) {
    constexpr int kSums = 4;
    constexpr i64 kAhead = 8192;  // bytes, beyond what caches fetch by themselves when a page ends
#pragma clang loop unroll(full)
    for (int p = 0; p < kParts; ++p) {
      vi more[kSums] = {sum[0][p]};
      i64 q = 0;
#pragma clang loop unroll(disable)
      for (; q + kSums <= n; q += kSums) {
#pragma clang loop unroll(full)
        for (int i = 0; i < kSums; ++i) {
          __builtin_prefetch(panels[p] + (q + i) * kQuad + kAhead, 0, kOnce ? 0 : 3);
          more[i] = dot(more[i], values(load_as<u32>(row + (q + i) * kDepth)), weights(panels[p] + (q + i) * kQuad));
        }
      }
      for (; q < n; ++q) more[0] = dot(more[0], values(load_as<u32>(row + q * kDepth)), weights(panels[p] + q * kQuad));
      sum[0][p] = (more[0] + more[1]) + (more[2] + more[3]);
    }
  }

  EDGEORT_INLINE void quads(const q8* (&rows)[M], i64 n, const i8* (&panels)[panels_of(C)], bool once) {
    if constexpr (M == 1 && kPanelParts == 1) {
      once ? row_quads<true>(rows[0], n, panels) : row_quads<false>(rows[0], n, panels);
      skip(panels, n);
      return;
    }
#pragma clang loop unroll(disable)
    for (i64 q = 0; q < n; ++q)
      step([&](int m) __attribute__((always_inline)) { return load_as<u32>(rows[m] + q * kDepth); }, panels, q * kQuad);
    skip(panels, n);
  }

  EDGEORT_INLINE void quad(const Quads<M>& x, const i8* (&panels)[panels_of(C)]) {
    step([&](int m) __attribute__((always_inline)) { return x.of[m]; }, panels, 0);
    skip(panels, 1);
  }

  static EDGEORT_INLINE void skip(const i8* (&panels)[panels_of(C)], i64 n) {
#pragma clang loop unroll(full)
    for (int i = 0; i < panels_of(C); ++i) panels[i] += n * kQuad;
  }

  EDGEORT_INLINE vi get(int m, int i) const {
    if constexpr (kHalves == 1) {
      return sum[m][i];
    } else {
      return every_other<0>(sum[m][2 * i], sum[m][2 * i + 1]) + every_other<1>(sum[m][2 * i], sum[m][2 * i + 1]);
    }
  }
};

}  // namespace
}  // namespace edgeort
