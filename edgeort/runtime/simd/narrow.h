// Narrowing with saturation: float32 to integers, to int16, to bytes. Two vectors become one in each 128 bits by itself: the first
// gives the lower half, the second the upper.
#pragma once

#include "../core/q8.h"
#include "vec.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace edgeort {
namespace {

// Vectors of int32 -> one of int16, saturated; float32 -> int32 to nearest, ties to even.
#if defined(__x86_64__)
EDGEORT_INLINE Vec<i16, 8> saturate(Vec<i32, 4> a, Vec<i32, 4> b) { return __builtin_ia32_packssdw128(a, b); }
EDGEORT_INLINE Vec<i32, 4> nearest(Vec<f32, 4> x) { return __builtin_ia32_cvtps2dq(x); }
#if defined(__AVX2__)
EDGEORT_INLINE Vec<i16, 16> saturate(Vec<i32, 8> a, Vec<i32, 8> b) { return __builtin_ia32_packssdw256(a, b); }
EDGEORT_INLINE Vec<i32, 8> nearest(Vec<f32, 8> x) { return __builtin_ia32_cvtps2dq256(x); }
#if defined(__AVX512BW__)
EDGEORT_INLINE Vec<i16, 32> saturate(Vec<i32, 16> a, Vec<i32, 16> b) { return __builtin_ia32_packssdw512(a, b); }
EDGEORT_INLINE Vec<i32, 16> nearest(Vec<f32, 16> x) { return __builtin_ia32_cvtps2dq512_mask(x, Vec<i32, 16>{}, 0xffff, 4); }
#endif
#endif
#elif defined(__aarch64__)
EDGEORT_INLINE Vec<i16, 8> saturate(Vec<i32, 4> a, Vec<i32, 4> b) { return vqmovn_high_s32(vqmovn_s32(a), b); }
EDGEORT_INLINE Vec<i32, 4> nearest(Vec<f32, 4> x) { return vcvtnq_s32_f32(x); }
#elif defined(__wasm_simd128__)
EDGEORT_INLINE Vec<i16, 8> saturate(Vec<i32, 4> a, Vec<i32, 4> b) { return __builtin_wasm_narrow_s_i16x8_i32x4(a, b); }
EDGEORT_INLINE Vec<i32, 4> nearest(Vec<f32, 4> x) { return to_int(x); }
#else
template <class V>
EDGEORT_INLINE auto saturate(V a, V b) {
  constexpr int kCount = sizeof(V) / 4;
  Vec<i16, 2 * kCount> y;
#pragma clang loop unroll(full)
  for (int i = 0; i < 2 * kCount; ++i) {
    const i32 x = i < kCount ? a[i] : b[i - kCount];
    y[i] = static_cast<i16>(x < -32768 ? -32768 : x > 32767 ? 32767 : x);
  }
  return y;
}
template <class V>
EDGEORT_INLINE auto nearest(V x) {
  return to_int(x);
}
#endif

#if defined(__wasm_simd128__) || (defined(__x86_64__) && !defined(__AVX2__))
// Twice as wide: 128 bits at a time.
EDGEORT_INLINE auto lower(Vec<i16, 16> x) { return __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7); }
EDGEORT_INLINE auto upper(Vec<i16, 16> x) { return __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15); }
EDGEORT_INLINE Vec<i32, 8> nearest(Vec<f32, 8> x) { return to_int(x); }
EDGEORT_INLINE Vec<i16, 16> saturate(Vec<i32, 8> a, Vec<i32, 8> b) {
  const Vec<i16, 8> part[2] = {saturate(__builtin_shufflevector(a, a, 0, 1, 2, 3), __builtin_shufflevector(b, b, 0, 1, 2, 3)),
                               saturate(__builtin_shufflevector(a, a, 4, 5, 6, 7), __builtin_shufflevector(b, b, 4, 5, 6, 7))};
  return load_as<Vec<i16, 16>>(part);
}
#endif

// Vectors of int32 that fit int16 -> one of int16.
#if defined(__aarch64__)
EDGEORT_INLINE Vec<i16, 8> lower_halves(Vec<i32, 4> a, Vec<i32, 4> b) {
  return vuzp1q_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b));
}
#else
template <class V>
EDGEORT_INLINE auto lower_halves(V a, V b) {
  return saturate(a, b);
}
#endif

// Vectors of int16 -> stored bytes, saturated.
#if defined(__x86_64__)
EDGEORT_INLINE Vec<u8, 16> narrow(Vec<i16, 8> a, Vec<i16, 8> b) { return bitcast<Vec<u8, 16>>(__builtin_ia32_packuswb128(a, b)); }
EDGEORT_INLINE Vec<u8, 8> narrow(Vec<i16, 8> a) {
  const Vec<u8, 16> y = narrow(a, a);
  return __builtin_shufflevector(y, y, 0, 1, 2, 3, 4, 5, 6, 7);
}
#if defined(__AVX2__)
EDGEORT_INLINE Vec<u8, 32> narrow(Vec<i16, 16> a, Vec<i16, 16> b) { return bitcast<Vec<u8, 32>>(__builtin_ia32_packuswb256(a, b)); }
EDGEORT_INLINE Vec<u8, 16> narrow(Vec<i16, 16> a) {
  return narrow(__builtin_shufflevector(a, a, 0, 1, 2, 3, 4, 5, 6, 7), __builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15));
}
#if defined(__AVX512BW__)
EDGEORT_INLINE Vec<u8, 64> narrow(Vec<i16, 32> a, Vec<i16, 32> b) { return bitcast<Vec<u8, 64>>(__builtin_ia32_packuswb512(a, b)); }
EDGEORT_INLINE Vec<u8, 32> narrow(Vec<i16, 32> a) {
  using V = Vec<i16, 32>;
  return __builtin_convertvector(__builtin_elementwise_min(__builtin_elementwise_max(a, V{}), V{} + i16{255}), Vec<u8, 32>);
}
#endif
// What narrow() makes of saturate(a, b) and saturate(c, d) has a dword of each in every 128 bits: all of a first, then b, c and d.
EDGEORT_INLINE vi in_order(vi packed) {
#if defined(__AVX512F__)
  return __builtin_shufflevector(packed, packed, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
#else
  return __builtin_shufflevector(packed, packed, 0, 4, 1, 5, 2, 6, 3, 7);
#endif
}
#else
EDGEORT_INLINE Vec<u8, 16> narrow(Vec<i16, 16> a) { return narrow(lower(a), upper(a)); }
#endif
#elif defined(__aarch64__)
EDGEORT_INLINE Vec<i8, 16> narrow(Vec<i16, 8> a, Vec<i16, 8> b) { return vqmovn_high_s16(vqmovn_s16(a), b); }
#elif defined(__wasm_simd128__)
EDGEORT_INLINE Vec<i8, 16> narrow(Vec<i16, 8> a, Vec<i16, 8> b) { return __builtin_wasm_narrow_s_i8x16_i16x8(a, b); }
EDGEORT_INLINE Vec<i8, 16> narrow(Vec<i16, 16> a) { return narrow(lower(a), upper(a)); }
EDGEORT_INLINE Vec<i8, 8> narrow(Vec<i16, 8> a) {
  const Vec<i8, 16> y = narrow(a, a);
  return __builtin_shufflevector(y, y, 0, 1, 2, 3, 4, 5, 6, 7);
}
#else
EDGEORT_INLINE Vec<i8, 16> narrow(Vec<i16, 8> a, Vec<i16, 8> b) {
  Vec<i8, 16> y;
#pragma clang loop unroll(full)
  for (int i = 0; i < 16; ++i) {
    const i16 x = i < 8 ? a[i] : b[i - 8];
    y[i] = static_cast<i8>(x < -128 ? -128 : x > 127 ? 127 : x);
  }
  return y;
}
#endif

// The same of numbers whose zero point is -128: bytes are 128 less.
#if defined(__aarch64__)
EDGEORT_INLINE Vec<i8, 16> narrow_rectified(Vec<i16, 8> a, Vec<i16, 8> b) {
  return vreinterpretq_s8_u8(vqmovun_high_s16(vqmovun_s16(a), b) ^ u8{128});
}
#else
template <class V>
EDGEORT_INLINE auto narrow_rectified(V a, V b) {
  const V less = V{} + static_cast<i16>(kQ8Bias - 128);
  return narrow(__builtin_elementwise_add_sat(a, less), __builtin_elementwise_add_sat(b, less));
}
#endif

}  // namespace
}  // namespace edgeort
