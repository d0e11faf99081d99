// Lines of kernels of any size, stride and dilation whose outputs read one channel, or the few of a group, for one ISA level.
#include "../../simd/vec.h"
#include "depthwise.h"
#include "finish.h"

namespace edgeort {
namespace {

// Sums side by side, so that no multiply-add waits for the one before. With groups each needs its input in a register, too.
#if defined(__arm__) && __ARM_ARCH_PROFILE == 'M'  // four channels are four registers
constexpr int kPixels = 2, kGroupedPixels = 2;
#elif defined(__AVX512F__) || defined(__aarch64__)
constexpr int kPixels = 8, kGroupedPixels = 8;
#else
constexpr int kPixels = 8, kGroupedPixels = 4;
#endif

// AVX-512 masks the lanes that are too many, which costs nothing.
#if defined(__AVX512F__)
constexpr bool kMasks = true;
#else
constexpr bool kMasks = false;
#endif

// A vector of `lanes` channels, all of them where the vector is whole.
template <bool kWhole>
EDGEORT_INLINE vf take(const f32* p, int lanes) {
  return kWhole ? load(p) : load_n(p, lanes);
}

template <class T, T... I>
struct Sequence {};
using Lanes = __make_integer_seq<Sequence, int, kLanes>;

// Channel J of its group of G in each lane.
template <int G, int J, int... I>
EDGEORT_INLINE vf spread(vf x, Sequence<int, I...>) {
  return __builtin_shufflevector(x, x, (I / G * G + J)...);
}

// Adds channel J of the groups, and the next ones. `x`: their vectors where a vector holds whole groups, else `in` is read, which
// points to the first channel of the group that the vector is part of.
template <int P, bool kWhole, int G, int J>
EDGEORT_INLINE void add_group(const vf (&x)[P], const f32* const (&in)[P], const bool (&inside)[P], const f32* weights, i64 channels,
                              int lanes, vf (&sum)[P]) {
  if constexpr (J < G) {
    const vf tap = take<kWhole>(weights, lanes);
#pragma clang loop unroll(full)
    for (int p = 0; p < P; ++p) {
      if (!inside[p]) continue;
      if constexpr (G == 1) {
        sum[p] = fma(x[p], tap, sum[p]);
      } else if constexpr (G <= kLanes) {
        sum[p] = fma(spread<G, J>(x[p], Lanes{}), tap, sum[p]);
      } else {
        sum[p] = fma(splat(in[p][J]), tap, sum[p]);
      }
    }
    add_group<P, kWhole, G, J + 1>(x, in, inside, weights + channels, channels, lanes, sum);
  }
}

// P sums from output x on of the channels at c, in groups of G. kInside: all their taps are inside the line.
template <int P, bool kWhole, bool kInside, int G>
EDGEORT_INLINE void add_taps(const DepthwiseLine& a, i64 x, i64 c, int lanes, vf (&sum)[P]) {
  const i64 step = a.stride * a.channels, first = G <= kLanes ? c : c / G * G;
  for (i64 r = 0; r < a.row_count; ++r) {
    if (!a.rows[r]) continue;
    const f32* weights = a.weights + r * a.columns * G * a.channels + c;
    i64 column = x * a.stride - a.pad;
    for (i64 k = 0; k < a.columns; ++k, column += a.dilation, weights += G * a.channels) {
      vf values[P];
      const f32* in[P];
      bool inside[P];
#pragma clang loop unroll(full)
      for (int p = 0; p < P; ++p) {
        const i64 at = column + p * a.stride;
        inside[p] = kInside || (at >= 0 && at < a.width);
        if (!inside[p]) continue;
        in[p] = a.rows[r] + first + column * a.channels + p * step;
        if (G <= kLanes) values[p] = take<kWhole>(in[p], lanes);
      }
      add_group<P, kWhole, G, 0>(values, in, inside, weights, a.channels, lanes, sum);
    }
  }
}

// Of P outputs from x on, those that are in the line.
template <int P, bool kWhole, int G>
EDGEORT_INLINE void group(const DepthwiseLine& a, i64 x, i64 c, int lanes, const Finish& finish) {
  vf sum[P];
#pragma clang loop unroll(full)
  for (int p = 0; p < P; ++p) sum[p] = splat(0.0f);
  const i64 first = x * a.stride - a.pad, last = first + (P - 1) * a.stride + (a.columns - 1) * a.dilation;
  if (first >= 0 && last < a.width) {
    add_taps<P, kWhole, true, G>(a, x, c, lanes, sum);
  } else {
    add_taps<P, kWhole, false, G>(a, x, c, lanes, sum);
  }
  finish(sum, take<kWhole>(a.bias + c, lanes));
  f32* out = a.out + x * a.channels + c;
#pragma clang loop unroll(full)
  for (int p = 0; p < P; ++p) {
    if (x + p >= a.pixels) return;
    if (kWhole) {
      store(out + p * a.channels, sum[p]);
    } else {
      store_n(out + p * a.channels, sum[p], lanes);
    }
  }
}

template <bool kWhole, int G>
EDGEORT_INLINE void vector(const DepthwiseLine& a, i64 c, int lanes) {
  constexpr int P = G == 1 ? kPixels : kGroupedPixels;
  const Finish finish = {splat(a.lo), splat(a.hi), a.swish};
  for (i64 x = 0; x < a.pixels; x += P) {
    if (a.pixels - x > 1) {
      group<P, kWhole, G>(a, x, c, lanes, finish);
    } else {
      group<1, kWhole, G>(a, x, c, lanes, finish);
    }
  }
}

template <int G>
void line(const DepthwiseLine& line) {
  const DepthwiseLine a = line;
  for (i64 c = 0; c < a.channels; c += kLanes) {
    const i64 left = a.channels - c;
    if (kMasks || a.channels < kLanes) {
      vector<false, G>(a, c, left < kLanes ? static_cast<int>(left) : kLanes);
    } else {
      vector<true, G>(a, left < kLanes ? a.channels - kLanes : c, kLanes);  // the last one overlaps the one before
    }
  }
}

}  // namespace

EDGEORT_KERNEL(DepthwiseAnyFn, depthwise_any, line<1>)
EDGEORT_KERNEL(GroupedKernels, grouped, {line<2>, line<4>, line<8>})

}  // namespace edgeort
