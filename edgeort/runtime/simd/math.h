// ERRORS TABLE PLACEHOLDER
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
