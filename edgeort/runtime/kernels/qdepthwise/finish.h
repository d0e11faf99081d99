// What follows the sums of a block of channels: a factor each, and rounding to bytes.
#pragma once
#include "qdepthwise.h"
#include "taps.h"

namespace edgeort {
namespace {

// Vectors of int32 -> one of int16 in the order of channels, saturated; float32 -> int32 to nearest, ties to even.
#if defined(__x86_64__) && defined(__AVX2__)
EDGEORT_INLINE Vec<i16, 8> saturate(Vec<i32, 4> a, Vec<i32, 4> b) { return __builtin_ia32_packssdw128(a, b); }
EDGEORT_INLINE Vec<i16, 16> saturate(Vec<i32, 8> a, Vec<i32, 8> b) { return __builtin_ia32_packssdw256(a, b); }
EDGEORT_INLINE Vec<i32, 4> nearest(Vec<f32, 4> x) { return __builtin_ia32_cvtps2dq(x); }
EDGEORT_INLINE Vec<i32, 8> nearest(Vec<f32, 8> x) { return __builtin_ia32_cvtps2dq256(x); }
#if defined(__AVX512BW__)
EDGEORT_INLINE Vec<i16, 32> saturate(Vec<i32, 16> a, Vec<i32, 16> b) { return __builtin_ia32_packssdw512(a, b); }
EDGEORT_INLINE Vec<i32, 16> nearest(Vec<f32, 16> x) { return __builtin_ia32_cvtps2dq512_mask(x, Vec<i32, 16>{}, 0xffff, 4); }
#endif
#elif defined(__aarch64__)
EDGEORT_INLINE Vec<i16, 8> saturate(Vec<i32, 4> a, Vec<i32, 4> b) { return vqmovn_high_s32(vqmovn_s32(a), b); }
EDGEORT_INLINE Vec<i32, 4> nearest(Vec<f32, 4> x) { return vcvtnq_s32_f32(x); }
#else
template <class V>
EDGEORT_INLINE auto saturate(V a, V b) {
  constexpr int kCount = sizeof(V) / 4;
  Vec<i16, 2 * kCount> y;
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

// Vectors of int16 -> bytes in the order of channels, saturated.
#if defined(__x86_64__) && defined(__AVX2__)
EDGEORT_INLINE Vec<u8, 16> narrow(Vec<i16, 8> a, Vec<i16, 8> b) { return bitcast<Vec<u8, 16>>(__builtin_ia32_packuswb128(a, b)); }
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
#elif defined(__aarch64__)
EDGEORT_INLINE Vec<i8, 16> narrow(Vec<i16, 8> a, Vec<i16, 8> b) { return vqmovn_high_s16(vqmovn_s16(a), b); }
#else
EDGEORT_INLINE Vec<i8, 16> narrow(Vec<i16, 8> a, Vec<i16, 8> b) {
  Vec<i8, 16> y;
  for (int i = 0; i < 16; ++i) {
    const i16 x = i < 8 ? a[i] : b[i - 8];
    y[i] = static_cast<i8>(x < -128 ? -128 : x > 127 ? 127 : x);
  }
  return y;
}
#endif

// The 128 bits of vector r of sums that hold channels from p on.
template <class V, int kSums, class T>
EDGEORT_INLINE V load_ordered(const T* p, int r) {
  V v;
  for (int j = 0; j < static_cast<int>(sizeof(V) / 16); ++j)
    __builtin_memcpy(reinterpret_cast<char*>(&v) + 16 * j, p + 4 * (kSums * j + r), 16);
  return v;
}
template <int kSums, class T, class V>
EDGEORT_INLINE void store_ordered(T* p, V v, int r) {
  for (int j = 0; j < static_cast<int>(sizeof(V) / 16); ++j)
    __builtin_memcpy(p + 4 * (kSums * j + r), reinterpret_cast<const char*>(&v) + 16 * j, 16);
}

// From a block's sums to its results.
template <int N>
struct Finish {
  using T = Taps<N>;
  using Sum = typename T::Sum;
  using Float = Vec<f32, static_cast<int>(sizeof(Sum) / 4)>;
  using Half = Vec<i16, static_cast<int>(sizeof(Sum) / 2)>;
  static constexpr int kSums = T::kSums;
  Sum bias[kSums];
  Float scale[kSums];
  Half zero_point;
  Vec<q8, N> lo, hi;
  bool quantised;
  int lanes;

  EDGEORT_INLINE Finish(const QDepthwiseResult& a, i64 c, int n)
      : zero_point(Half{} + static_cast<i16>(a.zero_point)),
        lo(Vec<q8, N>{} + static_cast<q8>(a.lo)),
        hi(Vec<q8, N>{} + static_cast<q8>(a.hi)),
        quantised(a.quantised),
        lanes(n) {
    for (int r = 0; r < kSums; ++r) {
      bias[r] = load_ordered<Sum, kSums>(a.bias + c, r);
      scale[r] = load_ordered<Float, kSums>(a.scale + c, r);
    }
  }

  EDGEORT_INLINE void begin(Sum (&sum)[kSums]) const {
    for (int r = 0; r < kSums; ++r) sum[r] = bias[r];
  }

  // Channels c of the pixel at `out`. kAny: of any size; else |sum * scale| < 2^31.
  template <bool kAny = false>
  EDGEORT_INLINE void save(const Sum (&sum)[kSums], void* out, i64 c) const {
    Float y[kSums];
    for (int r = 0; r < kSums; ++r) y[r] = __builtin_convertvector(sum[r], Float) * scale[r];
    if (quantised) {
      q8* to = static_cast<q8*>(out) + c;
      if (kAny) {
        for (int r = 0; r < kSums; ++r) y[r] = clip(y[r], splat<Float>(-65536.0f), splat<Float>(65536.0f));
        const Vec<q8, N> v = narrow(y);
        __builtin_memcpy(to, &v, static_cast<size_t>(lanes));
      } else {
        store_bytes<N>(to, narrow(y), lanes);
      }
      return;
    }
    f32 ordered[N];
    for (int r = 0; r < kSums; ++r) store_ordered<kSums>(ordered, y[r], r);
    __builtin_memcpy(static_cast<f32*>(out) + c, ordered, static_cast<size_t>(lanes) * sizeof(f32));
  }

  EDGEORT_INLINE Vec<q8, N> narrow(const Float (&y)[kSums]) const {
    Half half[kSums / 2];
    for (int i = 0; i < kSums / 2; ++i)
      half[i] = __builtin_elementwise_add_sat(saturate(nearest(y[2 * i]), nearest(y[2 * i + 1])), zero_point);
    Vec<q8, N> q;
    if constexpr (kSums == 4) {
      q = edgeort::narrow(half[0], half[1]);
    } else {
      q = edgeort::narrow(half[0]);
    }
    return __builtin_elementwise_min(__builtin_elementwise_max(q, lo), hi);
  }
};

}  // namespace
}  // namespace edgeort
