// Depthwise kernels of int8 for one ISA level.
#include "qdepthwise.h"

#include "finish.h"

namespace edgeort {
namespace {

// Channels of packed weights: whole panels.
EDGEORT_INLINE i64 ceil_panels(i64 channels) { return (channels + kPanel - 1) / kPanel * kPanel; }

// Lines of a block of channels from c on; weights and the columns that one group of outputs shares with the next are kept.
template <int N, int K, int S>
struct Block {
  using T = Taps<N>;
  using Column = typename T::template Column<K>;
  static constexpr int kCarry = K - S;
  const QDepthwiseArgs& a;
  i64 c;
  int lanes;
  Finish<N> finish;
  Column weights[K], padding, carry[kCarry];
  const q8* in[K];
  i64 step[K];  // of each row: 0 where it is all padding

  EDGEORT_INLINE Block(const QDepthwiseArgs& args, i64 at, int n) : a(args), c(at), lanes(n), finish(args.result, at, n) {
    const i64 tap = ceil_panels(a.channels);
    typename T::Row rows[K];
    for (int i = 0; i < K; ++i) {
      for (int k = 0; k < K; ++k) rows[k] = T::load_w(a.weights + (k * K + i) * tap + c);
      weights[i] = T::pack(rows);
    }
    for (int k = 0; k < K; ++k) rows[k] = T::load_x(a.padding + c, lanes);
    padding = T::pack(rows);
  }

  EDGEORT_INLINE Column column(bool outside) {
    typename T::Row rows[K];
    if (outside) {
      for (int k = 0; k < K; ++k) in[k] += step[k];
      return padding;
    }
#pragma clang loop unroll(full)
    for (int k = 0; k < K; ++k) {
      rows[k] = T::load_x(in[k], lanes);
      in[k] += step[k];
    }
    return T::pack(rows);
  }

  // P outputs, the first column of which is x; of checked ones, those from a.last on are outside.
  template <int P, bool kChecked>
  EDGEORT_INLINE void group(i64 x, char*& out) {
    constexpr int kColumns = (P - 1) * S + K;
    Column columns[kColumns];
#pragma clang loop unroll(full)
    for (int i = 0; i < kColumns; ++i) columns[i] = i < kCarry ? carry[i] : column(kChecked && x + i >= a.last);
    typename T::Sum sum[P][T::kSums];
#pragma clang loop unroll(full)
    for (int p = 0; p < P; ++p) {
      finish.begin(sum[p]);
      T::add(sum[p], columns + p * S, weights);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < kCarry; ++i) carry[i] = columns[P * S + i];
#pragma clang loop unroll(full)
    for (int p = 0; p < P; ++p) {
      finish.save(sum[p], out, c);
      out += a.out_pixel;
    }
  }

  template <int P>
  EDGEORT_INLINE void line(i64 y) {
    char* out = static_cast<char*>(a.out) + y * a.out_line;
    for (int k = 0; k < K; ++k) {
      const q8* row = a.rows[y * K + k];
      in[k] = (row ? row : a.padding) + c;
      step[k] = row ? a.in_pixel : 0;
    }
    for (int i = 0; i < kCarry; ++i) carry[i] = column(i < a.first || i >= a.last);
    i64 x = 0;
    for (; x + P <= a.pixels && (x + P - 1) * S + K <= a.last; x += P) group<P, false>(x * S, out);
    for (; x < a.pixels; ++x) group<1, true>(x * S, out);
  }
};

template <int N, int K, int S, int P>
void block_of(const QDepthwiseArgs& a, i64 c, int lanes) {
  Block<N, K, S> block(a, c, lanes);
  for (i64 y = 0; y < a.lines; ++y) block.template line<P>(y);
}

template <int K, int S, int P>
void lines(const QDepthwiseArgs& a) {
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
      T::add(sum, &column, weights);
    }
    finish.save<true>(sum, a.out, c);
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
