// Depthwise kernels of int8 for one ISA level.
#include "qdepthwise.h"

#include "finish.h"

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
      for (int k = 0; k < K; ++k) rows[k] = T::load_w(a.weights + (k * K + i) * tap + c);
      weights[i] = T::pack(rows);
    }
#pragma clang loop unroll(full)
    for (int k = 0; k < K; ++k) rows[k] = T::load_x(a.padding + c, lanes);
    padding = T::pack(rows);
  }

  EDGEORT_INLINE Column column(bool outside) {
    typename T::Row rows[K];
    if (outside) {
#pragma clang loop unroll(full)
      for (int k = 0; k < K; ++k) in[k] += step[k];
      return padding;
    }
#pragma clang loop unroll(full)
    for (int k = 0; k < K; ++k) {
      rows[k] = T::next_x(in[k], step[k], lanes);
    }
    return T::pack(rows);
  }

  EDGEORT_INLINE void begin(i64 y) {
    out = a.out + y * a.out_line;
#pragma clang loop unroll(full)
    for (int k = 0; k < K; ++k) {
      const q8* row = a.rows[y * K + k];
      in[k] = (row ? row : a.padding) + c;
      step[k] = row ? a.in_pixel : 0;
    }
  }

  // P outputs; at(i) is column i of theirs.
  template <int P, bool kRectified, class At>
  EDGEORT_INLINE void outputs(const At& at) {
    constexpr int kColumns = (P - 1) * S + K;
    Column columns[kColumns];
    typename T::Sum sum[P][T::kSums];
#pragma clang loop unroll(full)
    for (int p = 0; p < P; ++p) finish.begin(sum[p]);
#pragma clang loop unroll(full)
    for (int i = 0; i < kColumns; ++i) {
      columns[i] = at(i);
#pragma clang loop unroll(full)
      for (int p = 0; p < P; ++p) {
        if (i >= p * S && i < p * S + K) T::add(sum[p], columns[i], columns[i > 0 ? i - 1 : 0], weights, i - p * S);
      }
    }
#pragma clang loop unroll(full)
    for (int p = 0; p < P; ++p) {
      finish.template save<kRectified>(sum[p], out, c);
      out += a.out_pixel;
    }
  }
};

// The columns that one group of outputs shares with the next stay in registers.
template <int N, int K, int S>
struct InRegisters {
  using Column = typename Block<N, K, S>::Column;
  Block<N, K, S> b;
  Column carry[K - S];

  EDGEORT_INLINE InRegisters(const QDepthwiseArgs& a, i64 c, int lanes) : b(a, c, lanes) {}

  // The first column is x; of checked ones, those from b.a.last on are outside.
  template <int P, bool kRectified, bool kChecked>
  EDGEORT_INLINE void group(i64 x) {
    b.template outputs<P, kRectified>([&](int i) __attribute__((always_inline)) {
      const Column v = i < K - S ? carry[i] : b.column(kChecked && x + i >= b.a.last);
      if (i >= P * S) carry[i - P * S] = v;
      return v;
    });
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
  using Column = typename Block<N, K, S>::Column;
  Block<N, K, S> b;
  static constexpr int kOutputs = 16 / S;
  Column columns[(kOutputs - 1) * S + K];

  EDGEORT_INLINE Buffered(const QDepthwiseArgs& a, i64 c, int lanes) : b(a, c, lanes) {}

  template <int P, bool kRectified>
  EDGEORT_INLINE void line() {
    i64 ready = 0;
    for (i64 x = 0; x < b.a.pixels; x += kOutputs) {
      const i64 room = b.a.pixels - x, n = room < kOutputs ? room : kOutputs;
      for (i64 i = ready; i < (n - 1) * S + K; ++i) columns[i] = b.column(x * S + i < b.a.first || x * S + i >= b.a.last);
      for (i64 p = 0; p < n;) p += n - p >= P ? group<P, kRectified>(p) : group<1, kRectified>(p);
      for (ready = 0; ready < K - S; ++ready) columns[ready] = columns[kOutputs * S + ready];
    }
  }

  template <int P, bool kRectified>
  EDGEORT_INLINE int group(i64 p) {
    b.template outputs<P, kRectified>([&](int i) __attribute__((always_inline)) { return columns[p * S + i]; });
    return P;
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
  typename Either<K == 3, InRegisters<N, K, S>, Buffered<N, K, S>>::type block(a, c, lanes);
  for (i64 y = 0; y < a.lines; ++y) {
    block.b.begin(y);
    kSpecial&& block.b.finish.rectified ? block.template line<P, true>() : block.template line<P, false>();
  }
}

template <int K, int S, int P>
void lines(const QDepthwiseArgs& args) {
  const QDepthwiseArgs a = args;
  i64 c = 0;
  if constexpr (kWidest >= 64) {
    for (; c + 64 <= a.channels; c += 64) block_of<64, K, S, P>(a, c, 64);
  }
  if constexpr (kWidest >= 32) {
    for (; c + 32 <= a.channels; c += 32) block_of<32, K, S, P>(a, c, 32);
  }
  for (; c < a.channels; c += 16) {
    // The last block overlaps the one before where it cannot be a part.
    const i64 left = a.channels - c, at = left < kFewest ? a.channels - 16 : c;
    block_of<16, K, S, P>(a, at, left < 16 && at == c ? static_cast<int>(left) : 16);
  }
}

// One pixel's channels, of any number: fewer than a block go through a copy.
void pixel(const QDepthwiseTaps& a) {
  using T = Taps<16>;
  constexpr int K = T::kDepth;
  const i64 tap = ceil_panels(a.channels);
  for (i64 c = 0; c < a.channels; c += 16) {
    const int lanes = a.channels - c < 16 ? static_cast<int>(a.channels - c) : 16;
    const Finish<16> finish(a.result, c, lanes);
    T::Sum sum[T::kSums];
    finish.begin(sum);
    for (i64 t = 0; t < a.count; t += K) {
      T::Row x[K] = {}, w[K] = {};
      for (int k = 0; k < K && t + k < a.count; ++k) {
        q8 part[16] = {};
        __builtin_memcpy(part, a.rows[t + k] + c, static_cast<size_t>(lanes));
        x[k] = T::load_x(part, 16);
        w[k] = T::load_w(a.weights + (t + k) * tap + c);
      }
      const typename T::template Column<K> column = T::pack(x), weights[1] = {T::pack(w)};
      T::add(sum, column, column, weights, 0);
    }
    finish.save_any(sum, a.out, c);
  }
}

constexpr QDepthwiseRow kRows[] = {
#define QDEPTHWISE(kernel, stride, pixels) {kernel, stride, lines<kernel, stride, pixels>},
#include "kernels.inc"
#undef QDEPTHWISE
};

}  // namespace

EDGEORT_KERNEL(QDepthwiseKernels, qdepthwise, {pixel, kRows, sizeof(kRows) / sizeof(kRows[0]), kFewest, Taps<16>::kDepth == 1})

}  // namespace edgeort
