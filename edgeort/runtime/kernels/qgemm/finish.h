// From sums to results: a factor a column, then the zero point and limits of bytes.
#pragma once
#include "../../simd/narrow.h"
#include "qgemm.h"

namespace edgeort {
namespace {

// clip(round_even(y) + zero_point, lo, hi) of rows of C columns, stored; y is no NaN. kRectified: as in QResult.
template <int C>
struct ToBytes {
  static constexpr int kVectors = C / kLanes;
#if defined(__aarch64__)
  // A register holds 16 bytes: of one row, or of two.
  static constexpr int kRows = 16 / C;
  using Bytes = Vec<q8, 16>;
  Vec<i16, 8> zero_point;
  Bytes lo, hi;

  EDGEORT_INLINE explicit ToBytes(const QResult& r)
      : zero_point(Vec<i16, 8>{} + static_cast<i16>(r.zero_point)),
        lo(Bytes{} + static_cast<q8>(r.lo)),
        hi(Bytes{} + static_cast<q8>(r.hi)) {}

  template <bool kRectified>
  EDGEORT_INLINE Bytes bytes(Vec<i16, 8> a, Vec<i16, 8> b) const {
    if constexpr (kRectified) return narrow_rectified(a, b);
    const Bytes q = narrow(__builtin_elementwise_add_sat(a, zero_point), __builtin_elementwise_add_sat(b, zero_point));
    return __builtin_elementwise_min(__builtin_elementwise_max(q, lo), hi);
  }

  // Stores at p, and steps over a row.
  static EDGEORT_INLINE void put(Bytes q, int row, char*& p, i64 stride) {
    if constexpr (C == 16) {
      __asm__("st1 {%2.16b}, [%0], %3" : "+r"(p), "=m"(*reinterpret_cast<char (*)[16]>(p)) : "w"(q), "r"(stride));
    } else if (row == 0) {
      __asm__("st1 {%2.d}[0], [%0], %3" : "+r"(p), "=m"(*reinterpret_cast<char (*)[8]>(p)) : "w"(q), "r"(stride));
    } else {
      __asm__("st1 {%2.d}[1], [%0], %3" : "+r"(p), "=m"(*reinterpret_cast<char (*)[8]>(p)) : "w"(q), "r"(stride));
    }
  }

  template <bool kRectified, int M>
  EDGEORT_INLINE void rows(const vf (&y)[M][kVectors], char* out, i64 stride) const {
#pragma clang loop unroll(full)
    for (int m = 0; m < M; m += kRows) {
      const int last = m + kRows <= M ? m + kRows - 1 : m;
      const auto half = [&](int row, int i) __attribute__((always_inline)) {
        const vi a = nearest(y[row][i]), b = nearest(y[row][i + 1]);
        return kRectified ? lower_halves(a, b) : saturate(a, b);
      };
      const Bytes q = bytes<kRectified>(half(m, 0), half(last, kVectors - 2));
#pragma clang loop unroll(full)
      for (int r = 0; m + r <= last; ++r) put(q, r, out, stride);
    }
  }
#elif defined(__AVX2__)
  // Four vectors, of one row or of more, packed within 128 bits to int16 and to bytes.
  static_assert(4 % kVectors == 0, "a row is no more than four vectors");
  static constexpr int kRows = 4 / kVectors;
  using Bytes = Vec<q8, 4 * kLanes>;
  Vec<i16, 2 * kLanes> zero_point;
  Bytes lo, hi;

  EDGEORT_INLINE explicit ToBytes(const QResult& r)
      : zero_point(Vec<i16, 2 * kLanes>{} + static_cast<i16>(r.zero_point)),
        lo(Bytes{} + static_cast<q8>(r.lo)),
        hi(Bytes{} + static_cast<q8>(r.hi)) {}

  template <bool kRectified>
  EDGEORT_INLINE Vec<i16, 2 * kLanes> half(vf a, vf b) const {
    if constexpr (kRectified) return saturate(nearest(a), nearest(b));
    // Beyond int32, a conversion gives its least: the limit above is one that bytes saturate.
    const vf most = splat(65536.0f);
    return __builtin_elementwise_add_sat(saturate(nearest(vmin(a, most)), nearest(vmin(b, most))), zero_point);
  }

  template <bool kRectified>
  EDGEORT_INLINE Bytes bytes(const vf (&y)[4]) const {
    const Bytes q = bitcast<Bytes>(in_order(bitcast<vi>(narrow(half<kRectified>(y[0], y[1]), half<kRectified>(y[2], y[3])))));
    return kRectified ? q : __builtin_elementwise_min(__builtin_elementwise_max(q, lo), hi);
  }

  template <bool kRectified, int M>
  EDGEORT_INLINE void rows(const vf (&y)[M][kVectors], char* out, i64 stride) const {
#pragma clang loop unroll(full)
    for (int m = 0; m < M; m += kRows) {
      vf v[4];
#pragma clang loop unroll(full)
      for (int i = 0; i < 4; ++i) v[i] = y[m + i / kVectors < M ? m + i / kVectors : m][i % kVectors];
      const Bytes q = bytes<kRectified>(v);
#pragma clang loop unroll(full)
      for (int r = 0; r < kRows && m + r < M; ++r) __builtin_memcpy(out + (m + r) * stride, reinterpret_cast<const char*>(&q) + r * C, C);
    }
  }
#else
  using Bytes = Vec<q8, C>;

  template <bool, int M>
  EDGEORT_INLINE void rows(const vf (&y)[M][kVectors], char* out, i64 stride) const {
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m, out += stride) store(reinterpret_cast<q8*>(out), row(y[m]));
  }

  vf lo, hi;
  vi zero_point;

  EDGEORT_INLINE explicit ToBytes(const QResult& r)
      : lo(splat(static_cast<f32>(r.lo - r.zero_point))),
        hi(splat(static_cast<f32>(r.hi - r.zero_point))),
        zero_point(splat_int(r.zero_point)) {}

  EDGEORT_INLINE Bytes row(const vf (&y)[kVectors]) const {
    vi q[kVectors];
#pragma clang loop unroll(full)
    for (int i = 0; i < kVectors; ++i) q[i] = to_int_small(vmin(vmax(lo, y[i]), hi)) + zero_point;
    return __builtin_convertvector((load_as<Vec<i32, C> >(q)), Bytes);
  }
#endif
};

}  // namespace
}  // namespace edgeort
