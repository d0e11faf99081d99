// How each ISA level multiplies M rows by V panels: the sums in registers, and the loop over a tap's quads.
//
// Sums are kParts vectors a panel. Where an instruction adds only two of a quad's four products (kPaired), each column has
// two neighbouring lanes, which `ordered` adds at the end.
#pragma once
#include "../../simd/vec.h"
#include "qgemm.h"

#if defined(__aarch64__) || defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace edgeort {
namespace {

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__) || defined(__ARM_FEATURE_DOTPROD)
constexpr bool kPaired = false;
#else
constexpr bool kPaired = true;
#endif

constexpr int kParts = static_cast<int>(kPanel) / kLanes * (kPaired ? 2 : 1);
using Sum = vi;
using Sums = Sum[kParts];

// The sums of a panel in the order of its columns.
EDGEORT_INLINE void ordered(const Sums& sum, vi (&out)[kPanel / kLanes]) {
#pragma clang loop unroll(full)
  for (int i = 0; i < static_cast<int>(kPanel) / kLanes; ++i) {
    if constexpr (!kPaired) {
      out[i] = sum[i];
    } else if constexpr (kLanes == 16) {
      out[i] = __builtin_shufflevector(sum[2 * i], sum[2 * i + 1], 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30) +
               __builtin_shufflevector(sum[2 * i], sum[2 * i + 1], 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    } else if constexpr (kLanes == 8) {
      out[i] = __builtin_shufflevector(sum[2 * i], sum[2 * i + 1], 0, 2, 4, 6, 8, 10, 12, 14) +
               __builtin_shufflevector(sum[2 * i], sum[2 * i + 1], 1, 3, 5, 7, 9, 11, 13, 15);
    } else {
      out[i] = __builtin_shufflevector(sum[2 * i], sum[2 * i + 1], 0, 2, 4, 6) +
               __builtin_shufflevector(sum[2 * i], sum[2 * i + 1], 1, 3, 5, 7);
    }
  }
}

#if defined(__aarch64__) && defined(__ARM_FEATURE_DOTPROD)
template <int M, int kLane>
EDGEORT_INLINE void quad(Sums (&sum)[M][1], const i8* panel, const Vec<i8, 16> (&x)[M]) {
#pragma clang loop unroll(full)
  for (int p = 0; p < kParts; ++p) {
    const auto w = load_as<Vec<i8, 16>>(panel + 16 * p);
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) sum[m][0][p] = vdotq_laneq_s32(sum[m][0][p], w, x[m], kLane);
  }
}

template <int M, int V, bool kWide>
EDGEORT_INLINE void tap(Sums (&sum)[M][V], const q8* (&a)[M], i64 quads, const i8* (&panels)[V]) {
  static_assert(V == 1);
  Vec<i8, 16> x[M];
  for (; quads >= 4; quads -= 4) {
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) x[m] = load_as<Vec<i8, 16>>(a[m]), a[m] += 16;
    quad<M, 0>(sum, panels[0], x);
    quad<M, 1>(sum, panels[0] + kQuad, x);
    quad<M, 2>(sum, panels[0] + 2 * kQuad, x);
    quad<M, 3>(sum, panels[0] + 3 * kQuad, x);
    panels[0] += 4 * kQuad;
  }
  for (; quads > 0; --quads) {
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) x[m] = bitcast<Vec<i8, 16>>(Vec<i32, 4>{} + load_as<i32>(a[m])), a[m] += kDepth;
    quad<M, 0>(sum, panels[0], x);
    panels[0] += kQuad;
  }
}
#elif defined(__ARM_NEON)
// Products of two columns by four k, in 16 bits: those of two quads may be added there, for 2 * 128 * 127 fits.
template <int M, int kQuads>
EDGEORT_INLINE void quads_of(Sums (&sum)[M][1], const q8* (&a)[M], const i8*& panel) {
  int8x8_t x[M][kQuads];
#pragma clang loop unroll(full)
  for (int m = 0; m < M; ++m) {
#pragma clang loop unroll(full)
    for (int q = 0; q < kQuads; ++q) x[m][q] = vreinterpret_s8_s32(vdup_n_s32(load_as<i32>(a[m] + q * kDepth)));
    a[m] += kQuads * kDepth;
  }
#pragma clang loop unroll(full)
  for (int p = 0; p < kParts / 2; ++p) {
    int8x16_t w[kQuads];
#pragma clang loop unroll(full)
    for (int q = 0; q < kQuads; ++q) w[q] = vld1q_s8(panel + q * kQuad + 16 * p);
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) {
      int16x8_t low = vmull_s8(vget_low_s8(w[0]), x[m][0]), high = vmull_s8(vget_high_s8(w[0]), x[m][0]);
      if constexpr (kQuads == 2) {
        low = vmlal_s8(low, vget_low_s8(w[1]), x[m][1]);
        high = vmlal_s8(high, vget_high_s8(w[1]), x[m][1]);
      }
      sum[m][0][2 * p] = vpadalq_s16(sum[m][0][2 * p], low);
      sum[m][0][2 * p + 1] = vpadalq_s16(sum[m][0][2 * p + 1], high);
    }
  }
  panel += kQuads * kQuad;
}

template <int M, int V, bool kWide>
EDGEORT_INLINE void tap(Sums (&sum)[M][V], const q8* (&a)[M], i64 quads, const i8* (&panels)[V]) {
  static_assert(V == 1);
  if constexpr (!kWide) {
    for (; quads >= 2; quads -= 2) quads_of<M, 2>(sum, a, panels[0]);
  }
  for (; quads > 0; --quads) quads_of<M, 1>(sum, a, panels[0]);
}
#else
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
using Weights = Vec<i8, 4 * kLanes>;
using Values = vi;
EDGEORT_INLINE Weights weights(const i8* p) { return load_as<Weights>(p); }
EDGEORT_INLINE Values values(const q8* p) { return splat_int(load_as<i32>(p)); }
EDGEORT_INLINE Sum dot(Sum sum, Values x, Weights w) {
#if defined(__AVX512VNNI__)
  return __builtin_ia32_vpdpbusd512(sum, bitcast<Vec<u8, 64>>(x), bitcast<Vec<char, 64>>(w));
#else
  return __builtin_ia32_vpdpbusd256(sum, bitcast<Vec<u8, 32>>(x), bitcast<Vec<char, 32>>(w));
#endif
}
#else
// Products of 16 bits. vpmaddubsw, which takes bytes, would saturate.
using Weights = Vec<i16, 2 * kLanes>;
using Values = Weights;
EDGEORT_INLINE Weights weights(const i8* p) { return __builtin_convertvector((load_as<Vec<i8, 2 * kLanes>>(p)), Weights); }
EDGEORT_INLINE Values values(const q8* p) {
  return __builtin_convertvector(bitcast<Vec<q8, 2 * kLanes>>(Vec<i32, kLanes / 2>{} + load_as<i32>(p)), Values);
}
EDGEORT_INLINE Sum dot(Sum sum, Values x, Weights w) {
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
EDGEORT_INLINE void tap(Sums (&sum)[M][V], const q8* (&a)[M], i64 quads, const i8* (&panels)[V]) {
#pragma clang loop unroll(disable)
  for (i64 q = 0; q < quads; ++q) {
    Weights w[V][kParts];
#pragma clang loop unroll(full)
    for (int v = 0; v < V; ++v) {
#pragma clang loop unroll(full)
      for (int p = 0; p < kParts; ++p) w[v][p] = weights(panels[v] + q * kQuad + p * (kQuad / kParts));
    }
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) {
      const Values x = values(a[m] + q * kDepth);
#pragma clang loop unroll(full)
      for (int v = 0; v < V; ++v) {
#pragma clang loop unroll(full)
        for (int p = 0; p < kParts; ++p) sum[m][v][p] = dot(sum[m][v][p], x, w[v][p]);
      }
    }
  }
#pragma clang loop unroll(full)
  for (int v = 0; v < V; ++v) panels[v] += quads * kQuad;
}
#endif

}  // namespace
}  // namespace edgeort
