// Vectors of the width that this translation unit's -mcpu offers: types, bits, selection, loads and stores.
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

// The same pointer; the compiler no longer knows that it has read there before. (Pairs of registers are loaded faster than copied.)
template <class T>
EDGEORT_INLINE const T* opaque(const T* p) {
  __asm__ volatile("" : "+r"(p));
  return p;
}

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

}  // namespace
}  // namespace edgeort
