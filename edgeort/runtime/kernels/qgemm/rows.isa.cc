#include "rows.h"

#include "../../simd/bytes.h"

namespace edgeort {
namespace {

// f(i, n) over [0, total) in steps of kLanes; the last has n < kLanes.
template <class F>
EDGEORT_INLINE void steps(i64 total, const F& f) {
  for (i64 i = 0; i < total; i += kLanes) f(i, total - i < kLanes ? static_cast<int>(total - i) : kLanes);
}

EDGEORT_INLINE vf load_some(const f32* p, int n) { return n == kLanes ? load(p) : load_n(p, n); }

RowScale quantise(const f32* x, i64 n, q8* to) {
  vf low = {}, high = {};
  steps(n, [&](i64 i, int m) {
    const vf v = load_some(x + i, m);
    low = vmin(v, low);
    high = vmax(v, high);
  });
  f32 least = 0, most = 0;
  for (int i = 0; i < kLanes; ++i) {
    least = low[i] < least ? low[i] : least;
    most = high[i] > most ? high[i] : most;
  }
  constexpr f32 kLeastScale = 0x1p-126f;
  const f32 step = (most - least) / 255.0f, scale = step > kLeastScale ? step : kLeastScale, inverse = 1.0f / scale;
  const f32 place = -least * inverse;
  const i32 zero = place > 0 ? static_cast<i32>(round_even(place)) : 0;  // of a row with -inf it is NaN
  // Canonical bytes are 128 less than those of 0..255.
  quantize_all(to, x, n, Quantizer(inverse, zero - 128));
  return {zero - 128 + kQ8Bias, scale};
}

void restore(const i32* acc, const RowScale& row, const i32* sums, const f32* scale, i64 n, f32* y) {
  const vi zero = splat_int(row.zero);
  const vf step = splat(row.scale);
  steps(n, [&](i64 i, int m) {
    // Packed sums and scales are whole panels; those of the accumulators may end here.
    const vi a = bitcast<vi>(load_some(reinterpret_cast<const f32*>(acc + i), m));
    const vf v = (to_float(a - zero * load(sums + i)) * load(scale + i)) * step;
    m == kLanes ? store(y + i, v) : store_n(y + i, v, m);
  });
}

}  // namespace

EDGEORT_KERNEL(RowKernels, qgemm_rows, {quantise, restore})

}  // namespace edgeort
