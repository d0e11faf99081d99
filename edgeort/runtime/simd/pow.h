// pow over T = float or a vector of floats, in double precision inside: log2, one product, exp2. Only + - * / of IEEE
// doubles (no fma: some targets have none for doubles) and integer operations. Part of math.h.
#pragma once

#include "vec.h"

namespace edgeort {
namespace {

template <class T>
struct Wide {
  using f64 = Vec<double, Shape<T>::lanes>;
  using u64 = Vec<uint64_t, Shape<T>::lanes>;
  static EDGEORT_INLINE f64 widen(T x) { return __builtin_convertvector(x, f64); }
  static EDGEORT_INLINE T narrow(f64 x) { return __builtin_convertvector(x, T); }
};
template <>
struct Wide<float> {
  using f64 = double;
  using u64 = uint64_t;
  static EDGEORT_INLINE double widen(float x) { return x; }
  static EDGEORT_INLINE float narrow(double x) { return static_cast<float>(x); }
};

template <class D>
EDGEORT_INLINE D poly_double(D, double c) {
  return D{} + c;
}
template <class D, class... C>
EDGEORT_INLINE D poly_double(D x, double c, C... rest) {
  return x * poly_double(x, rest...) + c;
}

// log2 of d > 0, normal and finite: d = 2^k m, s = (m - 1) / (m + 1), log2(m) = s P(s^2).
template <class D, class U>
EDGEORT_INLINE D log2_double(D d) {
  constexpr uint64_t kSqrtHalf = 0x3fe6a09e667f3bcd, kBias = uint64_t{1024} << 52;
  const U b = bitcast<U>(d) - kSqrtHalf + kBias;
  // An integer below 2^52 becomes a double by its bits: AVX2 converts no 64-bit integers.
  const D k = bitcast<D>((b >> 52) | 0x4330000000000000u) - (0x1p52 + 1024.0);
  const D m = bitcast<D>((b & 0x000fffffffffffffu) + kSqrtHalf);
  const D s = (m - 1.0) / (m + 1.0);
  const D p = poly_double(s * s, 0x1.71547652b82ffp+1, 0x1.ec709dc39c9d7p-1, 0x1.2776c516aafcbp-1, 0x1.a6175674e6603p-2,
                          0x1.484facc4b1fe5p-2, 0x1.0bb7a84a4347ap-2, 0x1.f186e1a5d256ap-3);
  return s * p + k;
}

// 2^e for |e| < 1000.
template <class D, class U>
EDGEORT_INLINE D exp2_double(D e) {
  const D t = e + 0x1.8p52;
  const D r = e - (t - 0x1.8p52);
  const D p = poly_double(r, 0x1.ffffffffff7a6p-1, 0x1.62e42fef8614bp-1, 0x1.ebfbdff931800p-3, 0x1.c6b08dd46fa15p-5, 0x1.3b2ab5c541293p-7,
                          0x1.5d874835f55c1p-10, 0x1.430acc855ed0fp-13, 0x1.00dad3a69327ep-16, 0x1.61afe891828a7p-20);
  return bitcast<D>(bitcast<U>(p) + (bitcast<U>(t) << 52));
}

// IEEE 754 pow: pow(x, 0) = pow(1, y) = 1 even for NaN; pow(-1, +-inf) = 1; x < 0 with y no integer is NaN; the
// sign of zeros and infinities follows odd y.
template <class T>
EDGEORT_INLINE T pow(T x, NoDeduce<T> y) {
  using W = Wide<T>;
  using D = typename W::f64;
  using U = typename W::u64;
  const T a = abs(x);
  const D d = W::widen(a);
  D l = log2_double<D, U>(d);
  l = select(d == 0.0, D{} - __builtin_inf(), l);
  l = select(d < __builtin_inf(), l, d);  // inf and NaN
  const D e = vmin(vmax(W::widen(y) * l, D{} - 200.0), D{} + 200.0);
  T r = W::narrow(select(e == e, exp2_double<D, U>(e), e));
  const T half = y * 0.5f;
  const auto whole = trunc(y) == y;
  const auto odd = whole & (trunc(half) != half);
  const auto negative = bitcast<I32<T>>(x) < 0;
  r = select(negative & odd, -r, r);
  r = select((x < 0.0f) & (a < kInf) & mask_not(whole), splat<T>(kNan), r);
  return select((y == 0.0f) | (x == 1.0f) | ((a == 1.0f) & (abs<T>(y) == kInf)), splat<T>(1.0f), r);
}

}  // namespace
}  // namespace edgeort
