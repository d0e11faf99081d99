// From sums to results: a factor a column, then the zero point and limits of bytes.
#pragma once
#include "../../simd/vec.h"
#include "qgemm.h"

#if defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace edgeort {
namespace {

// clip(round_even(y) + zero_point, lo, hi) of a row of C columns; y is no NaN.
template <int C>
struct ToBytes {
  static constexpr int kVectors = C / kLanes;
  using Bytes = Vec<q8, C>;
#if defined(__aarch64__)
  int16x8_t zero_point;
  Bytes lo, hi;

  EDGEORT_INLINE explicit ToBytes(const QResult& r)
      : zero_point(vdupq_n_s16(static_cast<i16>(r.zero_point))), lo(Bytes{} + static_cast<q8>(r.lo)), hi(Bytes{} + static_cast<q8>(r.hi)) {}

  EDGEORT_INLINE int16x8_t half(vf a, vf b) const {
    return vqaddq_s16(vqmovn_high_s32(vqmovn_s32(vcvtnq_s32_f32(a)), vcvtnq_s32_f32(b)), zero_point);
  }

  EDGEORT_INLINE Bytes operator()(const vf (&y)[kVectors]) const {
    Bytes q;
    if constexpr (C == 8) {
      q = vqmovn_s16(half(y[0], y[1]));
    } else {
      q = vqmovn_high_s16(vqmovn_s16(half(y[0], y[1])), half(y[2], y[3]));
    }
    return __builtin_elementwise_min(__builtin_elementwise_max(q, lo), hi);
  }
#elif defined(__AVX2__)
  // Packed within 128 bits, to int16 and to bytes: dword j of lane i then holds lane i of vector j.
  static constexpr int kParts = kLanes / 4;
  Vec<i16, 2 * kLanes> zero_point;
  Bytes lo, hi;

  EDGEORT_INLINE explicit ToBytes(const QResult& r)
      : zero_point(Vec<i16, 2 * kLanes>{} + static_cast<i16>(r.zero_point)),
        lo(Bytes{} + static_cast<q8>(r.lo)),
        hi(Bytes{} + static_cast<q8>(r.hi)) {}

  // Beyond int32, a conversion gives its least: the limit above is one that bytes saturate.
  static EDGEORT_INLINE vi nearest(vf y) { return to_int(vmin(y, splat(65536.0f))); }

  EDGEORT_INLINE Vec<i16, 2 * kLanes> half(vf a, vf b) const {
#if defined(__AVX512BW__)
    const auto packed = __builtin_ia32_packssdw512(nearest(a), nearest(b));
#else
    const auto packed = __builtin_ia32_packssdw256(nearest(a), nearest(b));
#endif
    return __builtin_elementwise_add_sat(packed, zero_point);
  }

  EDGEORT_INLINE Bytes operator()(const vf (&y)[kVectors]) const {
    const auto first = half(y[0], y[1 % kVectors]), second = kVectors > 2 ? half(y[2 % kVectors], y[3 % kVectors]) : first;
#if defined(__AVX512BW__)
    const vi packed = bitcast<vi>(__builtin_ia32_packuswb512(first, second));
    const vi q = __builtin_shufflevector(packed, packed, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
#else
    const vi packed = bitcast<vi>(__builtin_ia32_packuswb256(first, second));
    const vi q = __builtin_shufflevector(packed, packed, 0, 4, 1, 5, 2, 6, 3, 7);
#endif
    return __builtin_elementwise_min(__builtin_elementwise_max(load_as<Bytes>(&q), lo), hi);
  }
#else
  vf lo, hi;
  vi zero_point;

  EDGEORT_INLINE explicit ToBytes(const QResult& r)
      : lo(splat(static_cast<f32>(r.lo - r.zero_point))),
        hi(splat(static_cast<f32>(r.hi - r.zero_point))),
        zero_point(splat_int(r.zero_point)) {}

  EDGEORT_INLINE Bytes operator()(const vf (&y)[kVectors]) const {
    vi q[kVectors];
#pragma clang loop unroll(full)
    for (int i = 0; i < kVectors; ++i) q[i] = to_int(vmin(vmax(lo, y[i]), hi)) + zero_point;
    return __builtin_convertvector((load_as<Vec<i32, C> >(q)), Bytes);
  }
#endif
};

}  // namespace
}  // namespace edgeort
