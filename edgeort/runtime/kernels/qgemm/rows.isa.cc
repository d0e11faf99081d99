#include "rows.h"

#include "../../simd/bytes.h"
#include "../../simd/lanes16.h"

namespace edgeort {
namespace {

// f(i, n) over [0, total) in steps of kLanes; the last has n < kLanes.
template <class F>
EDGEORT_INLINE void steps(i64 total, const F& f) {
  for (i64 i = 0; i < total; i += kLanes) f(i, total - i < kLanes ? static_cast<int>(total - i) : kLanes);
}

EDGEORT_INLINE vf load_some(const f32* p, int n) { return n == kLanes ? load(p) : load_n(p, n); }

struct Least {
  template <class T>
  EDGEORT_INLINE T operator()(T a, T b) const {
    return vmin<T>(a, b);
  }
};
struct Most {
  template <class T>
  EDGEORT_INLINE T operator()(T a, T b) const {
    return vmax<T>(a, b);
  }
};

void widen(const f32* x, i64 n, f32* least, f32* most) {
  vf low = splat(*least), high = splat(*most);
  steps(n, [&](i64 i, int m) {
    const vf v = load_some(x + i, m);
    low = vmin(low, v);  // a NaN is passed over
    high = vmax(high, v);
  });
  *least = tree(low, Least{});
  *most = tree(high, Most{});
}

f32 scale_of(f32 least, f32 most) {
  constexpr f32 kLeastScale = 0x1p-126f;
  const f32 step = (most - least) / 255.0f;
  return step > kLeastScale ? step : kLeastScale;
}

RowScale quantise_within(const f32* x, i64 n, f32 least, f32 most, i32 shift, q8* to) {
  const f32 scale = scale_of(least, most), place = -least / scale;
  const i32 zero = place > 0 ? static_cast<i32>(round_even(place)) : 0;
  const Quantizer quantizer(1.0f, zero - 128);
  byte_steps(n, [&](i64 i, int m) __attribute__((always_inline)) {
    vf v[kByteVectors] = {};
    __builtin_memcpy(v, x + i, static_cast<size_t>(m) * sizeof(f32));
    for (vf& each : v) each = each / scale;
    store_step(to + i, quantizer(v), m);
  });
  const i32 stored = zero - 128 + kQ8Bias;
  i32 sum = 0;
  for (i64 i = 0; shift && i < n; ++i) sum += to[i];
  return {stored, shift * (sum - static_cast<i32>(n) * stored), scale};
}

RowScale quantise(const f32* x, i64 n, q8* to) {
  f32 least = 0, most = 0;
  widen(x, n, &least, &most);
  const f32 scale = scale_of(least, most), inverse = 1.0f / scale;
  const f32 place = -least * inverse;
  const i32 zero = place > 0 ? static_cast<i32>(round_even(place)) : 0;  // of a row with -inf it is NaN
  // Canonical bytes are 128 less than those of 0..255.
  quantize_all(to, x, n, Quantizer(inverse, zero - 128));
  return {zero - 128 + kQ8Bias, 0, scale};
}

}  // namespace

EDGEORT_KERNEL(RowKernels, qgemm_rows, {quantise, widen, quantise_within})

}  // namespace edgeort
