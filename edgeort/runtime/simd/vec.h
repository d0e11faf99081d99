// Vectors of the width that this translation unit's -mcpu offers, and the scalar words of the same names.
//
// Everything stands in an anonymous namespace: each ISA level compiles its own copy, and the linker must never
// merge a copy made for AVX-512 into a caller that was chosen for AVX2.
//
// A template written over T runs for T = float and T = vf (or any Vec<float, N>) with the same bits: every word here
// is one IEEE operation, or a fixed sequence of them. Masks are what a comparison gives: bool for float, an
// int32 vector of 0 / -1 for vectors; combine them with & | ^ and mask_not, use them with select.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define EDGEORT_INLINE inline __attribute__((always_inline, unused))

namespace edgeort {
namespace {

template <class T, int N>
struct VecType {
  typedef T type __attribute__((vector_size(sizeof(T) * N)));
};
template <class T, int N>
using Vec = typename VecType<T, N>::type;

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

using vf = Vec<float, kLanes>;
using vi = Vec<int32_t, kLanes>;
using vu = Vec<uint32_t, kLanes>;

// Lane count and the integer types of the same shape, for T = float and for every Vec<float, N>.
template <class T>
struct Shape {
  static constexpr int lanes = sizeof(T) / sizeof(float);
  using i32 = Vec<int32_t, lanes>;
  using u32 = Vec<uint32_t, lanes>;
};
template <>
struct Shape<float> {
  static constexpr int lanes = 1;
  using i32 = int32_t;
  using u32 = uint32_t;
};
template <class T>
using I32 = typename Shape<T>::i32;
template <class T>
using U32 = typename Shape<T>::u32;

template <class T>
struct Identity {
  using type = T;
};
template <class T>
using NoDeduce = typename Identity<T>::type;  // lets select(m, x, 0.0f) and fma(x, y, 1.0f) take T from x alone

// ---- bits, constants, selection -------------------------------------------------------------------------------

template <class To, class From>
EDGEORT_INLINE To bitcast(From x) {
  static_assert(sizeof(To) == sizeof(From), "bitcast keeps the size");
  return __builtin_bit_cast(To, x);
}

// splat(c): vf; splat<T>(c): T. (A vector plus a scalar would turn -0 into +0, so the lanes are filled instead.)
template <class T = vf>
EDGEORT_INLINE T splat(float c) {
  if constexpr (Shape<T>::lanes == 1) {
    return c;
  } else {
    using I = I32<T>;
    return bitcast<T>(I{} + bitcast<int32_t>(c));
  }
}
template <class T = vf>
EDGEORT_INLINE I32<T> splat_int(int32_t c) {
  return I32<T>{} + c;
}

EDGEORT_INLINE float select(bool m, float a, float b) { return m ? a : b; }
EDGEORT_INLINE int32_t select(bool m, int32_t a, int32_t b) { return m ? a : b; }
EDGEORT_INLINE uint32_t select(bool m, uint32_t a, uint32_t b) { return m ? a : b; }
template <class M, class V>
EDGEORT_INLINE V select(M m, V a, V b) {
  return m ? a : b;
}

EDGEORT_INLINE bool mask_not(bool m) { return !m; }
template <class M>
EDGEORT_INLINE M mask_not(M m) {
  return ~m;
}

// True when the mask is set in any lane; for the rare slow paths only (it leaves the vector unit).
EDGEORT_INLINE bool any(bool m) { return m; }
template <class M>
EDGEORT_INLINE bool any(M m) {
  return __builtin_reduce_or(m) != 0;
}

template <class T>
EDGEORT_INLINE auto is_nan(T x) {
  return x != x;
}

// ---- loads and stores: unaligned -------------------------------------------------------------------------------

template <class V, class T>
EDGEORT_INLINE V load_as(const T* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof(V));
  return v;
}
EDGEORT_INLINE vf load(const float* p) { return load_as<vf>(p); }
EDGEORT_INLINE vi load(const int32_t* p) { return load_as<vi>(p); }

template <class T, class V>
EDGEORT_INLINE void store(T* p, V v) {
  __builtin_memcpy(p, &v, sizeof(V));
}

// The first n lanes (0 <= n <= kLanes) from p, the others +0; nothing beyond p[n - 1] is read.
EDGEORT_INLINE vf load_n(const float* p, int n) {
#if defined(__AVX512F__)
  return __builtin_ia32_loadups512_mask(p, vf{}, static_cast<uint16_t>((1u << n) - 1u));
#elif defined(__AVX2__)
  const vi iota = {0, 1, 2, 3, 4, 5, 6, 7};
  return __builtin_ia32_maskloadps256(reinterpret_cast<const vf*>(p), iota < n);
#else
  switch (n) {  // constant lanes: a lane chosen at run time goes through the stack
    case 0:
      return vf{};
    case 1:
      return vf{p[0]};
    case 2:
      return vf{p[0], p[1]};
    case 3:
      return vf{p[0], p[1], p[2]};
    default:
      return load(p);
  }
#endif
}

// Stores the first n lanes (0 <= n <= kLanes); nothing beyond p[n - 1] is written.
EDGEORT_INLINE void store_n(float* p, vf v, int n) {
#if defined(__AVX512F__)
  __builtin_ia32_storeups512_mask(p, v, static_cast<uint16_t>((1u << n) - 1u));
#elif defined(__AVX2__)
  const vi iota = {0, 1, 2, 3, 4, 5, 6, 7};
  __builtin_ia32_maskstoreps256(reinterpret_cast<vf*>(p), iota < n, v);
#else
  if (n >= 4) {
    store(p, v);
    return;
  }
  if (n > 0) p[0] = v[0];
  if (n > 1) p[1] = v[1];
  if (n > 2) p[2] = v[2];
#endif
}

// ---- arithmetic ------------------------------------------------------------------------------------------------

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__aarch64__) || defined(__riscv_f)
template <class T>
EDGEORT_INLINE T fma(T a, NoDeduce<T> b, NoDeduce<T> c) {
  return __builtin_elementwise_fma(a, b, c);
}
#else
// No fused multiply-add in this ISA (wasm, SSE, ARMv6): a*b is exact in double, the sum is rounded to odd, and rounding
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
// maxps/minps are exactly these selects; said outright, because clang turns a select that is stored in place into a
// masked store, which is slow on many cores.
#if defined(__AVX512F__)
EDGEORT_INLINE vf vmax(vf a, vf b) { return __builtin_ia32_maxps512(b, a, 4); }
EDGEORT_INLINE vf vmin(vf a, vf b) { return __builtin_ia32_minps512(b, a, 4); }
#elif defined(__AVX2__)
EDGEORT_INLINE vf vmax(vf a, vf b) { return __builtin_ia32_maxps256(b, a); }
EDGEORT_INLINE vf vmin(vf a, vf b) { return __builtin_ia32_minps256(b, a); }
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
