// How each ISA level multiplies a block of N channels by the weights of a few taps.
//
// A column is the rows of a kernel at one place along x, its channels interleaved as the level's instruction wants them;
// those of weights are made by the same words. Sums are one int32 a channel, in kSums vectors: vector r holds in its j-th
// 128 bits the channels 4 * kSums * j + 4 * r + {0, 1, 2, 3}.
#pragma once
#include "../../core/q8.h"
#include "../../simd/vec.h"

#if defined(__aarch64__) || defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace edgeort {
namespace {

template <class T, T... I>
struct Indices {};

// In each 128 bits, the elements of the lower (kHalf 0) or upper (1) halves of a and b in turns.
template <int kHalf, class V, int... I>
EDGEORT_INLINE V interleave(V a, V b, Indices<int, I...>) {
  constexpr int kLane = 16 / static_cast<int>(sizeof(a[0])), kCount = static_cast<int>(sizeof...(I));
  return __builtin_shufflevector(a, b, (I / kLane * kLane + kHalf * kLane / 2 + I % kLane / 2 + I % 2 * kCount)...);
}
template <int kHalf, class V>
EDGEORT_INLINE V interleave(V a, V b) {
  return interleave<kHalf>(a, b, __make_integer_seq<Indices, int, static_cast<int>(sizeof(V) / sizeof(a[0]))>{});
}

// N bytes; of the last of 16, `lanes` only where the level can.
#if defined(__AVX512BW__)
constexpr i64 kFewest = 1;
#else
constexpr i64 kFewest = 16;
#endif
#if defined(__AVX512VNNI__)
constexpr int kWidest = 64;
#elif defined(__AVX512BW__) || defined(__AVXVNNI__)
constexpr int kWidest = 32;
#else
constexpr int kWidest = 16;
#endif
template <int N, class T>
EDGEORT_INLINE Vec<T, N> load_bytes(const T* p, [[maybe_unused]] int lanes) {
#if defined(__AVX512BW__)
  if constexpr (N == 16) {
    using C = Vec<char, 16>;
    return bitcast<Vec<T, N>>(__builtin_ia32_loaddquqi128_mask(reinterpret_cast<const C*>(p), C{}, static_cast<u16>((1u << lanes) - 1u)));
  }
#endif
  return load_as<Vec<T, N>>(p);
}
// The same at p, which moves on by `step`.
template <int N>
EDGEORT_INLINE Vec<q8, N> next_bytes(const q8*& p, i64 step, int lanes) {
#if defined(__aarch64__)
  if constexpr (N == 16) {
    Vec<q8, N> v;
    asm("ld1 {%0.16b}, [%1], %2" : "=w"(v), "+r"(p) : "r"(step), "m"(*reinterpret_cast<const Vec<q8, N>*>(p)));
    return v;
  }
#endif
  const q8* from = p;
  p += step;
  return load_bytes<N>(from, lanes);
}
template <int N>
EDGEORT_INLINE void store_bytes(q8* p, Vec<q8, N> v, [[maybe_unused]] int lanes) {
#if defined(__AVX512BW__)
  if constexpr (N == 16) {
    using C = Vec<char, 16>;
    __builtin_ia32_storedquqi128_mask(reinterpret_cast<C*>(p), bitcast<C>(v), static_cast<u16>((1u << lanes) - 1u));
    return;
  }
#endif
  store(p, v);
}

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__) || defined(__ARM_FEATURE_DOTPROD)
// Four rows a product: each int32 takes four bytes of one channel.
template <int N>
struct Taps {
  static constexpr int kSums = 4, kDepth = 4;
  using Row = Vec<i8, N>;
  using Sum = Vec<i32, N / 4>;
  template <int K>
  struct Column {
    static constexpr int kCount = (K + 3) / 4;
    Row quad[kCount][kSums];
  };

  static EDGEORT_INLINE Row load_x(const q8* p, int lanes) { return bitcast<Row>(load_bytes<N>(p, lanes)); }
  static EDGEORT_INLINE Row next_x(const q8*& p, i64 step, int lanes) { return bitcast<Row>(next_bytes<N>(p, step, lanes)); }
  static EDGEORT_INLINE Row load_w(const i8* p) { return load_as<Row>(p); }

  template <int K>
  static EDGEORT_INLINE Column<K> pack(const Row (&row)[K]) {
    using Pair = Vec<i16, N / 2>;
    Column<K> c;
#pragma clang loop unroll(full)
    for (int q = 0; q < Column<K>::kCount; ++q) {
      const auto at = [&](int k) { return 4 * q + k < K ? row[4 * q + k < K ? 4 * q + k : 0] : Row{}; };
      const auto low = bitcast<Pair>(interleave<0>(at(0), at(1))), high = bitcast<Pair>(interleave<1>(at(0), at(1)));
      const auto low2 = bitcast<Pair>(interleave<0>(at(2), at(3))), high2 = bitcast<Pair>(interleave<1>(at(2), at(3)));
      c.quad[q][0] = bitcast<Row>(interleave<0>(low, low2));
      c.quad[q][1] = bitcast<Row>(interleave<1>(low, low2));
      c.quad[q][2] = bitcast<Row>(interleave<0>(high, high2));
      c.quad[q][3] = bitcast<Row>(interleave<1>(high, high2));
    }
    return c;
  }

#if defined(__ARM_FEATURE_DOTPROD)
  static EDGEORT_INLINE Sum dot4(Sum sum, Row x, Row w) { return vdotq_s32(sum, x, w); }
#else
  static EDGEORT_INLINE Sum dot4(Sum sum, Row x, Row w) {
    if constexpr (N == 16) return __builtin_ia32_vpdpbusd128(sum, bitcast<Vec<u8, N>>(x), bitcast<Vec<char, N>>(w));
    if constexpr (N == 32) return __builtin_ia32_vpdpbusd256(sum, bitcast<Vec<u8, N>>(x), bitcast<Vec<char, N>>(w));
#if defined(__AVX512VNNI__)
    if constexpr (N == 64) return __builtin_ia32_vpdpbusd512(sum, bitcast<Vec<u8, N>>(x), bitcast<Vec<char, N>>(w));
#endif
  }
#endif

  template <int K>
  static EDGEORT_INLINE void add(Sum (&sum)[kSums], const Column<K>& x, const Column<K>&, const Column<K>* w, int i) {
#pragma clang loop unroll(full)
    for (int q = 0; q < Column<K>::kCount; ++q) {
#pragma clang loop unroll(full)
      for (int r = 0; r < kSums; ++r) sum[r] = dot4(sum[r], x.quad[q][r], w[i].quad[q][r]);
    }
  }
};
#elif defined(__AVX2__)
// Two rows a product, as int16.
template <int N>
struct Taps {
  static constexpr int kSums = 2, kDepth = 2;
  using Row = Vec<i16, N>;
  using Sum = Vec<i32, N / 2>;
  template <int K>
  struct Column {
    static constexpr int kCount = (K + 1) / 2;
    Row pair[kCount][kSums];
  };

  static EDGEORT_INLINE Row load_x(const q8* p, int lanes) { return __builtin_convertvector(load_bytes<N>(p, lanes), Row); }
  static EDGEORT_INLINE Row next_x(const q8*& p, i64 step, int lanes) {
    return __builtin_convertvector(next_bytes<N>(p, step, lanes), Row);
  }
  static EDGEORT_INLINE Row load_w(const i8* p) { return __builtin_convertvector((load_as<Vec<i8, N>>(p)), Row); }

  template <int K>
  static EDGEORT_INLINE Column<K> pack(const Row (&row)[K]) {
    Column<K> c;
#pragma clang loop unroll(full)
    for (int q = 0; q < Column<K>::kCount; ++q) {
      const Row second = 2 * q + 1 < K ? row[2 * q + 1 < K ? 2 * q + 1 : 0] : Row{};
      c.pair[q][0] = interleave<0>(row[2 * q], second);
      c.pair[q][1] = interleave<1>(row[2 * q], second);
    }
    return c;
  }

  static EDGEORT_INLINE Vec<i32, 8> dot2(Vec<i16, 16> x, Vec<i16, 16> w) { return __builtin_ia32_pmaddwd256(x, w); }
#if defined(__AVX512BW__)
  static EDGEORT_INLINE Vec<i32, 16> dot2(Vec<i16, 32> x, Vec<i16, 32> w) { return __builtin_ia32_pmaddwd512(x, w); }
#endif

  template <int K>
  static EDGEORT_INLINE void add(Sum (&sum)[kSums], const Column<K>& x, const Column<K>&, const Column<K>* w, int i) {
#pragma clang loop unroll(full)
    for (int q = 0; q < Column<K>::kCount; ++q) {
#pragma clang loop unroll(full)
      for (int r = 0; r < kSums; ++r) sum[r] += dot2(x.pair[q][r], w[i].pair[q][r]);
    }
  }
};
#else
static_assert(kQ8Bias == 0);
// Products of 16 bits, added in pairs: 2 * 128 * 127 fits, so that no weight may be -128 but where a column has one tap.
template <int N>
struct Taps {
  static constexpr int kSums = 4, kDepth = 1;
  using Row = Vec<i8, N>;
  using Sum = Vec<i32, 4>;
  template <int K>
  struct Column {
    Row row[K];
  };

  static EDGEORT_INLINE Row load_x(const q8* p, int lanes) { return bitcast<Row>(load_bytes<N>(p, lanes)); }
  static EDGEORT_INLINE Row next_x(const q8*& p, i64 step, int lanes) { return bitcast<Row>(next_bytes<N>(p, step, lanes)); }
  static EDGEORT_INLINE Row load_w(const i8* p) { return load_as<Row>(p); }

  template <int K>
  static EDGEORT_INLINE Column<K> pack(const Row (&row)[K]) {
    Column<K> c;
#pragma clang loop unroll(full)
    for (int k = 0; k < K; ++k) c.row[k] = row[k];
    return c;
  }

  // A row of an odd number that is left of one column goes with that of the next.
  template <int K>
  static EDGEORT_INLINE void add(Sum (&sum)[kSums], const Column<K>& x, const Column<K>& before, const Column<K>* w, int i) {
#pragma clang loop unroll(full)
    for (int k = 0; k + 1 < K; k += 2) pair(sum, x.row[k], w[i].row[k], x.row[k + 1], w[i].row[k + 1], true);
    if (K % 2 == 0) return;
    if (i % 2 == 1) pair(sum, before.row[K - 1], w[i - 1].row[K - 1], x.row[K - 1], w[i].row[K - 1], true);
    if (i == K - 1 && i % 2 == 0) pair(sum, x.row[K - 1], w[i].row[K - 1], x.row[K - 1], w[i].row[K - 1], false);
  }

  static EDGEORT_INLINE void pair(Sum (&sum)[kSums], Row x, Row w, Row x2, Row w2, bool both) {
#if defined(__ARM_NEON)
    int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(w)), high = vmull_s8(vget_high_s8(x), vget_high_s8(w));
    if (both) {
      low = vmlal_s8(low, vget_low_s8(x2), vget_low_s8(w2));
      high = vmlal_s8(high, vget_high_s8(x2), vget_high_s8(w2));
    }
    sum[0] = vaddw_s16(sum[0], vget_low_s16(low));
    sum[1] = vaddw_s16(sum[1], vget_high_s16(low));
    sum[2] = vaddw_s16(sum[2], vget_low_s16(high));
    sum[3] = vaddw_s16(sum[3], vget_high_s16(high));
#else
    using Wide = Vec<i16, N>;
    Wide y = __builtin_convertvector(x, Wide) * __builtin_convertvector(w, Wide);
    if (both) y += __builtin_convertvector(x2, Wide) * __builtin_convertvector(w2, Wide);
#pragma clang loop unroll(full)
    for (int r = 0; r < kSums; ++r) sum[r] += __builtin_convertvector(bitcast<Quarters>(y).part[r], Sum);
#endif
  }
  struct Quarters {
    Vec<i16, 4> part[kSums];
  };
};
#endif

}  // namespace
}  // namespace edgeort
