// Interpolation for one ISA level.
#include "resize.h"

#include "../../simd/vec.h"

namespace edgeort {
namespace {

// kTaps: their number where it is known, else 0.
template <int kTaps>
EDGEORT_INLINE void interpolate_taps(const Interpolation& p) {
  const i64 taps = kTaps ? kTaps : p.taps;
  for (i64 j = 0; j < p.outputs; ++j) {
    const i64* index = p.index + j * taps;
    const f32* weight = p.weight + j * taps;
    f32* out = p.out + j * p.inner;
    i64 i = 0;
    for (; i + kLanes <= p.inner; i += kLanes) {
      vf sum = splat(0.0f);
      for (i64 t = 0; t < taps; ++t) sum = fma(splat(weight[t]), load(p.x + index[t] * p.inner + i), sum);
      store(out + i, sum);
    }
    if (i == p.inner) continue;
    const int rest = static_cast<int>(p.inner - i);
    vf sum = splat(0.0f);
    for (i64 t = 0; t < taps; ++t) sum = fma(splat(weight[t]), load_n(p.x + index[t] * p.inner + i, rest), sum);
    store_n(out + i, sum, rest);
  }
}

void interpolate(const Interpolation& p) {
  if (p.inner == 1) {
    for (i64 j = 0; j < p.outputs; ++j) {
      f32 sum = 0.0f;
      for (i64 t = j * p.taps; t < (j + 1) * p.taps; ++t) sum = fma(p.weight[t], p.x[p.index[t]], sum);
      p.out[j] = sum;
    }
  } else if (p.taps == 2) {
    interpolate_taps<2>(p);
  } else {
    interpolate_taps<0>(p);
  }
}

}  // namespace

EDGEORT_KERNEL(InterpolateFn, resize_interpolate, interpolate)

}  // namespace edgeort
