// What follows the sums of a block of channels: a factor each, and rounding to bytes.
#pragma once
#include "../../simd/narrow.h"
#include "qdepthwise.h"
#include "taps.h"

namespace edgeort {
namespace {

// The 128 bits of vector r of sums that hold channels from p on.
template <class V, int kSums, class T>
EDGEORT_INLINE V load_ordered(const T* p, int r) {
  V v;
#pragma clang loop unroll(full)
  for (int j = 0; j < static_cast<int>(sizeof(V) / 16); ++j)
    __builtin_memcpy(reinterpret_cast<char*>(&v) + 16 * j, p + 4 * (kSums * j + r), 16);
  return v;
}
// Stores them, but none behind the first `lanes` channels of a level that takes fewer than a block.
template <int kSums, class V>
EDGEORT_INLINE void store_ordered(f32* p, V v, int r, [[maybe_unused]] int lanes) {
#pragma clang loop unroll(full)
  for (int j = 0; j < static_cast<int>(sizeof(V) / 16); ++j) {
    const int c = 4 * (kSums * j + r);
    Vec<f32, 4> part;
    __builtin_memcpy(&part, reinterpret_cast<const char*>(&v) + 16 * j, 16);
#if defined(__AVX512BW__)
    if constexpr (4 * kSums * static_cast<int>(sizeof(V) / 16) == kLast) {
      __builtin_ia32_storeups128_mask(reinterpret_cast<Vec<f32, 4>*>(p + c), part, static_cast<u8>(~u32{0} >> (kLast - lanes) >> c));
      continue;
    }
#endif
    store(p + c, part);
  }
}

// From a block's sums to its results.
template <int N>
struct Finish {
  using T = Taps<N>;
  using Sum = typename T::Sum;
  using Float = Vec<f32, static_cast<int>(sizeof(Sum) / 4)>;
  using Half = Vec<i16, static_cast<int>(sizeof(Sum) / 2)>;
  static constexpr int kSums = T::kSums;
  // Where sums are begun in place, loading two registers of bias at a time beats copying them.
  static constexpr bool kReload = T::kDepth > 1 && sizeof(Sum) == 16;
  const i32* biases;
  Sum bias[kSums];
  Float scale[kSums];
  Half zero_point;
  Vec<q8, N> lo, hi;
  bool quantised, rectified;
  int lanes;

  EDGEORT_INLINE Finish(const QResult& a, i64 c, int n)
      : biases(a.bias + c),
        zero_point(Half{} + static_cast<i16>(a.zero_point)),
        lo(Vec<q8, N>{} + static_cast<q8>(a.lo)),
        hi(Vec<q8, N>{} + static_cast<q8>(a.hi)),
        quantised(a.quantised),
        rectified(a.rectified),
        lanes(n) {
#pragma clang loop unroll(full)
    for (int r = 0; r < kSums; ++r) {
      bias[r] = load_ordered<Sum, kSums>(a.bias + c, r);
      scale[r] = load_ordered<Float, kSums>(a.scale + c, r);
    }
  }

  EDGEORT_INLINE void begin(Sum (&sum)[kSums]) const {
    const i32* from = kReload ? opaque(biases) : nullptr;
#pragma clang loop unroll(full)
    for (int r = 0; r < kSums; ++r) sum[r] = kReload ? load_ordered<Sum, kSums>(from, r) : bias[r];
  }

  // Channels c of P pixels from `out` on, `pixel` bytes apart; |sum * scale| < 2^31. kRectified: `rectified`, known when
  // compiled.
  template <bool kRectified, int P>
  EDGEORT_INLINE void save(const Sum (&sum)[P][kSums], char* out, i64 pixel, i64 c) const {
    Float y[P][kSums];
#pragma clang loop unroll(full)
    for (int p = 0; p < P; ++p) {
#pragma clang loop unroll(full)
      for (int r = 0; r < kSums; ++r) y[p][r] = __builtin_convertvector(sum[p][r], Float) * scale[r];
    }
    const auto bytes = [&](int p) __attribute__((always_inline)) { return reinterpret_cast<q8*>(out + p * pixel) + c; };
    if (kRectified || rectified) {
#pragma clang loop unroll(full)
      for (int p = 0; p < P; ++p) store_bytes<N>(bytes(p), narrow_rectified(y[p]), lanes);
    } else if (quantised) {
#pragma clang loop unroll(full)
      for (int p = 0; p < P; ++p) store_bytes<N>(bytes(p), narrow(y[p]), lanes);
    } else {
#pragma clang loop unroll(full)
      for (int p = 0; p < P; ++p) {
        f32* to = reinterpret_cast<f32*>(out + p * pixel) + c;
#pragma clang loop unroll(full)
        for (int r = 0; r < kSums; ++r) store_ordered<kSums>(to, y[p][r], r, lanes);
      }
    }
  }

  // One pixel, for sums of any size and any number of channels.
  EDGEORT_INLINE void save_any(const Sum (&sum)[kSums], char* out, i64 c) const {
    Float y[kSums];
    f32 values[N];
#pragma clang loop unroll(full)
    for (int r = 0; r < kSums; ++r) {
      y[r] = __builtin_convertvector(sum[r], Float) * scale[r];
      store_ordered<kSums>(values, y[r], r, N);
      y[r] = clip(y[r], splat<Float>(-65536.0f), splat<Float>(65536.0f));
    }
    const Vec<q8, N> bytes = narrow(y);
    const i64 size = quantised ? i64{sizeof(q8)} : i64{sizeof(f32)};
    const void* from = quantised ? static_cast<const void*>(&bytes) : values;
    __builtin_memcpy(out + c * size, from, static_cast<size_t>(lanes * size));
  }

  EDGEORT_INLINE Vec<q8, N> narrow(const Float (&y)[kSums]) const {
    const auto half = [&](int i) __attribute__((always_inline)) {
      return __builtin_elementwise_add_sat(saturate(nearest(y[2 * i]), nearest(y[2 * i + 1])), zero_point);
    };
    Vec<q8, N> q;
    if constexpr (kSums == 4) {
      q = edgeort::narrow(half(0), half(1));
    } else {
      q = edgeort::narrow(half(0));
    }
    return __builtin_elementwise_min(__builtin_elementwise_max(q, lo), hi);
  }

  // Of the zero point -128 and no other limits: [0, 255], less 128.
  EDGEORT_INLINE Vec<q8, N> narrow_rectified(const Float (&y)[kSums]) const {
    const auto half = [&](int i) __attribute__((always_inline)) { return lower_halves(nearest(y[2 * i]), nearest(y[2 * i + 1])); };
    if constexpr (kSums == 4) {
      return edgeort::narrow_rectified(half(0), half(1));
    } else {
      const Half less = Half{} + static_cast<i16>(kQ8Bias - 128);
      return edgeort::narrow(__builtin_elementwise_add_sat(half(0), less));
    }
  }
};

}  // namespace
}  // namespace edgeort
