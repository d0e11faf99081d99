// Functions over T = float or a vector of floats. The sequences are part of the numeric contract (NUMERICS.md): a
// change of one operation changes the bytes of every model that uses it.
//
// Largest error found, in units of the last place of the exact result, every 37th of all 2^32 floats against double
// precision (tests/runtime/test_math.py repeats a sparser sweep). Zeros, infinities, NaN, denormals, the thresholds of
// overflow and the signs of zero are those of C, except where said.
//
//   exp 0.86   expm1 1.37   log 0.85   log1p 1.42 (log1p(-0) = +0)   softplus 1.69   sigmoid 1.61   tanh 1.56
//   erf 1.04   sin 1.58   cos 1.58   tan 2.88   asin 2.03   acos 1.51   atan 1.18   sinh 2.15   cosh 1.32   asinh 1.78
//   acosh 1.80   atanh 2.06   rsqrt 1.49   pow 0.501 (random arguments)
//
// For x > 0: silu 1.5, gelu 2.6, gelu_tanh 1.9, mish 2.9, hard_swish 1.5 ulp; everywhere: an error below 2^-22.4 |x|. At
// -inf they give NaN.
#pragma once

#include "exp_log.h"
#include "pow.h"
#include "trig.h"

namespace edgeort {
namespace {

template <class T>
EDGEORT_INLINE T rsqrt(T x) {
  return 1.0f / sqrt(x);
}

template <class T>
EDGEORT_INLINE T silu(T x) {
  return x / exp_plus_one(-x);
}

// 0.5 x (1 + erf(x / sqrt(2))) = h + |h| erf(c / sqrt(2)), h = x / 2, c = |x|: a quotient of polynomials, which is 1 at 5.4.
template <class T>
EDGEORT_INLINE T gelu(T x) {
  const T h = x * 0.5f, c = vmin(abs(x), splat<T>(0x1.59999ap+2f)), z = c * c;
  const T p = poly(z, 0x1.988450p-1f, 0x1.162640p-4f, 0x1.32e454p-7f, 0x1.640548p-12f, 0x1.aa1d06p-17f, 0x1.847842p-25f);
  const T q = poly(z, 1.0f, 0x1.01d16ap-2f, 0x1.d64120p-6f, 0x1.ef64ecp-10f, 0x1.35f764p-14f, 0x1.4053d4p-20f);
  return fma(abs(h), c * p / q, h);
}

// 0.5 x (1 + tanh(u)) = x / (1 + exp(-2u)), u = sqrt(2 / pi) (x + 0.044715 x^3).
template <class T>
EDGEORT_INLINE T gelu_tanh(T x) {
  const T u2 = x * fma(x * x, splat<T>(-0x1.2444f2p-4f), splat<T>(-0x1.988454p+0f));
  return x / exp_plus_one(u2);
}

// x tanh(log(1 + e^x)) = x n / (n + 2), n = e^x (e^x + 2).
template <class T>
EDGEORT_INLINE T mish(T x) {
  const T w = exp(vmin(x, splat<T>(20.0f)));
  const T n = w * (w + 2.0f);
  return x * (n / (n + 2.0f));
}

template <class T>
EDGEORT_INLINE T hard_sigmoid(T x, float alpha, float beta) {
  return clip(fma(x, splat<T>(alpha), splat<T>(beta)), splat<T>(0.0f), splat<T>(1.0f));
}
template <class T>
EDGEORT_INLINE T hard_swish(T x) {
  return x * hard_sigmoid(x, 1.0f / 6.0f, 0.5f);
}
template <class T>
EDGEORT_INLINE T leaky_relu(T x, NoDeduce<T> slope) {
  return select(x < 0.0f, x * slope, x);
}
template <class T>
EDGEORT_INLINE T elu(T x, float alpha) {
  return select(x < 0.0f, expm1(x) * alpha, x);
}
template <class T>
EDGEORT_INLINE T celu(T x, float alpha) {
  return select(x < 0.0f, expm1(x / alpha) * alpha, x);
}
template <class T>
EDGEORT_INLINE T selu(T x, float alpha, float gamma) {
  return elu(x, alpha) * gamma;
}

}  // namespace
}  // namespace edgeort
