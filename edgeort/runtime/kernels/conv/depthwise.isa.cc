// Depthwise kernels for one ISA level.
#include "depthwise.h"

#include "../../simd/vec.h"

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

template <bool kTail>
EDGEORT_INLINE void pixel_at(const DepthwiseArgs& a, i64 c) {
  const i64 left = kTail ? a.channels - c : kLanes;
  vf sum = splat(0.0f);
  for (i64 t = 0; t < a.count; ++t) sum = fma(load_left(a.rows[t] + c, left), load_left(a.weights[t] + c, left), sum);
  store_left(a.out + c, clip_sum(sum + load_left(a.bias + c, left), splat(a.lo), splat(a.hi)), left);
}

void pixel(const DepthwiseArgs& a) {
  i64 c = 0;
  for (; c + kLanes <= a.channels; c += kLanes) pixel_at<false>(a, c);
  if (c < a.channels) pixel_at<true>(a, c);
}

// Outputs of kPixels neighbours from kRows kernel rows (0: as many as there are), at channels [c, c + left).
template <int kKernel, int kStride, int kPixels, int kRows>
EDGEORT_INLINE void row_at(const DepthwiseArgs& a, const f32* const* rows, const f32* const* weights, i64 c, i64 left) {
  vf sum[kPixels];
#pragma clang loop unroll(full)
  for (int p = 0; p < kPixels; ++p) sum[p] = splat(0.0f);
  const auto add = [&](i64 row) __attribute__((always_inline)) {
    vf taps[kKernel];
#pragma clang loop unroll(full)
    for (int k = 0; k < kKernel; ++k) taps[k] = load_left(weights[row] + k * a.channels + c, left);
    const f32* in = rows[row] + c;
    // Input pixel i is tap i - p * stride of output p: taps of one output come in rising order.
#pragma clang loop unroll(full)
    for (int i = 0; i < (kPixels - 1) * kStride + kKernel; ++i) {
      const vf x = load_left(in + i * a.pixel, left);
#pragma clang loop unroll(full)
      for (int p = 0; p < kPixels; ++p) {
        const int tap = i - p * kStride;
        if (tap >= 0 && tap < kKernel) sum[p] = fma(x, taps[tap], sum[p]);
      }
    }
  };
  if constexpr (kRows > 0) {
#pragma clang loop unroll(full)
    for (int row = 0; row < kRows; ++row) add(row);
  } else {
    for (i64 row = 0; row < a.count; ++row) add(row);
  }
  const vf bias = load_left(a.bias + c, left);
#pragma clang loop unroll(full)
  for (int p = 0; p < kPixels; ++p) store_left(a.out + p * a.channels + c, clip_sum(sum[p] + bias, splat(a.lo), splat(a.hi)), left);
}

// Away from the upper and lower border all kernel rows are there: their pointers stay in registers.
template <int kKernel, int kStride, int kPixels>
void row(const DepthwiseArgs& a) {
  i64 c = 0;
  if (a.count == kKernel) {
    const f32* rows[kKernel];
    const f32* weights[kKernel];
#pragma clang loop unroll(full)
    for (int i = 0; i < kKernel; ++i) {
      rows[i] = a.rows[i];
      weights[i] = a.weights[i];
    }
    const DepthwiseArgs local = a;
    for (; c + kLanes <= a.channels; c += kLanes) row_at<kKernel, kStride, kPixels, kKernel>(local, rows, weights, c, kLanes);
  }
  for (; c < a.channels; c += kLanes) row_at<kKernel, kStride, kPixels, 0>(a, a.rows, a.weights, c, a.channels - c);
}

constexpr DepthwiseRow kRows[] = {
#define DEPTHWISE(kernel, stride, pixels) {kernel, stride, pixels, row<kernel, stride, pixels>},
#include "kernels.inc"
#undef DEPTHWISE
};

}  // namespace

EDGEORT_KERNEL(DepthwiseKernels, depthwise, {pixel, kRows, sizeof(kRows) / sizeof(kRows[0])})

}  // namespace edgeort
