// sin, cos, tan and their inverses over T = float or a vector of floats. Part of math.h, which states the errors.
#pragma once

#include "exp_log.h"

namespace edgeort {
namespace {

// x = q pi/2 + r for |x| >= 2^18, exactly enough for every float (Payne and Hanek, "Radian reduction for
// trigonometric functions", SIGNUM Newsletter 18(1), 1983): x = m 2^e, and the bits of 2/pi that give multiples of 4
// quarter turns are skipped. inf and NaN give NaN.
__attribute__((noinline, unused)) float reduce_huge(float x, uint32_t* q) {
  static constexpr uint32_t kTwoOverPi[8] = {0, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu};
  const uint32_t bits = bitcast<uint32_t>(x);
  const int32_t exponent = static_cast<int32_t>((bits >> 23) & 0xff);
  if (exponent == 0xff) {
    *q = 0;
    return x - x;
  }
  const uint64_t m = (bits & 0x7fffff) | 0x800000;
  const int32_t start = exponent - 150 + 30;  // 32 zero bits stand in front; weight of this bit times 2^e: 2
  const uint32_t* w = kTwoOverPi + (start >> 5);
  const int32_t sh = start & 31;
  uint64_t window[3];
  for (int i = 0; i < 3; ++i) window[i] = static_cast<uint32_t>((((uint64_t{w[i]} << 32) | w[i + 1]) << sh) >> 32);
  const uint64_t low = m * window[2];
  const uint64_t mid = m * window[1] + (low >> 32);
  const uint64_t turns = ((m * window[0]) << 32) + mid;  // quarter turns * 2^62, modulo 4
  const uint64_t quarter = (turns + (uint64_t{1} << 61)) >> 62;
  const uint64_t frac = turns - (quarter << 62);
  const double hi = static_cast<double>(static_cast<int32_t>(frac >> 32)) * 0x1p32;
  const double r = (hi + static_cast<double>(static_cast<uint32_t>(frac))) * 0x1.921fb54442d18p-62;
  const bool negative = bits >> 31;
  *q = static_cast<uint32_t>(negative ? 4 - quarter : quarter);
  return static_cast<float>(negative ? -r : r);
}

template <class T>
struct TrigParts {
  T r;
  U32<T> q;  // only q mod 4 counts
};

// pi/2 in three floats: exact enough below 2^18; the lanes beyond go one by one through reduce_huge.
template <class T>
EDGEORT_INLINE TrigParts<T> split_trig(T x) {
  const T t = fma(x, splat<T>(0x1.45f306p-1f), splat<T>(kMagic));
  const T n = t - kMagic;
  T r = fma_exact(n, splat<T>(-0x1.921fb6p+0f), x);
  r = fma_exact(n, splat<T>(0x1.777a5cp-25f), r);
  r = fma(n, splat<T>(0x1.ee59dap-50f), r);
  U32<T> q = bitcast<U32<T>>(t);
  const auto huge = abs(x) >= 0x1p18f;
  if (__builtin_expect(any(huge), 0)) {
    constexpr int lanes = Shape<T>::lanes;
    float xs[lanes], rs[lanes];
    uint32_t qs[lanes];
    store(xs, x);
    store(rs, r);
    store(qs, q);
    for (int i = 0; i < lanes; ++i) {
      if (!(__builtin_fabsf(xs[i]) < 0x1p18f)) rs[i] = reduce_huge(xs[i], &qs[i]);
    }
    r = load_as<T>(rs);
    q = load_as<U32<T>>(qs);
  }
  return {r, q};
}

// sin(r + q pi/2); sin_of(.., q + 1) is the cosine.
template <class T>
EDGEORT_INLINE T sin_of(T r, U32<T> q) {
  const T z = r * r;
  const T s = fma(r * z, poly(z, -0x1.555544p-3f, 0x1.1106aep-7f, -0x1.990f92p-13f), r);
  const T c4 = poly(z, 0x1.555548p-5f, -0x1.6c0af4p-10f, 0x1.99911cp-16f);
  const T c = fma(z * z, c4, fma(z, splat<T>(-0.5f), splat<T>(1.0f)));
  const T v = select((q & 1u) != 0u, c, s);
  return bitcast<T>(bitcast<U32<T>>(v) ^ ((q & 2u) << 30));
}

template <class T>
EDGEORT_INLINE T sin(T x) {
  const auto p = split_trig(x);
  return select(x == 0.0f, x, sin_of(p.r, p.q));  // keeps -0
}

template <class T>
EDGEORT_INLINE T cos(T x) {
  const auto p = split_trig(x);
  return sin_of<T>(p.r, p.q + 1u);
}

template <class T>
EDGEORT_INLINE T tan(T x) {
  const auto p = split_trig(x);
  const T z = p.r * p.r;
  const T c = poly(z, 0x1.555564p-2f, 0x1.110c88p-3f, 0x1.bb0b9cp-5f, 0x1.5ab798p-6f, 0x1.6d779ep-7f, -0x1.4e340cp-12f, 0x1.2c2966p-8f);
  const T t = fma(p.r * z, c, p.r);
  return select(x == 0.0f, x, select((p.q & 1u) != 0u, -1.0f / t, t));
}

// asin(s) = s + s z P(z), z = s^2, for s <= 1/2.
template <class T>
EDGEORT_INLINE T asin_poly(T z) {
  return poly(z, 0x1.5555c8p-3f, 0x1.330204p-4f, 0x1.747bbap-5f, 0x1.8c3e28p-6f, 0x1.595c92p-5f);
}

// Above 1/2: pi/2 - 2 asin(sqrt((1 - |x|) / 2)).
template <class T>
EDGEORT_INLINE T asin(T x) {
  const T a = abs(x);
  const auto small = a <= 0.5f;
  const T z = select(small, a * a, fma(a, splat<T>(-0.5f), splat<T>(0.5f)));
  const T s = select(small, a, sqrt(z));
  const T t = (s * z) * asin_poly(z);
  const T upper = fma(t + 0x1.777a5cp-26f, splat<T>(-2.0f), fma(s, splat<T>(-2.0f), splat<T>(0x1.921fb6p+0f)));
  return copysign(select(small, s + t, upper), x);
}

// |x| <= 1/2: pi/2 - asin(x). x > 1/2: 2 asin(sqrt((1 - x) / 2)). x < -1/2: pi minus that of -x.
template <class T>
EDGEORT_INLINE T acos(T x) {
  const T a = abs(x);
  const auto small = a <= 0.5f;
  const T z = select(small, a * a, fma(a, splat<T>(-0.5f), splat<T>(0.5f)));
  const T s = select(small, x, sqrt(z));
  const T t = (s * z) * asin_poly(z);
  const T middle = (0x1.921fb6p+0f - s) - (t + 0x1.777a5cp-25f);
  const T right = (s + t) * 2.0f;
  const T left = fma(t, splat<T>(-2.0f), fma(s, splat<T>(-2.0f), splat<T>(0x1.921fb6p+1f)));
  return select(small, middle, select(x < 0.0f, left, right));
}

// |x| <= 1: q = x. Above: pi/2 + atan(q), q = -1 / |x|.
template <class T>
EDGEORT_INLINE T atan(T x) {
  const T a = abs(x);
  const auto big = a > 1.0f;
  const T one = splat<T>(1.0f), zero = splat<T>(0.0f);
  const T q = select(big, -one, a) / select(big, a, one);
  const T z = q * q;
  const T c = poly(z, -0x1.55553ep-2f, 0x1.9991e4p-3f, -0x1.242086p-3f, 0x1.c08c50p-4f, -0x1.58092ep-4f, 0x1.da2a88p-5f, -0x1.fd7fa4p-6f,
                   0x1.64274ap-7f, -0x1.d36024p-10f);
  const T t = fma(q * z, c, select(big, splat<T>(-0x1.777a5cp-25f), zero));
  return copysign(select(big, splat<T>(0x1.921fb6p+0f), zero) + (q + t), x);
}

}  // namespace
}  // namespace edgeort
