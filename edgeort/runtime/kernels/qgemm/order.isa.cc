#include "order.h"

#include "../../simd/types.h"
#include "qgemm.h"

namespace edgeort {
namespace {

#if EDGEORT_PAIRS
constexpr int kRows = kWindow * kDepth;
constexpr u8 kNone = 128;
using Row = Vec<i16, kOrderColumns>;  // weights of a k
using Bytes = Vec<char, kOrderColumns * kDepth>;

// Whether no sum is beyond what 16 bits hold 255 times.
template <class V>
EDGEORT_INLINE bool small(V sums) {
  return __builtin_reduce_or((sums > 128) | (sums < -128)) == 0;
}
EDGEORT_INLINE bool fits(const i8* quad) { return small(__builtin_ia32_pmaddubsw256(Bytes{} + 1, load_as<Bytes>(quad))); }

// Rows of a window that are to be paired.
struct Window {
  Row row[kRows];
  u16 with[kRows];  // a bit for each row that it may be paired with
  u32 left = 0;     // a bit for each row

  EDGEORT_INLINE void add(const i8* quad, int at) {
    for (int k = 0; k < kDepth; ++k) {
      for (int c = 0; c < kOrderColumns; ++c) row[at + k][c] = quad[c * kDepth + k];
    }
    left |= 15u << at;
  }

  void compare() {
    for (u32 i = left; i; i &= i - 1) with[__builtin_ctz(i)] = 0;
    for (u32 i = left; i; i &= i - 1) {
      const int a = __builtin_ctz(i);
      for (u32 j = i & (i - 1); j; j &= j - 1) {
        const int b = __builtin_ctz(j);
        if (!small(row[a] + row[b])) continue;
        with[a] = static_cast<u16>(with[a] | 1u << b);
        with[b] = static_cast<u16>(with[b] | 1u << a);
      }
    }
  }

  // Of `among`, the row that the fewest others are left for.
  int poorest(u32 among) const {
    int best = 0, least = kRows + 1;
    for (u32 i = among; i; i &= i - 1) {
      const int a = __builtin_ctz(i), n = __builtin_popcount(with[a] & left);
      if (n < least) best = a, least = n;
    }
    return best;
  }

  // Takes a pair out: the row that is hardest to pair, with the hardest for it, or alone.
  void pair(u8* out) {
    const int a = poorest(left);
    left &= ~(1u << a);
    const u32 others = with[a] & left;
    out[0] = static_cast<u8>(a);
    out[1] = kNone;
    if (!others) return;
    const int b = poorest(others);
    left &= ~(1u << b);
    out[1] = static_cast<u8>(b);
  }

  // All of it as quads; their number.
  i64 take(u32 window, MovedQuad* to) {
    compare();
    i64 n = 0;
    for (; left; ++n) {
      u8 from[kDepth] = {kNone, kNone, kNone, kNone};
      pair(from);
      if (left) pair(from + 2);
      if (!to) continue;
      MovedQuad& quad = to[n];
      quad.window = window;
      for (int k = 0; k < kDepth; ++k) {
        quad.from[k] = from[k];
        for (int c = 0; c < kOrderColumns; ++c) quad.weights[c * kDepth + k] = static_cast<i8>(from[k] == kNone ? 0 : row[from[k]][c]);
      }
    }
    return n;
  }
};

OrderSizes order(const i8* weights, const OrderShape& shape, u16* plain, MovedQuad* moved) {
  OrderSizes n = {};
  const i64 whole = shape.tap - shape.ragged;
  for (i64 tap = 0; tap < shape.quads; tap += shape.tap) {
    for (i64 begin = 0; begin < whole; begin += kWindow) {
      // The last one begins where it ends with the tap.
      const i64 first = tap + (begin + kWindow <= whole ? begin : whole - kWindow), end = first + kWindow;
      Window window;
      for (i64 quad = tap + begin; quad < end; ++quad) {
        if (!fits(weights + quad * kQuad)) {
          window.add(weights + quad * kQuad, static_cast<int>((quad - first) * kDepth));
          continue;
        }
        if (plain) plain[n.plain] = static_cast<u16>(quad);
        ++n.plain;
      }
      if (window.left) n.moved += window.take(static_cast<u32>(first), plain ? moved + n.moved : nullptr);
    }
  }
  return n;
}
constexpr auto kOrder = order;
#else
constexpr OrderSizes (*kOrder)(const i8*, const OrderShape&, u16*, MovedQuad*) = nullptr;
#endif

}  // namespace

EDGEORT_KERNEL(OrderKernels, qgemm_order, {kOrder})

}  // namespace edgeort
