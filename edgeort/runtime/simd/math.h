// Functions over T = float or a vector of floats. The sequences are part of the numeric contract (NUMERICS.md): a
// change of one operation changes the bytes of every model that uses it.
//
// Largest error found, in units of the last place of the exact result, every 37th of all 2^32 floats against double
// precision (tests/runtime/test_math.py repeats a sparser sweep). Zeros, infinities, NaN, denormals, the thresholds of
// overflow and the signs of zero are those of C, except where said.
//
//   exp 0.86   expm1 1.37   log 0.85   log1p 1.42 (log1p(-0) = +0)   softplus 1.66   sigmoid 1.56   tanh 1.41
//   erf 1.04   sin 1.58   cos 1.58   tan 2.88   asin 2.03   acos 1.51   atan 1.18   sinh 2.15   cosh 1.31   asinh 1.78
//   acosh 1.80   atanh 2.06   rsqrt 1.49   pow 0.501 (random arguments)
//
// Compositions follow the ONNX definitions and lose what these lose. For x > 0: silu 2.7, gelu 1.5, gelu_tanh 1.6,
// mish 2.6, hard_swish 1.5 ulp; everywhere: an error below 2^-22.8 |x|. At -inf they give NaN (0 * inf).
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
  return x * sigmoid(x);
}

// 0.5 x (1 + erf(x / sqrt(2))).
template <class T>
EDGEORT_INLINE T gelu(T x) {
  return (x * 0.5f) * (erf(x * 0x1.6a09e6p-1f) + 1.0f);
}

// 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
template <class T>
EDGEORT_INLINE T gelu_tanh(T x) {
  const T inner = fma(x * (x * x), splat<T>(0.044715f), x);
  return (x * 0.5f) * (tanh(inner * 0x1.988454p-1f) + 1.0f);
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
