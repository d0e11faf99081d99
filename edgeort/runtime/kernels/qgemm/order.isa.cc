#include "order.h"

#include "../../simd/types.h"
#include "qgemm.h"

namespace edgeort {
namespace {

#if EDGEORT_PAIRS
constexpr int kRows = kWindow * kDepth;
constexpr u8 kNone = 128;
using Row = Vec<i32, kOrderColumns>;  // weights of a k
using Bytes = Vec<char, kOrderColumns * kDepth>;

EDGEORT_INLINE bool none(Bytes mask) { return __builtin_ia32_pmovmskb256(mask) == 0; }

// Of a quad's pairs, the sums of the weights of either sign.
struct Sums {
  using Pairs = Vec<i16, kOrderColumns * kDepth / 2>;
  Pairs above, below;

  explicit EDGEORT_INLINE Sums(const i8* quad) {
    const auto w = load_as<Vec<i8, kOrderColumns * kDepth>>(quad);
    const Bytes one = Bytes{} + 1;
    above = __builtin_ia32_pmaddubsw256(one, bitcast<Bytes>(__builtin_elementwise_max(w, decltype(w){})));
    below = __builtin_ia32_pmaddubsw256(one, bitcast<Bytes>(__builtin_elementwise_min(w, decltype(w){})));
  }
  Sums() = default;
  // Whether no sum is beyond what 16 bits hold 255 times.
  static EDGEORT_INLINE bool fit(Pairs a, Pairs b) { return none(bitcast<Bytes>((a > 128) | (b < -128))); }
  EDGEORT_INLINE bool fit() const { return fit(above, below); }
  EDGEORT_INLINE bool fit_with(const Sums& other) const { return fit(above + other.above, below + other.below); }
};

// Rows of a window that are to be paired.
struct Window {
  Row row[kRows];
  u16 with[kRows];  // a bit for each row that it may be paired with
  u32 left = 0;     // a bit for each row

  EDGEORT_INLINE void add(const i8* quad, int at) {
    for (int k = 0; k < kDepth; ++k) row[at + k] = load_as<Row>(quad) << (24 - 8 * k) >> 24;
    left |= 15u << at;
  }

  void compare() {
    for (u32 i = left; i; i &= i - 1) with[__builtin_ctz(i)] = 0;
    for (u32 i = left; i; i &= i - 1) {
      const int a = __builtin_ctz(i);
      for (u32 j = i & (i - 1); j; j &= j - 1) {
        const int b = __builtin_ctz(j);
        const Row sum = row[a] + row[b];
        if (!none(bitcast<Bytes>((sum > 128) | (sum < -128)))) continue;
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
      Row w = {};
      for (int k = 0; k < kDepth; ++k) {
        if (from[k] != kNone) w |= (row[from[k]] & 255) << (8 * k);
      }
      store(to[n].weights, w);
      __builtin_memcpy(to[n].from, from, sizeof(from));
      to[n].window = window;
    }
    return n;
  }
};

// Quads of a tap that fit: the last ones that have none to go with yet.
struct Waiting {
  static constexpr int kMost = 16;
  Sums sums[kMost];
  u16 quads[kMost];
  int count = 0;
  const OrderLists& to;
  OrderSizes& n;

  Waiting(const OrderLists& lists, OrderSizes& sizes) : to(lists), n(sizes) {}

  void put_one(u16 quad) { to.ones[n.ones++] = quad; }
  void drop(int i) {
    --count;
    sums[i] = sums[count];
    quads[i] = quads[count];
  }
  void add(u16 quad, const Sums& s) {
    for (int i = 0; i < count; ++i) {
      if (!s.fit_with(sums[i])) continue;
      to.twos[n.twos++] = {quads[i], quad};
      return drop(i);
    }
    if (count == kMost) put_one(quads[0]), drop(0);
    quads[count] = quad;
    sums[count++] = s;
  }
  // The tap's last quad has been.
  void end() {
    for (int i = 0; i < count; ++i) put_one(quads[i]);
    count = 0;
  }
};

OrderSizes order(const i8* weights, const OrderShape& shape, const OrderLists& to) {
  OrderSizes n = {};
  Waiting waiting(to, n);
  const i64 whole = shape.tap - shape.ragged;
  for (i64 tap = 0; tap < shape.quads; tap += shape.tap, waiting.end()) {
    for (i64 begin = 0; begin < whole; begin += kWindow) {
      // The last one begins where it ends with the tap.
      const i64 first = tap + (begin + kWindow <= whole ? begin : whole - kWindow), end = first + kWindow;
      Window window;
      for (i64 quad = tap + begin; quad < end; ++quad) {
        const i8* at = weights + quad * kQuad;
        const Sums sums(at);
        if (sums.fit()) {
          waiting.add(static_cast<u16>(quad), sums);
        } else {
          window.add(at, static_cast<int>((quad - first) * kDepth));
        }
      }
      if (window.left) n.moved += window.take(static_cast<u32>(first), to.moved + n.moved);
    }
  }
  return n;
}
constexpr auto kOrder = order;
#else
constexpr OrderSizes (*kOrder)(const i8*, const OrderShape&, const OrderLists&) = nullptr;
#endif

}  // namespace

EDGEORT_KERNEL(OrderKernels, qgemm_order, {kOrder})

}  // namespace edgeort
