// Depthwise kernels for one ISA level.
#include "depthwise.h"

#include "../../simd/several.h"
#include "finish.h"

namespace edgeort {
namespace {

// `left` channels of a vector: all of them, or a tail.
EDGEORT_INLINE vf load_left(const f32* p, i64 left) { return left >= kLanes ? load(p) : load_n(p, static_cast<int>(left)); }
EDGEORT_INLINE void store_left(f32* p, vf v, i64 left) {
  if (left >= kLanes) {
    store(p, v);
  } else {
    store_n(p, v, static_cast<int>(left));
  }
}

void copy(const f32* from, i64 step, i64 pixels, i64 channels, f32* to) {
  constexpr i64 kAtOnce = 16;  // channels: a cache line
  i64 c = 0;
  for (; c + kAtOnce <= channels; c += kAtOnce) {
    for (i64 i = 0; i < pixels; ++i) {
      vf v[kAtOnce / kLanes];
      load_all<kAtOnce / kLanes>(from + i * step + c, v);
#if defined(__aarch64__)
      vst1q_f32_x4(to + i * channels + c, (float32x4x4_t{{v[0], v[1], v[2], v[3]}}));
#else
      for (i64 k = 0; k < kAtOnce; k += kLanes) store(to + i * channels + c + k, v[k / kLanes]);
#endif
    }
  }
  for (; c < channels; c += kLanes) {
    for (i64 i = 0; i < pixels; ++i) store_left(to + i * channels + c, load_left(from + i * step + c, channels - c), channels - c);
  }
}

// The fewest channels that lines may have. AVX-512 masks the lanes that are too many, which costs nothing.
#if defined(__AVX512F__)
constexpr i64 kFewest = 1;
#else
constexpr i64 kFewest = kLanes;
#endif

// A vector at p, which moves on by `step` bytes; `lanes` of it where fewer are possible.
EDGEORT_INLINE vf load_next(const char*& p, i64 step, [[maybe_unused]] int lanes) {
#if defined(__aarch64__)
  vf v;
  asm("ld1 {%0.4s}, [%1], %2" : "=w"(v), "+r"(p) : "r"(step), "m"(*reinterpret_cast<const vf*>(p)));
  return v;
#else
  const auto* from = reinterpret_cast<const f32*>(p);
  p += step;
  return kFewest < kLanes ? load_n(from, lanes) : load(from);
#endif
}
EDGEORT_INLINE void store_next(char*& p, vf v, i64 step, [[maybe_unused]] int lanes) {
#if defined(__aarch64__)
  asm("st1 {%2.4s}, [%0], %3" : "+r"(p), "=m"(*reinterpret_cast<vf*>(p)) : "w"(v), "r"(step));
#else
  auto* to = reinterpret_cast<f32*>(p);
  p += step;
  kFewest < kLanes ? store_n(to, v, lanes) : store(to, v);
#endif
}

constexpr f32 kZeros[kLanes] = {};

// A vector of channels of one line after the other.
template <int K, int S>
struct Block {
  const DepthwiseArgs& a;
  char* out;
  vf bias;
  Finish finish;
  i64 c, in_step, step;  // bytes between pixels
  int lanes;

  EDGEORT_INLINE Block(const DepthwiseArgs& args, i64 at)
      : a(args),
        out(nullptr),
        bias(load(args.bias + at)),
        finish{splat(args.lo), splat(args.hi), args.swish},
        c(at),
        in_step(args.in_pixel * i64{sizeof(f32)}),
        step(args.pixel * i64{sizeof(f32)}),
        lanes(args.channels - at < kLanes ? static_cast<int>(args.channels - at) : kLanes) {}

  EDGEORT_INLINE const char* at(const f32* p) const { return reinterpret_cast<const char*>(p + c); }
  EDGEORT_INLINE void begin(i64 line) { out = reinterpret_cast<char*>(a.out + line * a.out_line + c); }

  template <int P>
  EDGEORT_INLINE void save(vf (&sum)[P]) {
    finish(sum, bias);
#pragma clang loop unroll(full)
    for (int p = 0; p < P; ++p) store_next(out, sum[p], step, lanes);
  }

  // Adds one kernel row to P outputs; column(i) is input i of them, which is tap i - p * S of output p: the taps of one
  // output come in rising order. The columns before kLeft and from kEnd on are zeros, and left out.
  template <int P, int kLeft, int kEnd, class Column>
  static EDGEORT_INLINE void add(vf (&sum)[P], const vf (&taps)[K], bool first, const Column& column) {
#pragma clang loop unroll(full)
    for (int i = kLeft; i < kEnd; ++i) {
      const vf x = column(i);
#pragma clang loop unroll(full)
      for (int p = 0; p < P; ++p) {
        const int tap = i - p * S;
        // fma(x, w, +0) but for the sign of a zero, which the bias sets right.
        if (tap >= 0 && tap < K) sum[p] = first && tap == 0 ? x * taps[tap] : fma(x, taps[tap], sum[p]);
      }
    }
  }

  EDGEORT_INLINE void load_taps(vf (&taps)[K], const char*& from) const {
#pragma clang loop unroll(full)
    for (int k = 0; k < K; ++k) taps[k] = load_next(from, step, lanes);
  }
};

// Line by line from each kernel row in turn, its weights read for each group of outputs.
template <int K, int S>
struct ByRows {
  Block<K, S> b;
  const f32* const* rows;  // of the line

  EDGEORT_INLINE ByRows(const DepthwiseArgs& a, i64 c) : b(a, c), rows(nullptr) {}

  // P outputs from x on. kLeft and kRight of their columns are outside the image; kChecked: as many as there are.
  template <int P, int kLeft, int kRight, bool kChecked>
  EDGEORT_INLINE void group(i64 x) {
    constexpr int kColumns = (P - 1) * S + K;
    vf sum[P];
#pragma clang loop unroll(full)
    for (int p = 0; p < P; ++p) sum[p] = splat(0.0f);
    const i64 from = (x * S + kLeft) * b.in_step, first = b.a.first - x * S, last = b.a.last - x * S;
    const char* weights = b.at(b.a.weights);
    for (int r = 0; r < K; ++r) {
      if (!rows[r]) {
        weights += K * b.step;
        continue;
      }
      vf taps[K];
      b.load_taps(taps, weights);
      const char* in = b.at(rows[r]) + from;
      b.template add<P, kLeft, kColumns - kRight>(sum, taps, false, [&](int i) __attribute__((always_inline)) {
        const bool outside = kChecked && ((i < K / 2 && i < first) || (i >= kColumns - K / 2 && i >= last));
        if (!outside) return load_next(in, b.in_step, b.lanes);
        in += b.in_step;
        return splat(0.0f);
      });
    }
    b.template save<P>(sum);
  }

  template <int P>
  EDGEORT_INLINE void line(i64 y) {
    constexpr int kLeft = K / 2, kRight = S == 1 ? K / 2 : K / 2 - 1;  // of even images with pads of half a kernel
    b.begin(y);
    rows = b.a.rows + y * K;
    for (i64 x = 0; x < b.a.pixels;) {
      const i64 room = b.a.pixels - x, left = b.a.first - x * S, right = (x + P - 1) * S + K - b.a.last;
      if (room >= P && (left <= 0 || left == kLeft) && (right <= 0 || right == kRight)) {
        if (right <= 0) {
          left <= 0 ? group<P, 0, 0, false>(x) : group<P, kLeft, 0, false>(x);
        } else {
          left <= 0 ? group<P, 0, kRight, false>(x) : group<P, kLeft, kRight, false>(x);
        }
        x += P;
      } else if (room >= 4) {
        group<4, 0, 0, true>(x);
        x += 4;
      } else if (room >= 2) {
        group<2, 0, 0, true>(x);
        x += 2;
      } else {
        group<1, 0, 0, true>(x++);
      }
    }
  }
};

// Kernels of three rows: the weights stay in registers for all lines, and the columns that one group of outputs shares with
// the next for the line.
template <int K, int S>
struct InRegisters {
  Block<K, S> b;
  const char* in[K];  // apart from the steps: clang keeps neighbours of a struct in the halves of a vector
  vf taps[K][K], carry[K][K - S];
  i64 step[K];  // of each row: 0 where it is all zeros

  EDGEORT_INLINE InRegisters(const DepthwiseArgs& a, i64 c) : b(a, c) {
    const char* weights = b.at(a.weights);
#pragma clang loop unroll(full)
    for (int r = 0; r < K; ++r) b.load_taps(taps[r], weights);
  }

  EDGEORT_INLINE vf column(int r, bool outside) {
    if (!outside) return load_next(in[r], step[r], b.lanes);
    in[r] += step[r];
    return splat(0.0f);
  }

  // kLast: the end of the line, of which `last` columns are inside.
  template <int P, bool kLast>
  EDGEORT_INLINE void group(i64 last) {
    constexpr int kColumns = (P - 1) * S + K;
    vf sum[P];
#pragma clang loop unroll(full)
    for (int r = 0; r < K; ++r) {
      vf next[K - S];
      b.template add<P, 0, kColumns>(sum, taps[r], r == 0, [&](int i) __attribute__((always_inline)) {
        if (i < K - S) return carry[r][i];
        const vf v = column(r, kLast && i >= kColumns - K / 2 && i >= last);
        if (i >= P * S) next[i - P * S] = v;
        return v;
      });
#pragma clang loop unroll(full)
      for (int i = 0; i < K - S; ++i) carry[r][i] = next[i];
    }
    b.template save<P>(sum);
  }

  template <int P>
  EDGEORT_INLINE void tail(i64 pixels, i64 last) {
    if constexpr (P > 1) {
      if (pixels < P) return tail<P - 1>(pixels, last);
    }
    group<P, true>(last);
  }

  template <int P>
  EDGEORT_INLINE void line(i64 y) {
    b.begin(y);
#pragma clang loop unroll(full)
    for (int r = 0; r < K; ++r) {
      const f32* row = b.a.rows[y * K + r];
      in[r] = row ? b.at(row) : reinterpret_cast<const char*>(kZeros);
      step[r] = b.in_step & -i64{row != nullptr};
#pragma clang loop unroll(full)
      for (int i = 0; i < K - S; ++i) carry[r][i] = column(r, i < K / 2 && i < b.a.first);
    }
    i64 pixels = b.a.pixels;
    for (; pixels > P; pixels -= P) group<P, false>(0);
    tail<P>(pixels, b.a.last - (b.a.pixels - pixels) * S);
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

// Nine weights, the columns of three rows and four sums want more than 16 registers.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kInRegisters = 3;
#else
constexpr int kInRegisters = 0;
#endif

template <int K, int S, int P>
void lines(const DepthwiseArgs& args) {
  const DepthwiseArgs a = args;
  for (i64 c = 0; c < a.channels; c += kLanes) {
    // The last vector overlaps the one before where it cannot be a part.
    const i64 at = c + kFewest <= a.channels ? c : a.channels - kLanes;
    typename Either<K == kInRegisters, InRegisters<K, S>, ByRows<K, S>>::type block(a, at);
    for (i64 y = 0; y < a.lines; ++y) block.template line<P>(y);
  }
}

constexpr DepthwiseRow kRows[] = {
#define STEM(level, pixels, vectors)
#define DEPTHWISE(kernel, stride, pixels) {kernel, stride, lines<kernel, stride, pixels>},
#include "kernels.inc"
#undef DEPTHWISE
#undef STEM
};

}  // namespace

EDGEORT_KERNEL(DepthwiseKernels, depthwise, {copy, kRows, sizeof(kRows) / sizeof(kRows[0]), kFewest})

}  // namespace edgeort
