// Depthwise kernels of int8 for one ISA level.
#include "qdepthwise.h"

#include "finish.h"
#if defined(__ARM_FEATURE_SIMD32) && !defined(__ARM_NEON)
#include "../../simd/halves.h"
#endif

namespace edgeort {
namespace {

// Channels of packed weights: whole panels.
EDGEORT_INLINE i64 ceil_panels(i64 channels) { return (channels + kPanel - 1) / kPanel * kPanel; }

// On Arm a branch for each output would cost more than code of its own for what is most common.
#if defined(__aarch64__)
constexpr bool kSpecial = true;
#else
constexpr bool kSpecial = false;
#endif

// Lines of a block of channels from c on.
template <int N, int K, int S>
struct Block {
  using T = Taps<N>;
  using Column = typename T::template Column<K>;
  const QDepthwiseArgs& a;
  i64 c;
  int lanes;
  const q8* in[K];  // apart from the steps: clang keeps neighbours of a struct in the halves of a vector
  char* out;
  Finish<N> finish;
  Column weights[K], padding;
  i64 step[K];  // of each row: 0 where it is all padding

  EDGEORT_INLINE Block(const QDepthwiseArgs& args, i64 at, int n) : a(args), c(at), lanes(n), finish(args.result, at, n) {
    const i64 tap = ceil_panels(a.channels);
    typename T::Row rows[K];
#pragma clang loop unroll(full)
    for (int i = 0; i < K; ++i) {
#pragma clang loop unroll(full)
      for (int k = 0; k < K; ++k) rows[k] = T::load_w(a.weights + (k * K + i) * tap + c, lanes);
      weights[i] = T::pack(rows);
    }
#pragma clang loop unroll(full)
    for (int k = 0; k < K; ++k) rows[k] = T::load_x(a.padding + c, lanes);
    padding = T::pack(rows);
  }

  // The next column of the lines.
  EDGEORT_INLINE Column inside() {
    typename T::Row rows[K];
#pragma clang loop unroll(full)
    for (int k = 0; k < K; ++k) rows[k] = T::next_x(in[k], step[k], lanes);
    return T::pack(rows);
  }
  EDGEORT_INLINE Column outside() {
#pragma clang loop unroll(full)
    for (int k = 0; k < K; ++k) in[k] += step[k];
    return padding;
  }
  EDGEORT_INLINE Column column(bool is_outside) { return is_outside ? outside() : inside(); }

  EDGEORT_INLINE void begin(i64 y) {
    out = a.out + y * a.out_line;
#pragma clang loop unroll(full)
    for (int k = 0; k < K; ++k) {
      const q8* row = a.rows[y * K + k];
      in[k] = (row ? row : a.padding) + c;
      step[k] = row ? a.in_pixel : 0;
    }
  }

  template <int P>
  EDGEORT_INLINE void begin(typename T::Sum (&sum)[P][T::kSums]) const {
#pragma clang loop unroll(full)
    for (int p = 0; p < P; ++p) finish.begin(sum[p]);
  }

  // Stores the next P outputs.
  template <bool kRectified, int P>
  EDGEORT_INLINE void save(const typename T::Sum (&sum)[P][T::kSums]) {
    finish.template save<kRectified>(sum, out, a.out_pixel, c);
    out += P * a.out_pixel;
  }
};

// The columns that one group of outputs shares with the next stay in registers.
template <int N, int K, int S>
struct InRegisters {
  using T = Taps<N>;
  using Column = typename T::template Column<K>;
  Block<N, K, S> b;
  Column carry[K - S];

  EDGEORT_INLINE InRegisters(const QDepthwiseArgs& a, i64 c, int lanes, Column*) : b(a, c, lanes) {}

  // The first column is x; of checked ones, those from b.a.last on are outside.
  template <int P, bool kRectified, bool kChecked>
  EDGEORT_INLINE void group(i64 x) {
    constexpr int kColumns = (P - 1) * S + K;
    Column columns[kColumns];
    typename T::Sum sum[P][T::kSums];
    b.begin(sum);
#pragma clang loop unroll(full)
    for (int i = 0; i < kColumns; ++i) {
      columns[i] = i < K - S ? carry[i] : b.column(kChecked && x + i >= b.a.last);
      if (i >= P * S) carry[i - P * S] = columns[i];
      if constexpr (T::kDepth > 1) {
#pragma clang loop unroll(full)
        for (int p = 0; p < P; ++p) {
          if (i >= p * S && i < p * S + K) T::add(sum[p], columns[i], b.weights[i - p * S]);
        }
      }
    }
    if constexpr (T::kDepth == 1) T::template window<P, S, K>(sum, columns, b.weights);
    b.template save<kRectified>(sum);
  }

  template <int P, bool kRectified>
  EDGEORT_INLINE void line() {
#pragma clang loop unroll(full)
    for (int i = 0; i < K - S; ++i) carry[i] = b.column(i < b.a.first || i >= b.a.last);
    const i64 inside = b.a.last < K ? 0 : (b.a.last - K) / S + 1, whole = (inside < b.a.pixels ? inside : b.a.pixels) / P;
    for (i64 i = 0; i < whole; ++i) group<P, kRectified, false>(0);
    for (i64 x = whole * P; x < b.a.pixels; ++x) group<1, kRectified, true>(x * S);
  }
};

// The columns of a part of a line are kept in memory: there are more of them than registers.
template <int N, int K, int S>
struct Buffered {
  using T = Taps<N>;
  using Column = typename T::template Column<K>;
  Block<N, K, S> b;
  static constexpr int kOutputs = 16 / S;
  Column* columns;  // apart: what is indexed when running would keep all of this in memory

  EDGEORT_INLINE Buffered(const QDepthwiseArgs& a, i64 c, int lanes, Column* buffer) : b(a, c, lanes), columns(buffer) {}

  template <int P, bool kRectified>
  EDGEORT_INLINE void line() {
    i64 ready = 0;
    for (i64 x = 0; x < b.a.pixels; x += kOutputs) {
      const i64 room = b.a.pixels - x, n = room < kOutputs ? room : kOutputs;
      fill(ready, (n - 1) * S + K, x * S);
      i64 p = 0;
      for (; p + P <= n; p += P) group<P, kRectified>(p);
      for (; p < n; ++p) group<1, kRectified>(p);
      for (ready = 0; ready < K - S; ++ready) columns[ready] = columns[kOutputs * S + ready];
    }
  }

  // Columns [i, end), of which column 0 is x of the line.
  EDGEORT_INLINE void fill(i64 i, i64 end, i64 x) {
    const i64 first = end < b.a.first - x ? end : b.a.first - x, last = end < b.a.last - x ? end : b.a.last - x;
    for (; i < first; ++i) columns[i] = b.outside();
    for (; i < last; ++i) columns[i] = b.inside();
    for (; i < end; ++i) columns[i] = b.outside();
  }

  template <int P, bool kRectified>
  EDGEORT_INLINE void group(i64 p) {
    typename T::Sum sum[P][T::kSums];
    b.begin(sum);
    T::template window<P, S, K>(sum, columns + p * S, b.weights);
    b.template save<kRectified>(sum);
  }
};

template <bool kFirst, class A, class B>
struct Either {
  using type = A;
};
template <class A, class B>
struct Either<false, A, B> {
  using type = B;
};

template <int N, int K, int S, int P>
EDGEORT_INLINE void block_of(const QDepthwiseArgs& a, i64 c, int lanes) {
  typename Taps<N>::template Column<K> buffer[K == 3 ? 1 : 15 + K];
  typename Either<K == 3, InRegisters<N, K, S>, Buffered<N, K, S>>::type block(a, c, lanes, buffer);
  for (i64 y = 0; y < a.lines; ++y) {
    block.b.begin(y);
    kSpecial&& block.b.finish.rectified ? block.template line<P, true>() : block.template line<P, false>();
  }
}

template <int K, int S, int P>
void lines(const QDepthwiseArgs& args) {
  const QDepthwiseArgs a = args;
  i64 c = 0;
  if constexpr (kWidest > kLast) {
    for (; c + kWidest <= a.channels; c += kWidest) block_of<kWidest, K, S, P>(a, c, kWidest);
  }
  for (; c < a.channels; c += kLast) {
    // The last block overlaps the one before where it cannot be a part.
    const i64 left = a.channels - c;
    const bool part = left < kLast;
    block_of<kLast, K, S, P>(a, part && !kMasks ? a.channels - kLast : c, part && kMasks ? static_cast<int>(left) : kLast);
  }
}

#if defined(__ARM_FEATURE_SIMD32) && !defined(__ARM_NEON)
// The sums of channels [c, c + 4), of which `lanes` are there. tap: bytes between the weights of two taps.
EDGEORT_INLINE vi four_channels(vi begin, const QDepthwiseTaps& a, i64 tap, i64 c, int lanes) {
  i32 sum[4] = {begin[0], begin[1], begin[2], begin[3]};
  const i8* weights = a.weights + c;
  for (i32 t = 0, count = static_cast<i32>(a.count); t < count; ++t, weights += tap) {
    u32 values = 0;
    lanes >= 4 ? __builtin_memcpy(&values, a.rows[t] + c, 4) : __builtin_memcpy(&values, a.rows[t] + c, static_cast<size_t>(lanes));
    const Halves x = halves(values), w = halves(load_as<u32>(weights));
    sum[0] = __smlabb(x.even, w.even, sum[0]);
    sum[1] = __smlabb(x.odd, w.odd, sum[1]);
    sum[2] = __smlatt(x.even, w.even, sum[2]);
    sum[3] = __smlatt(x.odd, w.odd, sum[3]);
  }
  return load(sum);
}
#endif

// One pixel's channels, of any number: fewer than a block go through a copy.
void pixel(const QDepthwiseTaps& a) {
  using T = Taps<16>;
  const i64 tap = ceil_panels(a.channels);
  for (i64 c = 0; c < a.channels; c += 16) {
    const int lanes = a.channels - c < 16 ? static_cast<int>(a.channels - c) : 16;
    const Finish<16> finish(a.result, c, lanes);
    T::Sum sum[T::kSums];
    finish.begin(sum);
#if defined(__ARM_FEATURE_SIMD32) && !defined(__ARM_NEON)
    // Four channels at a time: more sums than that would lie on the stack.
    for (int r = 0; 4 * r < lanes; ++r) sum[r] = four_channels(sum[r], a, tap, c + 4 * r, lanes - 4 * r);
#else
    constexpr int K = T::kDepth;
    for (i64 t = 0; t < a.count; t += K) {
      T::Row x[K] = {}, w[K] = {};
      for (int k = 0; k < K && t + k < a.count; ++k) {
        q8 part[16] = {};
        __builtin_memcpy(part, a.rows[t + k] + c, static_cast<size_t>(lanes));
        x[k] = T::load_x(part, 16);
        w[k] = T::load_w(a.weights + (t + k) * tap + c, 16);
      }
      const typename T::template Column<K> column = T::pack(x), weights = T::pack(w);
      T::add(sum, column, weights);
    }
#endif
    finish.save_any(sum, a.out, c);
  }
}

constexpr QDepthwiseRow kRows[] = {
#define QDEPTHWISE(kernel, stride, pixels) {kernel, stride, lines<kernel, stride, pixels>},
#include "kernels.inc"
#undef QDEPTHWISE
    {}};

}  // namespace

EDGEORT_KERNEL(QDepthwiseKernels, qdepthwise,
               {pixel, kRows, sizeof(kRows) / sizeof(kRows[0]) - 1, kMasks ? 1 : kLast, Taps<16>::kDepth == 1})

}  // namespace edgeort
