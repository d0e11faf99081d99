// How each ISA level multiplies a block of N channels by the weights of a few taps.
//
// A column is the rows of a kernel at one place along x, its channels interleaved as the level's instruction wants them;
// those of weights are made by the same words. Sums are one int32 a channel, in kSums vectors: vector r holds in its j-th
// 128 bits the channels 4 * kSums * j + 4 * r + {0, 1, 2, 3}.
#pragma once
#include "../../core/q8.h"
#include "../../simd/interleave.h"
#include "../../simd/narrow.h"

#if defined(__aarch64__) || defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace edgeort {
namespace {

// Channels of the widest block, and of the last of a line: AVX-512 masks what is too much of it, which costs nothing.
#if defined(__AVX512VNNI__)
constexpr int kWidest = 64, kLast = 32;
#elif defined(__AVX512BW__)
constexpr int kWidest = 32, kLast = 32;
#elif defined(__AVXVNNI__)
constexpr int kWidest = 32, kLast = 16;
#elif defined(__wasm_simd128__) || (defined(__x86_64__) && !defined(__AVX2__))
constexpr int kWidest = 8, kLast = 8;
#else
constexpr int kWidest = 16, kLast = 16;
#endif
#if defined(__AVX512BW__)
constexpr bool kMasks = true;
#else
constexpr bool kMasks = false;
#endif

// N bytes; of a last block with masks, the first `lanes`.
template <int N, class T>
EDGEORT_INLINE Vec<T, N> load_bytes(const T* p, [[maybe_unused]] int lanes) {
#if defined(__AVX512BW__)
  if constexpr (N == kLast) {
    using C = Vec<char, N>;
    return bitcast<Vec<T, N>>(__builtin_ia32_loaddquqi256_mask(reinterpret_cast<const C*>(p), C{}, ~u32{0} >> (N - lanes)));
  }
#endif
  return load_as<Vec<T, N>>(p);
}
template <int N>
EDGEORT_INLINE void store_bytes(q8* p, Vec<q8, N> v, [[maybe_unused]] int lanes) {
#if defined(__AVX512BW__)
  if constexpr (N == kLast) {
    using C = Vec<char, N>;
    __builtin_ia32_storedquqi256_mask(reinterpret_cast<C*>(p), bitcast<C>(v), ~u32{0} >> (N - lanes));
    return;
  }
#endif
  store(p, v);
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
// Rows interleaved by kDepth: each vector of sums has a part of each group of them.
template <class Row, int kSums, int kGroups>
struct Interleaved {
  static constexpr int kCount = kGroups;
  Row part[kSums][kGroups];
};

// What levels of interleaved rows share; T is a Taps.
template <class T>
struct Interleaving {
  // One column.
  template <class Sum, int kSums, class C>
  static EDGEORT_INLINE void add(Sum (&sum)[kSums], const C& x, const C& w) {
#pragma clang loop unroll(full)
    for (int q = 0; q < C::kCount; ++q) {
#pragma clang loop unroll(full)
      for (int r = 0; r < kSums; ++r) sum[r] = T::dot(sum[r], x.part[r][q], w.part[r][q]);
    }
  }

  // All columns of P outputs, vector by vector of sums, so that the weights of one stay in registers.
  template <int P, int S, int K, class Sum, int kSums, class C>
  static EDGEORT_INLINE void window(Sum (&sum)[P][kSums], const C* x, const C* w) {
#pragma clang loop unroll(full)
    for (int r = 0; r < kSums; ++r) {
#pragma clang loop unroll(full)
      for (int i = 0; i < (P - 1) * S + K; ++i) {
#pragma clang loop unroll(full)
        for (int q = 0; q < C::kCount; ++q) {
#pragma clang loop unroll(full)
          for (int p = 0; p < P; ++p) {
            if (i >= p * S && i < p * S + K) sum[p][r] = T::dot(sum[p][r], x[i].part[r][q], w[i - p * S].part[r][q]);
          }
        }
      }
    }
  }
};

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__) || defined(__ARM_FEATURE_DOTPROD)
// Four rows a product: each int32 takes four bytes of one channel.
template <int N>
struct Taps : Interleaving<Taps<N>> {
  static constexpr int kSums = 4, kDepth = 4;
  using Row = Vec<i8, N>;
  using Sum = Vec<i32, N / 4>;
  template <int K>
  using Column = Interleaved<Row, kSums, (K + 3) / 4>;

  static EDGEORT_INLINE Row load_x(const q8* p, int lanes) { return bitcast<Row>(load_bytes<N>(p, lanes)); }
  static EDGEORT_INLINE Row next_x(const q8*& p, i64 step, int lanes) { return bitcast<Row>(next_bytes<N>(p, step, lanes)); }
  static EDGEORT_INLINE Row load_w(const i8* p, int lanes) { return bitcast<Row>(load_bytes<N>(p, lanes)); }

#if defined(__ARM_FEATURE_DOTPROD)
  // Groups of rows from q on: of four rows, or as many as are left, a table for each vector; beyond it, zeros.
  template <int K, int q>
  static EDGEORT_INLINE void each_group(const Row (&row)[K], Column<K>& c) {
    constexpr int kRows = K - 4 * q < 4 ? K - 4 * q : 4;
    constexpr Vec<u8, 16> kOf = {0, 16, 32, 48, 1, 17, 33, 49, 2, 18, 34, 50, 3, 19, 35, 51};
    const Row* const r = row + 4 * q;
#pragma clang loop unroll(full)
    for (int i = 0; i < kSums; ++i) {
      const uint8x16_t of = kOf + static_cast<u8>(4 * i);
      if constexpr (kRows == 1) c.part[i][q] = vqtbl1q_s8(r[0], of);
      if constexpr (kRows == 2) c.part[i][q] = vqtbl2q_s8({r[0], r[1]}, of);
      if constexpr (kRows == 3) c.part[i][q] = vqtbl3q_s8({r[0], r[1], r[2]}, of);
      if constexpr (kRows == 4) c.part[i][q] = vqtbl4q_s8({r[0], r[1], r[2], r[3]}, of);
    }
    if constexpr (4 * q + 4 < K) each_group<K, q + 1>(row, c);
  }

  template <int K>
  static EDGEORT_INLINE Column<K> pack(const Row (&row)[K]) {
    Column<K> c;
    each_group<K, 0>(row, c);
    return c;
  }

  static EDGEORT_INLINE Sum dot(Sum sum, Row x, Row w) { return vdotq_s32(sum, x, w); }
#else
  template <int K>
  static EDGEORT_INLINE Column<K> pack(const Row (&row)[K]) {
    using Pair = Vec<i16, N / 2>;
    Column<K> c;
#pragma clang loop unroll(full)
    for (int q = 0; q < Column<K>::kCount; ++q) {
      const auto at = [&](int k) { return 4 * q + k < K ? row[4 * q + k < K ? 4 * q + k : 0] : Row{}; };
      const auto low = bitcast<Pair>(interleave<0>(at(0), at(1))), high = bitcast<Pair>(interleave<1>(at(0), at(1)));
      const auto low2 = bitcast<Pair>(interleave<0>(at(2), at(3))), high2 = bitcast<Pair>(interleave<1>(at(2), at(3)));
      c.part[0][q] = bitcast<Row>(interleave<0>(low, low2));
      c.part[1][q] = bitcast<Row>(interleave<1>(low, low2));
      c.part[2][q] = bitcast<Row>(interleave<0>(high, high2));
      c.part[3][q] = bitcast<Row>(interleave<1>(high, high2));
    }
    return c;
  }

  static EDGEORT_INLINE Sum dot(Sum sum, Row x, Row w) {
    if constexpr (N == 16) return __builtin_ia32_vpdpbusd128(sum, bitcast<Vec<u8, N>>(x), bitcast<Vec<char, N>>(w));
    if constexpr (N == 32) return __builtin_ia32_vpdpbusd256(sum, bitcast<Vec<u8, N>>(x), bitcast<Vec<char, N>>(w));
#if defined(__AVX512VNNI__)
    if constexpr (N == 64) return __builtin_ia32_vpdpbusd512(sum, bitcast<Vec<u8, N>>(x), bitcast<Vec<char, N>>(w));
#endif
  }
#endif
};
#elif defined(__x86_64__) || defined(__wasm_simd128__)
// Two rows a product, as int16.
template <int N>
struct Taps : Interleaving<Taps<N>> {
  static constexpr int kSums = 2, kDepth = 2;
  using Row = Vec<i16, N>;
  using Sum = Vec<i32, N / 2>;
  template <int K>
  using Column = Interleaved<Row, kSums, (K + 1) / 2>;

  static EDGEORT_INLINE Row load_x(const q8* p, int lanes) { return __builtin_convertvector(load_bytes<N>(p, lanes), Row); }
  static EDGEORT_INLINE Row next_x(const q8*& p, i64 step, int lanes) {
    return __builtin_convertvector(next_bytes<N>(p, step, lanes), Row);
  }
  static EDGEORT_INLINE Row load_w(const i8* p, int lanes) { return __builtin_convertvector(load_bytes<N>(p, lanes), Row); }

  template <int K>
  static EDGEORT_INLINE Column<K> pack(const Row (&row)[K]) {
    Column<K> c;
#pragma clang loop unroll(full)
    for (int q = 0; q < Column<K>::kCount; ++q) {
      const Row second = 2 * q + 1 < K ? row[2 * q + 1 < K ? 2 * q + 1 : 0] : Row{};
      c.part[0][q] = interleave<0>(row[2 * q], second);
      c.part[1][q] = interleave<1>(row[2 * q], second);
    }
    return c;
  }

#if defined(__AVX2__)
  static EDGEORT_INLINE Vec<i32, 8> dot(Vec<i32, 8> sum, Vec<i16, 16> x, Vec<i16, 16> w) { return sum + __builtin_ia32_pmaddwd256(x, w); }
#else
  static EDGEORT_INLINE Vec<i32, 4> dot(Vec<i32, 4> sum, Vec<i16, 8> x, Vec<i16, 8> w) {
#if defined(__x86_64__)
    return sum + __builtin_ia32_pmaddwd128(x, w);
#else
    return sum + __builtin_wasm_dot_s_i32x4_i16x8(x, w);
#endif
  }
  static EDGEORT_INLINE Vec<i32, 8> dot(Vec<i32, 8> sum, Vec<i16, 16> x, Vec<i16, 16> w) {
    const Vec<i32, 4> none = {}, part[2] = {dot(none, lower(x), lower(w)), dot(none, upper(x), upper(w))};
    return sum + load_as<Vec<i32, 8>>(part);
  }
#endif
#if defined(__AVX512BW__)
  static EDGEORT_INLINE Vec<i32, 16> dot(Vec<i32, 16> sum, Vec<i16, 32> x, Vec<i16, 32> w) { return sum + __builtin_ia32_pmaddwd512(x, w); }
#endif
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
  static EDGEORT_INLINE Row load_w(const i8* p, int lanes) { return bitcast<Row>(load_bytes<N>(p, lanes)); }

  template <int K>
  static EDGEORT_INLINE Column<K> pack(const Row (&row)[K]) {
    Column<K> c;
#pragma clang loop unroll(full)
    for (int k = 0; k < K; ++k) c.row[k] = row[k];
    return c;
  }

  // Taps in pairs, row by row, so that few weights and columns are wanted at a time.
  template <int P, int S, int K>
  static EDGEORT_INLINE void window(Sum (&sum)[P][kSums], const Column<K>* x, const Column<K>* w) {
#pragma clang loop unroll(full)
    for (int t = 0; t < K * K; t += 2) {
      const int u = t + 1 < K * K ? t + 1 : t;
#pragma clang loop unroll(full)
      for (int p = 0; p < P; ++p) {
        pair(sum[p], x[p * S + t % K].row[t / K], w[t % K].row[t / K], x[p * S + u % K].row[u / K], w[u % K].row[u / K], u > t);
      }
    }
  }

  // One column of a single row.
  static EDGEORT_INLINE void add(Sum (&sum)[kSums], const Column<1>& x, const Column<1>& w) {
    pair(sum, x.row[0], w.row[0], x.row[0], w.row[0], false);
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
