// exp, log and what is made of them, over T = float or a vector of floats: fixed sequences of IEEE operations, without
// tables, estimates or libm, so that every width and every CPU gives the same bits. Part of math.h, which
// states the errors.
//
// Every polynomial is a minimax fit of ours (weighted, in 30 digits), its coefficients rounded to float one after
// another, lowest order first, the rest fitted again after each.
#pragma once

#include "vec.h"

namespace edgeort {
namespace {

constexpr float kInf = __builtin_inff();
constexpr float kNan = __builtin_nanf("");
constexpr float kMagic = 0x1.8p23f;  // x + kMagic holds round_even(x) in its low bits, for |x| < 2^22
constexpr uint32_t kOneBits = 0x3f800000;

// c0 + x*(c1 + x*(c2 + ...)) by fma.
template <class T>
EDGEORT_INLINE T poly(T, float c) {
  return splat<T>(c);
}
template <class T, class... C>
EDGEORT_INLINE T poly(T x, float c, C... rest) {
  return fma(x, poly(x, rest...), splat<T>(c));
}

// x = n ln 2 + hi + lo, |hi + lo| <= 0.3467 (|x| < 2^20), hi exact, lo = n kLn2Low. bits holds n in its low bits: bits << 23
// is n at the exponent.
constexpr float kLn2Low = 0x1.05c610p-29f;
template <class T>
struct ExpParts {
  T n, hi;
  U32<T> bits;
};
template <class T>
EDGEORT_INLINE ExpParts<T> split_exp(T x) {
  const T t = fma(x, splat<T>(0x1.715476p+0f), splat<T>(kMagic));
  const T n = t - kMagic;
  return {n, fma_exact(n, splat<T>(-0x1.62e430p-1f), x), bitcast<U32<T>>(t)};
}

// 2^n for -127 < n < 128.
template <class T>
EDGEORT_INLINE T pow2(U32<T> bits) {
  return bitcast<T>((bits << 23) + kOneBits);
}

// exp(hi + lo) and exp(hi + lo) - 1.
template <class T>
EDGEORT_INLINE T exp_poly(const ExpParts<T>& e) {
  const T r = fma(e.n, splat<T>(kLn2Low), e.hi);
  return poly(r, 1.0f, 1.0f, 0x1.fffffcp-2f, 0x1.555490p-3f, 0x1.5558b6p-5f, 0x1.123b36p-7f, 0x1.6a4a1ap-10f);
}
template <class T>
EDGEORT_INLINE T expm1_poly(const ExpParts<T>& e) {
  const T lo = e.n * kLn2Low, r = e.hi + lo;
  const T q = poly(r, 0x1.000000p-1f, 0x1.555556p-3f, 0x1.5554f4p-5f, 0x1.110ffcp-7f, 0x1.6d3f5ep-10f, 0x1.a25416p-13f);
  return e.hi + fma(r * r, q, lo);
}

// p * 2^(n + shift) with one rounding, p in [0.5, 2), |n + shift| <= 160: two factors, the first product exact.
template <int shift, class T>
EDGEORT_INLINE T scale(T p, T, U32<T> bits) {
  const U32<T> b = bits + static_cast<uint32_t>(shift);
  const U32<T> half = b >> 1;
  return (p * pow2<T>(b - half)) * pow2<T>(half);
}
#if defined(__AVX512F__)
template <int shift>
EDGEORT_INLINE vf scale(vf p, vf n, vu) {
  return __builtin_ia32_scalefps512_mask(p, shift == 0 ? n : n + static_cast<float>(shift), p, 0xffff, 4);
}
#endif

// p * 2^n where that is a normal number.
template <class T>
EDGEORT_INLINE T scale_normal(T p, T, U32<T> bits) {
  return p * pow2<T>(bits);
}
#if defined(__AVX512F__)
EDGEORT_INLINE vf scale_normal(vf p, vf n, vu bits) { return scale<0>(p, n, bits); }
#endif

// exp(x) * 2^shift.
template <int shift, class T>
EDGEORT_INLINE T exp_scaled(T x) {
  const auto e = split_exp(clip(x, splat<T>(-104.0f), splat<T>(90.0f)));
  return scale<shift>(exp_poly(e), e.n, e.bits);
}

template <class T>
EDGEORT_INLINE T exp(T x) {
  return exp_scaled<0>(x);
}

// exp(x) for x <= 0, but 0 below -87.33, where exp is about to leave the normal numbers (which is slow on many CPUs): the
// distance from a maximum, whose far ends do not count.
template <class T>
EDGEORT_INLINE T exp_nonpositive(T x) {
  const auto e = split_exp(x);
  return select(x < -87.33f, splat<T>(0.0f), scale_normal(exp_poly(e), e.n, e.bits));
}

// exp(x) + 1. What is lost below -86 does not reach the sum, so that 2^n needs no two factors but a doubling.
template <class T>
EDGEORT_INLINE T exp_plus_one(T x) {
  const auto e = split_exp(clip(x, splat<T>(-86.0f), splat<T>(89.0f)));
  const T half = exp_poly(e) * pow2<T>(e.bits - 1u);
  return (half + half) + 1.0f;
}
#if defined(__AVX512F__)
EDGEORT_INLINE vf exp_plus_one(vf x) { return exp(x) + 1.0f; }
#endif

// exp(x) - 1. Halved inside, so that 2^128 is never needed; tiny x, -0 included, is the result itself.
template <class T>
EDGEORT_INLINE T expm1(T x) {
  const auto e = split_exp(clip(x, splat<T>(-30.0f), splat<T>(89.0f)));
  const T s = pow2<T>(e.bits - 1u);
  const T half = fma(expm1_poly(e), s, s - 0.5f);
  return select(abs(x) < 0x1p-25f, x, half + half);
}

// |x| < 0.55: x + x^3 P(x^2). Above: 1 - 2 / (exp(2|x|) + 1).
template <class T>
EDGEORT_INLINE T tanh(T x) {
  const T a = vmin(abs(x), splat<T>(9.5f)), z = a * a;
  const T p = poly(z, -0x1.55554ap-2f, 0x1.110ceep-3f, -0x1.b91e7ep-5f, 0x1.58e518p-6f, -0x1.9921a2p-8f);
  const auto e = split_exp(a + a);
  const T d = fma(exp_poly(e), pow2<T>(e.bits), splat<T>(1.0f));
  return copysign(select(a < 0.55f, fma(a * z, p, a), 1.0f - 2.0f / d), x);
}

// e = exp(-|x|), q = e / (1 + e): 1 - q, and e - e q for x < 0, where the rounding of 1 + e then hardly counts.
template <class T>
EDGEORT_INLINE T sigmoid(T x) {
  const T e = exp(-abs(x));
  const T base = select(x < 0.0f, e, splat<T>(1.0f));
  return fma(-base, e / (e + 1.0f), base);
}

// |x| < 1: x + x P(x^2). Above: 1 - exp(Q(|x|)), Q = log(erfc).
template <class T>
EDGEORT_INLINE T erf(T x) {
  const T a = abs(x), z = x * x;
  const T p = poly(z, 0x1.06eba8p-3f, -0x1.81273ep-2f, 0x1.ce2ce6p-4f, -0x1.b7f71ap-6f, 0x1.53f224p-8f, -0x1.a3515ep-11f, 0x1.4771fep-14f);
  const T q = poly(vmin(a, splat<T>(4.0f)), -0x1.661a9ep-12f, -0x1.2088ecp+0f, -0x1.46bae6p-1f, -0x1.a6536ep-4f, 0x1.65cbc4p-6f,
                   -0x1.825b6ap-9f, 0x1.86ddccp-13f);
  const auto e = split_exp(q);
  const T tail = fma(-exp_poly(e), pow2<T>(e.bits), splat<T>(1.0f));
  return select(a < 1.0f, fma(x, p, x), copysign(tail, x));
}

// u = 2^k m, m in [sqrt(1/2), sqrt(2)), for normal u.
template <class T>
struct LogParts {
  I32<T> k;
  T m;
};
template <class T>
EDGEORT_INLINE LogParts<T> split_log(T u) {
  constexpr uint32_t kSqrtHalf = 0x3f3504f3;
  const U32<T> b = bitcast<U32<T>>(u) - kSqrtHalf;
  return {bitcast<I32<T>>(b) >> 23, bitcast<T>((b & 0x007fffffu) + kSqrtHalf)};
}

// log(1 + f) + k ln 2 for f in [sqrt(1/2) - 1, sqrt(2) - 1].
template <class T>
EDGEORT_INLINE T log_poly(T f, T k) {
  const T r = poly(f, 0x1.555548p-2f, -0x1.000006p-2f, 0x1.99a476p-3f, -0x1.555c44p-3f, 0x1.233ba2p-3f, -0x1.fc28cap-4f, 0x1.e6c00cp-4f,
                   -0x1.de01e0p-4f, 0x1.14733ap-4f);
  const T f2 = f * f;
  const T low = fma(k, splat<T>(-0x1.05c610p-29f), fma(f2 * f, r, f2 * -0.5f));
  return fma(k, splat<T>(0x1.62e430p-1f), f + low);
}

// The values that the sequence does not give: log of u <= 0, inf and NaN.
template <class T>
EDGEORT_INLINE T log_special(T u, T r) {
  r = select(u < kInf, r, u);
  r = select(u == 0.0f, splat<T>(-kInf), r);
  return select(u < 0.0f, splat<T>(kNan), r);
}

template <class T>
EDGEORT_INLINE T log(T x) {
  const auto tiny = x < 0x1p-126f;
  const auto e = split_log(select(tiny, x * 0x1p23f, x));
  const T k = to_float(e.k) - select(tiny, splat<T>(23.0f), splat<T>(0.0f));
  return log_special(x, log_poly(e.m - 1.0f, k));
}

// log(1 + y): 1 + y only chooses k; f = (1 + y) / 2^k - 1 is then rounded once. Loses the sign of -0.
template <class T>
EDGEORT_INLINE T log1p(T y) {
  const T u = y + 1.0f;
  const auto e = split_log(u);
  const T s = bitcast<T>(kOneBits - (bitcast<U32<T>>(e.k) << 23));
  const T f = select(e.k > 30, e.m - 1.0f, fma(y, s, s - 1.0f));
  return log_special(u, log_poly(f, to_float(e.k)));
}

// max(x, 0) + log(1 + exp(-|x|)).
template <class T>
EDGEORT_INLINE T softplus(T x) {
  return relu(x) + log1p(exp(-abs(x)));
}

// h = (exp(|x|) - 1) / 2; h + h / (2h + 1).
template <class T>
EDGEORT_INLINE T sinh(T x) {
  const auto e = split_exp(vmin(abs(x), splat<T>(89.6f)));
  const T s = pow2<T>(e.bits - 2u);
  const T quarter = fma(expm1_poly(e), s, s - 0.25f);
  const T h = quarter + quarter;
  const T c = vmin(h, splat<T>(0x1p60f));  // beyond, the quotient no longer counts, and inf / inf would
  const T r = copysign(h + c / fma(c, splat<T>(2.0f), splat<T>(1.0f)), x);
  return select(abs(x) < 0x1p-13f, x, r);
}

template <class T>
EDGEORT_INLINE T cosh(T x) {
  const T h = exp_scaled<-1>(abs(x));
  return h + 0.25f / h;
}

// log1p(a + a^2 / (1 + sqrt(a^2 + 1))), a = |x|; log(a) + log(2) from 2^28 on, where a^2 could overflow.
template <class T>
EDGEORT_INLINE T asinh(T x) {
  const T a = abs(x), a2 = a * a;
  const auto big = a > 0x1p28f;
  const T y = a + a2 / (sqrt(a2 + 1.0f) + 1.0f);
  const T r = log1p(select(big, a, y)) + select(big, splat<T>(0x1.62e430p-1f), splat<T>(0.0f));
  return copysign(r, x);
}

// log1p(t + sqrt(t^2 + 2t)), t = x - 1; NaN below 1.
template <class T>
EDGEORT_INLINE T acosh(T x) {
  const T t = x - 1.0f;
  const auto big = x > 0x1p28f;
  const T y = t + sqrt(fma(t, t, t + t));
  const T r = log1p(select(big, x, y)) + select(big, splat<T>(0x1.62e430p-1f), splat<T>(0.0f));
  return select(t < 0.0f, splat<T>(kNan), r);
}

template <class T>
EDGEORT_INLINE T atanh(T x) {
  const T a = abs(x);
  return copysign(log1p((a + a) / (1.0f - a)) * 0.5f, x);
}

}  // namespace
}  // namespace edgeort
