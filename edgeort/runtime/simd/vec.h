// The words that kernels are written in: arithmetic, rounding, conversions and comparisons over the types of types.h, for
// float and for vectors alike.
#pragma once

#include "types.h"

namespace edgeort {
namespace {

// ---- arithmetic ------------------------------------------------------------------------------------------------

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__aarch64__) || defined(__riscv_f)
template <class T>
EDGEORT_INLINE T fma(T a, NoDeduce<T> b, NoDeduce<T> c) {
  return __builtin_elementwise_fma(a, b, c);
}
#elif defined(__wasm_simd128__)
// WebAssembly has none that is the same everywhere (NUMERICS.md, "WebAssembly"): two roundings, or with relaxed SIMD as many as
// the CPU likes best.
template <class T>
EDGEORT_INLINE T fma(T a, NoDeduce<T> b, NoDeduce<T> c) {
#if defined(__wasm_relaxed_simd__)
  using Quad = Vec<float, 4>;
  if constexpr (Shape<T>::lanes == 1) return __builtin_wasm_relaxed_madd_f32x4(Quad{a, a, a, a}, Quad{b, b, b, b}, Quad{c, c, c, c})[0];
  if constexpr (Shape<T>::lanes == 4) return __builtin_wasm_relaxed_madd_f32x4(a, b, c);
#endif
  return a * b + c;
}
#else
// No fused multiply-add in this ISA (SSE, ARMv6): a*b is exact in double, the sum is rounded to odd, and rounding
// that to float is then the correctly rounded a*b + c (Boldo and Melquiond, "Emulation of FMA and correctly rounded
// sums", IEEE Trans. Comput. 57(4), 2008).
EDGEORT_INLINE float fma(float a, float b, float c) {
  const double p = static_cast<double>(a) * b;
  const double s = p + c, t = s - p;
  const double lost = (p - (s - t)) + (c - t);
  const uint64_t bits = bitcast<uint64_t>(s);
  const uint64_t odd = (lost > 0) == (s > 0) ? bits + 1 : bits - 1;
  const bool inexact = (lost > 0) | (lost < 0);
  return static_cast<float>(bitcast<double>(inexact && (bits & 1) == 0 ? odd : bits));
}
template <class T>
EDGEORT_INLINE T fma(T a, NoDeduce<T> b, NoDeduce<T> c) {
  constexpr int n = Shape<T>::lanes;
  using D = Vec<double, n>;
  using U = Vec<uint64_t, n>;
  const D p = __builtin_convertvector(a, D) * __builtin_convertvector(b, D);
  const D z = __builtin_convertvector(c, D);
  const D s = p + z, t = s - p;
  const D lost = (p - (s - t)) + (z - t);
  const U bits = bitcast<U>(s);
  const U same = bitcast<U>((lost > 0.0) == (s > 0.0));  // 0 or ~0: one step away from zero, or towards it
  const U odd = bits + (1 | ~same);
  const U move = bitcast<U>((lost > 0.0) | (lost < 0.0)) & ((bits & 1) - 1);
  return __builtin_convertvector(bitcast<D>((odd & move) | (bits & ~move)), T);
}
#endif

// fma where the difference is all that is wanted of a large product: two roundings would leave nothing of it.
template <class T>
EDGEORT_INLINE T fma_exact(T a, NoDeduce<T> b, NoDeduce<T> c) {
#if defined(__wasm_simd128__)
  if constexpr (Shape<T>::lanes == 1) {
    return static_cast<float>(static_cast<double>(a) * b + c);
  } else {
    using D = Vec<double, Shape<T>::lanes>;
    return __builtin_convertvector(__builtin_convertvector(a, D) * __builtin_convertvector(b, D) + __builtin_convertvector(c, D), T);
  }
#else
  return fma(a, b, c);
#endif
}

template <class T>
EDGEORT_INLINE T abs(T x) {
  return __builtin_elementwise_abs(x);
}
template <class T>
EDGEORT_INLINE T sqrt(T x) {
  return __builtin_elementwise_sqrt(x);
}
template <class T>
EDGEORT_INLINE T copysign(T magnitude, NoDeduce<T> sign) {
  return __builtin_elementwise_copysign(magnitude, sign);
}

#if defined(__SSE4_1__) || defined(__aarch64__) || defined(__ARM_FEATURE_DIRECTED_ROUNDING) || defined(__wasm_simd128__)
template <class T>
EDGEORT_INLINE T round_even(T x) {
  return __builtin_elementwise_roundeven(x);
}
template <class T>
EDGEORT_INLINE T trunc(T x) {
  return __builtin_elementwise_trunc(x);
}
template <class T>
EDGEORT_INLINE T floor(T x) {
  return __builtin_elementwise_floor(x);
}
template <class T>
EDGEORT_INLINE T ceil(T x) {
  return __builtin_elementwise_ceil(x);
}
#else
// ISAs without a rounding instruction (ARMv7, SSE2): adding 2^23 to |x| < 2^23 rounds to an integer, ties to even.
template <class T>
EDGEORT_INLINE T round_even(T x) {
  const T big = splat<T>(8388608.0f), a = abs(x);
  const T r = copysign((a + big) - big, x);
  return select(a < big, r, x);  // NaN, inf and integers pass through
}
template <class T>
EDGEORT_INLINE T trunc(T x) {
  const T a = abs(x), r = abs(round_even(x));
  return copysign(select(r > a, r - 1.0f, r), x);
}
template <class T>
EDGEORT_INLINE T floor(T x) {
  const T r = round_even(x);
  return copysign(select(r > x, r - 1.0f, r), x);
}
template <class T>
EDGEORT_INLINE T ceil(T x) {
  const T r = round_even(x);
  return copysign(select(r < x, r + 1.0f, r), x);
}
#endif

// ---- conversions -----------------------------------------------------------------------------------------------

EDGEORT_INLINE float to_float(int32_t x) { return static_cast<float>(x); }
template <class V>
EDGEORT_INLINE auto to_float(V x) {
  return __builtin_convertvector(x, Vec<float, static_cast<int>(sizeof(V) / 4)>);
}

// float -> int32, towards zero. |x| < 2^31 and not NaN, or the result differs from ISA to ISA: clip first.
EDGEORT_INLINE int32_t to_int_trunc(float x) { return static_cast<int32_t>(x); }
template <class V>
EDGEORT_INLINE auto to_int_trunc(V x) {
  return __builtin_convertvector(x, I32<V>);
}

// float -> int32, to nearest, ties to even. The same domain.
template <class T>
EDGEORT_INLINE I32<T> to_int(T x) {
  return to_int_trunc(round_even(x));
}
#if defined(__AVX512F__)
EDGEORT_INLINE vi to_int(vf x) { return __builtin_ia32_cvtps2dq512_mask(x, vi{}, 0xffff, 4); }
#elif defined(__AVX2__)
EDGEORT_INLINE vi to_int(vf x) { return __builtin_ia32_cvtps2dq256(x); }
#elif defined(__aarch64__)
EDGEORT_INLINE vi to_int(vf x) {
  vi r;
  asm("fcvtns %0.4s, %1.4s" : "=w"(r) : "w"(x));
  return r;
}
#endif

// The same of |x| < 2^22.
template <class T>
EDGEORT_INLINE I32<T> to_int_small(T x) {
#if defined(__wasm_simd128__)
  return bitcast<I32<T>>(x + 0x1.8p23f) - 0x4b400000;  // a conversion there saturates, in six instructions of an x86 CPU
#else
  return to_int(x);
#endif
}

// ---- the contract's comparisons (NUMERICS.md) --------------------------------------------------------------------

// vmax: a < b ? b : a. vmin: b < a ? b : a. A NaN in a stays, a NaN in b is dropped.
template <class T>
EDGEORT_INLINE T vmax(T a, NoDeduce<T> b) {
  return select(a < b, b, a);
}
template <class T>
EDGEORT_INLINE T vmin(T a, NoDeduce<T> b) {
  return select(b < a, b, a);
}
// maxps/minps and pmax/pmin are exactly these selects; said outright, because clang turns a select that is stored in place into a
// masked store, which is slow on many cores.
#if defined(__AVX512F__)
EDGEORT_INLINE vf vmax(vf a, vf b) { return __builtin_ia32_maxps512(b, a, 4); }
EDGEORT_INLINE vf vmin(vf a, vf b) { return __builtin_ia32_minps512(b, a, 4); }
#elif defined(__AVX2__)
EDGEORT_INLINE vf vmax(vf a, vf b) { return __builtin_ia32_maxps256(b, a); }
EDGEORT_INLINE vf vmin(vf a, vf b) { return __builtin_ia32_minps256(b, a); }
#elif defined(__wasm_simd128__)
EDGEORT_INLINE vf vmax(vf a, vf b) { return __builtin_wasm_pmax_f32x4(a, b); }
EDGEORT_INLINE vf vmin(vf a, vf b) { return __builtin_wasm_pmin_f32x4(a, b); }
#endif

// x < 0 ? 0 : x: keeps -0 and NaN.
template <class T>
EDGEORT_INLINE T relu(T x) {
  return vmax(x, splat<T>(0.0f));
}
// x < lo ? lo : x, then x > hi ? hi : x. NaN passes.
template <class T>
EDGEORT_INLINE T clip(T x, NoDeduce<T> lo, NoDeduce<T> hi) {
  return vmin(vmax(x, lo), hi);
}
// The same for an x that is not -0, and limits that are not: a sum with its bias. Arm's fmax and fmin then agree with the
// selects, in one instruction each.
template <class T>
EDGEORT_INLINE T clip_sum(T x, NoDeduce<T> lo, NoDeduce<T> hi) {
#if defined(__aarch64__)
  return __builtin_elementwise_minimum(__builtin_elementwise_maximum(x, lo), hi);
#else
  return clip(x, lo, hi);
#endif
}
// For Max, Min, ReduceMax, ReduceMin and MaxPool: NaN when either is NaN.
template <class T>
EDGEORT_INLINE T max_nan(T a, NoDeduce<T> b) {
  return select(is_nan<T>(b), b, vmax(a, b));
}
template <class T>
EDGEORT_INLINE T min_nan(T a, NoDeduce<T> b) {
  return select(is_nan<T>(b), b, vmin(a, b));
}

}  // namespace
}  // namespace edgeort
