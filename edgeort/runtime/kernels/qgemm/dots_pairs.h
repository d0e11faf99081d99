// Dots of AVX2, which multiplies bytes and adds pairs of products in 16 bits, where they may saturate: quads come in the order of lists,
// by which they do not.
#pragma once
#include "order.h"

namespace edgeort {
namespace {

constexpr int kBiasLanes = 1;
constexpr bool kStepped = false;
constexpr bool kOrdered = true;

using Bytes = Vec<char, 4 * kLanes>;
using Pairs = Vec<i16, 2 * kLanes>;

template <int M, int C, bool kWide>
struct Dots {
  static_assert(C == kOrderColumns && C == kLanes);
  vi sum[M];
  const TwoQuads* twos;  // lists from the tap's quads on; null: there are none
  const u16* ones;
  const MovedQuad* moved;
  i64 next;  // quad of the panel

  EDGEORT_INLINE void begin(const i32* bias) {
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) sum[m] = load(bias);
  }

  EDGEORT_INLINE void follow(const QOrder* order, i64 column) {
    const QOrder lists = order ? order[column / kOrderColumns] : QOrder{};
    twos = lists.twos;
    ones = lists.ones;
    moved = lists.moved;
    next = 0;
  }

  template <class T>
  static EDGEORT_INLINE Bytes splat_quad(const T* p) {
    return bitcast<Bytes>(splat_int(load_as<i32>(p)));
  }
  static EDGEORT_INLINE Bytes splat_window(const q8* p) {
    const auto x = load_as<Vec<char, kWindow * kDepth>>(p);
    return __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
                                   14, 15);
  }
  static EDGEORT_INLINE Pairs pairs(Bytes x, Bytes w) { return __builtin_ia32_pmaddubsw256(x, w); }
  EDGEORT_INLINE void add(int m, Pairs y) {
    sum[m] += __builtin_ia32_pmaddwd256(y, Pairs{} + 1);
    // In this order: else the values of all rows are loaded first, and wait on the stack.
    __asm__ volatile("" : "+x"(sum[m])::"memory");
  }

  EDGEORT_INLINE void quads(const q8* (&rows)[M], i64 n, const i8* (&panels)[1], bool) {
    if (__builtin_expect(!twos, 0)) {
      for (; n > 0; --n) quad(load_quads(rows), panels);
      return;
    }
    constexpr i64 kAhead = 32;
    const i64 end = next + n;
    i64 i;
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) rows[m] -= next * kDepth;
    next = end;
#pragma clang loop unroll(disable)
    for (; (i = twos->first) < end; ++twos) {
      const i64 j = twos->second;
      __builtin_prefetch(panels[0] + (j + kAhead) * kQuad);  // the CPU sees no order in them
      const Bytes w = load_as<Bytes>(panels[0] + i * kQuad), v = load_as<Bytes>(panels[0] + j * kQuad);
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) add(m, pairs(splat_quad(rows[m] + i * kDepth), w) + pairs(splat_quad(rows[m] + j * kDepth), v));
    }
#pragma clang loop unroll(disable)
    for (; (i = *ones) < end; ++ones) {
      const Bytes w = load_as<Bytes>(panels[0] + i * kQuad);
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) add(m, pairs(splat_quad(rows[m] + i * kDepth), w));
    }
#pragma clang loop unroll(disable)
    for (; (i = moved->window) < end; ++moved) {
      const Bytes w = load_as<Bytes>(moved->weights), from = splat_quad(moved->from);
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) add(m, pairs(__builtin_ia32_pshufb256(splat_window(rows[m] + i * kDepth), from), w));
    }
  }

  // One that is in no list.
  EDGEORT_INLINE void quad(const Quads<M>& x, const i8* (&panels)[1]) {
    const auto w = load_as<Vec<u16, 2 * kLanes>>(panels[0] + next++ * kQuad);
    const Bytes even = bitcast<Bytes>(w & 0xff), odd = bitcast<Bytes>(w & 0xff00);
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) {
      const Bytes values = splat_quad(x.of + m);
      add(m, pairs(values, even));
      add(m, pairs(values, odd));
    }
  }

  EDGEORT_INLINE vi get(int m, int) const { return sum[m]; }
};

}  // namespace
}  // namespace edgeort
