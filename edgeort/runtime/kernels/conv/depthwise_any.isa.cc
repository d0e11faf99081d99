// Depthwise lines with kernels of any size, stride and dilation, for one ISA level.
#include "../../simd/vec.h"
#include "depthwise.h"
#include "finish.h"

namespace edgeort {
namespace {

constexpr int kPixels = 8;  // sums side by side, so that no multiply-add waits for the one before

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

// P sums from output x on of the channels at c. kInside: all their taps are inside the line.
template <int P, bool kWhole, bool kInside>
EDGEORT_INLINE void add_taps(const DepthwiseLine& a, i64 x, i64 c, int lanes, vf (&sum)[P]) {
  const i64 step = a.stride * a.channels;
  for (i64 r = 0; r < a.row_count; ++r) {
    if (!a.rows[r]) continue;
    const f32* in = a.rows[r] + c;
    const f32* weights = a.weights + r * a.columns * a.channels + c;
    i64 column = x * a.stride - a.pad;
    for (i64 k = 0; k < a.columns; ++k, column += a.dilation, weights += a.channels) {
      const vf tap = take<kWhole>(weights, lanes);
#pragma clang loop unroll(full)
      for (int p = 0; p < P; ++p) {
        const i64 at = column + p * a.stride;
        if (kInside || (at >= 0 && at < a.width)) sum[p] = fma(take<kWhole>(in + column * a.channels + p * step, lanes), tap, sum[p]);
      }
    }
  }
}

// Of P outputs from x on, those that are in the line.
template <int P, bool kWhole>
EDGEORT_INLINE void group(const DepthwiseLine& a, i64 x, i64 c, int lanes, const Finish& finish) {
  vf sum[P];
#pragma clang loop unroll(full)
  for (int p = 0; p < P; ++p) sum[p] = splat(0.0f);
  const i64 first = x * a.stride - a.pad, last = first + (P - 1) * a.stride + (a.columns - 1) * a.dilation;
  if (first >= 0 && last < a.width) {
    add_taps<P, kWhole, true>(a, x, c, lanes, sum);
  } else {
    add_taps<P, kWhole, false>(a, x, c, lanes, sum);
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

template <bool kWhole>
EDGEORT_INLINE void vector(const DepthwiseLine& a, i64 c, int lanes) {
  const Finish finish = {splat(a.lo), splat(a.hi), a.swish};
  for (i64 x = 0; x < a.pixels; x += kPixels) {
    if (a.pixels - x > 1) {
      group<kPixels, kWhole>(a, x, c, lanes, finish);
    } else {
      group<1, kWhole>(a, x, c, lanes, finish);
    }
  }
}

void line(const DepthwiseLine& line) {
  const DepthwiseLine a = line;
  for (i64 c = 0; c < a.channels; c += kLanes) {
    const i64 left = a.channels - c;
    if (kMasks || a.channels < kLanes) {
      vector<false>(a, c, left < kLanes ? static_cast<int>(left) : kLanes);
    } else {
      vector<true>(a, left < kLanes ? a.channels - kLanes : c, kLanes);  // the last one overlaps the one before
    }
  }
}

}  // namespace

EDGEORT_KERNEL(DepthwiseAnyFn, depthwise_any, line)

}  // namespace edgeort
