// Depthwise kernels for one ISA level.
#include "depthwise.h"

#include "../../simd/vec.h"
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

void pixel(const DepthwiseTaps& a) {
  const Finish finish = {splat(a.lo), splat(a.hi), a.swish};
  for (i64 c = 0; c < a.channels; c += kLanes) {
    const i64 left = a.channels - c;
    vf sum[1] = {splat(0.0f)};
    for (i64 t = 0; t < a.count; ++t) sum[0] = fma(load_left(a.rows[t] + c, left), load_left(a.taps[t] + c, left), sum[0]);
    finish(sum, load_left(a.bias + c, left));
    store_left(a.out + c, sum[0], left);
  }
}

// A vector at p, which moves on by `step` bytes.
EDGEORT_INLINE vf load_next(const char*& p, i64 step) {
#if defined(__aarch64__)
  vf v;
  asm("ld1 {%0.4s}, [%1], %2" : "=w"(v), "+r"(p) : "r"(step), "m"(*reinterpret_cast<const vf*>(p)));
  return v;
#else
  const vf v = load(reinterpret_cast<const f32*>(p));
  p += step;
  return v;
#endif
}
EDGEORT_INLINE void store_next(char*& p, vf v, i64 step) {
#if defined(__aarch64__)
  asm("st1 {%2.4s}, [%0], %3" : "+r"(p), "=m"(*reinterpret_cast<vf*>(p)) : "w"(v), "r"(step));
#else
  store(reinterpret_cast<f32*>(p), v);
  p += step;
#endif
}

// A vector of channels of a line.
template <int K, int S>
struct Block {
  const DepthwiseArgs& a;
  i64 c, step;  // bytes between pixels
  char* out;
  vf bias;
  Finish finish;

  EDGEORT_INLINE Block(const DepthwiseArgs& args, i64 at)
      : a(args),
        c(at),
        step(args.channels * i64{sizeof(f32)}),
        out(reinterpret_cast<char*>(args.out + at)),
        bias(load(args.bias + at)),
        finish{splat(args.lo), splat(args.hi), args.swish} {}

  EDGEORT_INLINE const char* at(const f32* p) const { return reinterpret_cast<const char*>(p + c); }

  template <int P>
  EDGEORT_INLINE void save(vf (&sum)[P]) {
    finish(sum, bias);
#pragma clang loop unroll(full)
    for (int p = 0; p < P; ++p) store_next(out, sum[p], step);
  }

  // Adds one kernel row to P outputs; column(i) is input i of them, which is tap i - p * S of output p: the taps of one
  // output come in rising order.
  template <int P, class Column>
  static EDGEORT_INLINE void add(vf (&sum)[P], const vf (&taps)[K], bool first, const Column& column) {
#pragma clang loop unroll(full)
    for (int i = 0; i < (P - 1) * S + K; ++i) {
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
    for (int k = 0; k < K; ++k) taps[k] = load_next(from, step);
  }

  // Any number of kernel rows: P outputs from x on, whose outer columns are checked where kEdge.
  template <int P, bool kEdge>
  EDGEORT_INLINE void group(i64 x) {
    vf sum[P];
#pragma clang loop unroll(full)
    for (int p = 0; p < P; ++p) sum[p] = splat(0.0f);
    const i64 from = x * S * step, first = a.first - x * S, last = a.last - x * S;
    const char* weights = at(a.weights);
    for (i64 row = 0; row < a.count; ++row) {
      vf taps[K];
      load_taps(taps, weights);
      const char* in = at(a.rows[row]) + from;
      add<P>(sum, taps, false, [&](int i) __attribute__((always_inline)) {
        const bool left = i < K / 2, right = i >= (P - 1) * S + K - K / 2;
        const bool outside = kEdge && ((left && i < first) || (right && i >= last));
        if (!outside) return load_next(in, step);
        in += step;
        return splat(0.0f);
      });
    }
    save<P>(sum);
  }

  // The last outputs, fewer than twice P.
  template <int P>
  EDGEORT_INLINE void tail(i64 x) {
    if (x + P <= a.pixels) {
      group<P, true>(x);
      x += P;
    }
    if constexpr (P > 1) tail<P / 2>(x);
  }

  template <int P>
  EDGEORT_INLINE void line() {
    i64 x = 0;
    for (; x + P <= a.pixels; x += P) {
      if (x * S >= a.first && (x + P - 1) * S + K <= a.last) {
        group<P, false>(x);
      } else {
        group<P, true>(x);
      }
    }
    tail<(P + 1) / 2>(x);
  }
};

// All kernel rows, of three taps each: the weights stay in registers for the whole line, and so do the columns that one
// group of outputs shares with the next.
template <int K, int S>
struct Full {
  Block<K, S>& b;
  vf taps[K][K], carry[K][K - S];
  const char* in[K];

  EDGEORT_INLINE explicit Full(Block<K, S>& block) : b(block) {
    const char* weights = b.at(b.a.weights);
#pragma clang loop unroll(full)
    for (int r = 0; r < K; ++r) {
      b.load_taps(taps[r], weights);
      in[r] = b.at(b.a.rows[r]);
#pragma clang loop unroll(full)
      for (int i = 0; i < K - S; ++i) carry[r][i] = column(r, i < K / 2 && i < b.a.first);
    }
  }

  EDGEORT_INLINE vf column(int r, bool outside) {
    if (!outside) return load_next(in[r], b.step);
    in[r] += b.step;
    return splat(0.0f);
  }

  // `last`: columns that are inside.
  template <int P, bool kLast>
  EDGEORT_INLINE void group(i64 last) {
    constexpr int kColumns = (P - 1) * S + K;
    vf sum[P];
#pragma clang loop unroll(full)
    for (int r = 0; r < K; ++r) {
      vf next[K - S];
      b.template add<P>(sum, taps[r], r == 0, [&](int i) __attribute__((always_inline)) {
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

  EDGEORT_INLINE void line() {
    i64 pixels = b.a.pixels;
    for (; pixels > 4; pixels -= 4) group<4, false>(0);
    if (pixels > 2) {
      group<2, false>(0);
      pixels -= 2;
    }
    const i64 last = b.a.last - (b.a.pixels - pixels) * S;
    pixels == 2 ? group<2, true>(last) : group<1, true>(last);
  }
};

// Registers for nine weights, the columns of three rows and four sums.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kFullKernel = 3;
#else
constexpr int kFullKernel = 0;
#endif

template <int K, int S, int P>
void line(const DepthwiseArgs& args) {
  const DepthwiseArgs a = args;
  for (i64 c = a.begin; c < a.end; c += kLanes) {
    // The last vector overlaps the one before rather than leaving single channels.
    Block<K, S> block(a, c + kLanes <= a.channels ? c : a.channels - kLanes);
    if constexpr (K == kFullKernel) {
      if (a.count == K) {
        Full<K, S>(block).line();
        continue;
      }
    }
    block.template line<P>();
  }
}

constexpr DepthwiseRow kRows[] = {
#define STEM(level, pixels, vectors)
#define DEPTHWISE(kernel, stride, pixels) {kernel, stride, line<kernel, stride, pixels>},
#include "kernels.inc"
#undef DEPTHWISE
#undef STEM
};

}  // namespace

EDGEORT_KERNEL(DepthwiseKernels, depthwise, {pixel, kRows, sizeof(kRows) / sizeof(kRows[0]), kLanes})

}  // namespace edgeort
