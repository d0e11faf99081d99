// Transposed depthwise convolution for one ISA level.
#include "depthwise_transpose.h"

#include "../../simd/vec.h"
#include "finish.h"

namespace edgeort {
namespace {

constexpr int kOutputs = 8;  // sums side by side, so that no multiply-add waits for the one before

template <bool kWhole>
EDGEORT_INLINE vf take(const f32* p, int lanes) {
  return kWhole ? load(p) : load_n(p, lanes);
}

// P outputs from r on, of the channels at c. kInside: all taps of all of them are inside their lines.
template <int P, bool kWhole, bool kInside>
EDGEORT_INLINE void group(const Phase& a, i64 r, i64 c, int lanes, const Finish& finish) {
  vf sum[P];
#pragma clang loop unroll(full)
  for (int p = 0; p < P; ++p) sum[p] = splat(0.0f);
  for (i64 t = 0; t < a.count; ++t) {
    const PhaseTap& tap = a.taps[t];
    const vf weight = take<kWhole>(tap.weights + c, lanes);
    const i64 first = tap.at + r;
    const f32* x = tap.line + first * a.channels + c;
#pragma clang loop unroll(full)
    for (int p = 0; p < P; ++p) {
      if (kInside || (first + p >= 0 && first + p < a.width)) sum[p] = fma(take<kWhole>(x + p * a.channels, lanes), weight, sum[p]);
    }
  }
  finish(sum, take<kWhole>(a.bias + c, lanes));
#pragma clang loop unroll(full)
  for (int p = 0; p < P; ++p) {
    f32* to = a.out + (r + p) * a.step + c;
    if (kWhole) {
      store(to, sum[p]);
    } else {
      store_n(to, sum[p], lanes);
    }
  }
}

template <bool kWhole>
EDGEORT_INLINE void channels(const Phase& a, i64 first, i64 last, i64 c, int lanes) {
  const Finish finish = {splat(a.lo), splat(a.hi), a.swish};
  i64 r = 0;
  while (r < a.outputs) {
    if (r >= first && r + kOutputs <= last) {
      group<kOutputs, kWhole, true>(a, r, c, lanes, finish);
      r += kOutputs;
    } else {
      group<1, kWhole, false>(a, r++, c, lanes, finish);
    }
  }
}

void phase(const Phase& phase) {
  const Phase a = phase;
  i64 first = 0, last = a.outputs;  // outputs all of whose taps are inside
  for (i64 t = 0; t < a.count; ++t) {
    first = -a.taps[t].at > first ? -a.taps[t].at : first;
    last = a.width - a.taps[t].at < last ? a.width - a.taps[t].at : last;
  }
  i64 c = 0;
  for (; c + kLanes <= a.channels; c += kLanes) channels<true>(a, first, last, c, kLanes);
  if (c < a.channels) channels<false>(a, first, last, c, static_cast<int>(a.channels - c));
}

}  // namespace

EDGEORT_KERNEL(PhaseFn, depthwise_transpose, phase)

}  // namespace edgeort
