// How each ISA level multiplies four bytes of a row by four bytes of each of kLanes columns.
//
// struct Dots<kBits> has
//   begin(sum)        its sums begin with
//   add(weights, x)   the products of four bytes of weights a column, of 8 bits signed, of 4 bits 0..15, by four signed bytes
//   flush()           after kDeep additions at most
//   sum()             after a flush
// kOffset<kBits>: what it adds to each weight.
#pragma once
#include "../../simd/vec.h"
#include "qblocks.h"

#if defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace edgeort {
namespace {

using Bytes = Vec<u8, 4 * kLanes>;

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
template <int kBits>
constexpr i32 kOffset = kBits == 8 ? 128 : 0;  // vpdpbusd takes unsigned weights

template <int kBits>
struct Dots {
  static constexpr int kDeep = 8;
  using Values = vi;
  vi sums;

  static EDGEORT_INLINE Values values(const i8* x) { return splat_int(load_as<i32>(x)); }
  EDGEORT_INLINE void begin(vi sum) { sums = sum; }
  EDGEORT_INLINE void add(Bytes w, Values x) {
    if constexpr (kBits == 8) w ^= static_cast<u8>(128);
    // In words of the assembler: compilers disagree about the types of their own.
#if defined(__AVX512VNNI__)
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(w), "v"(x));
#else
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sums) : "x"(w), "x"(x));
#endif
  }
  EDGEORT_INLINE void flush() {}
  EDGEORT_INLINE vi sum() const { return sums; }
};

#elif defined(__AVX2__)
template <int kBits>
constexpr i32 kOffset = 0;

// vpmaddubsw saturates at 2^15: two products of |weight| <= 128 by 127 stay below, sixteen of 4 bits do.
template <int kBits>
struct Dots {
  static constexpr int kDeep = kBits == 8 ? 1 : 8;
  using Values = Bytes;
  using Pairs = Vec<i16, 2 * kLanes>;
  vi sums;
  Pairs part;

  static EDGEORT_INLINE Values values(const i8* x) { return bitcast<Bytes>(splat_int(load_as<i32>(x))); }
  EDGEORT_INLINE void begin(vi sum) {
    sums = sum;
    part = Pairs{};
  }
#if defined(__AVX512BW__)
  static EDGEORT_INLINE Pairs multiply(Bytes w, Bytes x) {
    using Signed = Vec<i8, 64>;
    return bitcast<Pairs>(__builtin_ia32_pmaddubsw512(bitcast<Signed>(w), bitcast<Signed>(x)));
  }
  static EDGEORT_INLINE vi join(Pairs p) { return bitcast<vi>(__builtin_ia32_pmaddwd512(p, Pairs{} + i16{1})); }
#else
  static EDGEORT_INLINE Pairs multiply(Bytes w, Bytes x) {
    using Signed = Vec<i8, 32>;
    return bitcast<Pairs>(__builtin_ia32_pmaddubsw256(bitcast<Signed>(w), bitcast<Signed>(x)));
  }
  static EDGEORT_INLINE vi join(Pairs p) { return bitcast<vi>(__builtin_ia32_pmaddwd256(p, Pairs{} + i16{1})); }
#endif
  EDGEORT_INLINE void add(Bytes w, Values x) {
    if constexpr (kBits == 8) {
      using Signed = Vec<i8, 4 * kLanes>;
      const Signed q = bitcast<Signed>(w), value = bitcast<Signed>(x);
      part = multiply(bitcast<Bytes>(__builtin_elementwise_abs(q)), bitcast<Bytes>(q < 0 ? -value : value));
    } else {
      part += multiply(w, x);
    }
  }
  EDGEORT_INLINE void flush() {
    sums += join(part);
    part = Pairs{};
  }
  EDGEORT_INLINE vi sum() const { return sums; }
};

#elif defined(__ARM_FEATURE_DOTPROD)
template <int kBits>
constexpr i32 kOffset = 0;

template <int kBits>
struct Dots {
  static constexpr int kDeep = 8;
  using Values = int8x16_t;
  vi sums;

  static EDGEORT_INLINE Values values(const i8* x) { return vreinterpretq_s8_s32(vld1q_dup_s32(reinterpret_cast<const i32*>(x))); }
  EDGEORT_INLINE void begin(vi sum) { sums = sum; }
  EDGEORT_INLINE void add(Bytes w, Values x) { sums = vdotq_s32(sums, bitcast<int8x16_t>(w), x); }
  EDGEORT_INLINE void flush() {}
  EDGEORT_INLINE vi sum() const { return sums; }
};

#elif defined(__aarch64__)
template <int kBits>
constexpr i32 kOffset = 0;

// Sums of 16 bits hold two products of bytes, or all that a group has of 4 bits.
template <int kBits>
struct Dots {
  static constexpr int kDeep = kBits == 8 ? 2 : 8;
  using Values = int8x16_t;
  int32x4_t sums;
  int16x8_t low, high;

  static EDGEORT_INLINE Values values(const i8* x) { return vreinterpretq_s8_s32(vld1q_dup_s32(reinterpret_cast<const i32*>(x))); }
  EDGEORT_INLINE void begin(vi sum) {
    sums = sum;
    low = high = int16x8_t{};
  }
  EDGEORT_INLINE void add(Bytes w, Values x) {
    const auto q = bitcast<int8x16_t>(w);
    low = vmlal_s8(low, vget_low_s8(q), vget_low_s8(x));
    high = vmlal_high_s8(high, q, x);
  }
  EDGEORT_INLINE void flush() {
    sums += vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high));
    low = high = int16x8_t{};
  }
  EDGEORT_INLINE vi sum() const { return sums; }
};

#elif defined(__wasm_simd128__)
template <int kBits>
constexpr i32 kOffset = 0;

// Bytes are widened; each product adds two.
template <int kBits>
struct Dots {
  static constexpr int kDeep = 8;
  using Values = Vec<i16, 8>;
  vi sums, low, high;

  static EDGEORT_INLINE Values widen(Vec<i8, 8> x) { return __builtin_convertvector(x, Values); }
  static EDGEORT_INLINE Values values(const i8* x) { return widen(bitcast<Vec<i8, 8> >(Vec<u32, 2>{} + load_as<u32>(x))); }
  EDGEORT_INLINE void begin(vi sum) {
    sums = sum;
    low = high = vi{};
  }
  EDGEORT_INLINE void add(Bytes w, Values x) {
    const auto q = bitcast<Vec<i8, 16> >(w);
    low += __builtin_wasm_dot_s_i32x4_i16x8(widen(__builtin_shufflevector(q, q, 0, 1, 2, 3, 4, 5, 6, 7)), x);
    high += __builtin_wasm_dot_s_i32x4_i16x8(widen(__builtin_shufflevector(q, q, 8, 9, 10, 11, 12, 13, 14, 15)), x);
  }
  EDGEORT_INLINE void flush() {
    sums += __builtin_shufflevector(low, high, 0, 2, 4, 6) + __builtin_shufflevector(low, high, 1, 3, 5, 7);
    low = high = vi{};
  }
  EDGEORT_INLINE vi sum() const { return sums; }
};

#else
template <int kBits>
constexpr i32 kOffset = 0;

template <int kBits>
struct Dots {
  static constexpr int kDeep = 8;
  using Values = const i8*;
  vi sums;

  static EDGEORT_INLINE Values values(const i8* x) { return x; }
  EDGEORT_INLINE void begin(vi sum) { sums = sum; }
  EDGEORT_INLINE void add(Bytes w, Values x) {
    const auto q = bitcast<Vec<i8, 4 * kLanes> >(w);
    for (int i = 0; i < 4 * kLanes; ++i) sums[i / 4] += q[i] * x[i % 4];
  }
  EDGEORT_INLINE void flush() {}
  EDGEORT_INLINE vi sum() const { return sums; }
};
#endif

}  // namespace
}  // namespace edgeort
