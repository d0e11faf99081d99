// The transforms of Winograd convolution for one ISA level: every step is one IEEE operation, so that all levels agree.
#include "winograd.h"

#include "../../simd/vec.h"

namespace edgeort {
namespace {

constexpr int kIn = kWinogradIn, kOut = kWinogradOut;

EDGEORT_INLINE void input_1d(const vf (&d)[kIn], vf (&t)[kIn]) {
  const vf a = fma(splat(-4.0f), d[2], d[4]), b = fma(splat(-4.0f), d[1], d[3]), c = d[4] - d[2], e = d[3] - d[1];
  t[0] = fma(splat(4.0f), d[0], fma(splat(-5.0f), d[2], d[4]));
  t[1] = a + b;
  t[2] = a - b;
  t[3] = fma(splat(2.0f), e, c);
  t[4] = fma(splat(-2.0f), e, c);
  t[5] = fma(splat(4.0f), d[1], fma(splat(-5.0f), d[3], d[5]));
}

EDGEORT_INLINE void output_1d(const vf (&m)[kIn], vf (&y)[kOut]) {
  const vf s12 = m[1] + m[2], d12 = m[1] - m[2], s34 = m[3] + m[4], d34 = m[3] - m[4];
  y[0] = (m[0] + s12) + s34;
  y[1] = fma(splat(2.0f), d34, d12);
  y[2] = fma(splat(4.0f), s34, s12);
  y[3] = fma(splat(8.0f), d34, d12) + m[5];
}

// Columns first, then rows.
template <class Load, class Store>
EDGEORT_INLINE void input_at(const Load& load_pixel, const Store& store_position) {
  vf columns[kIn][kIn];  // [x][position along y]
#pragma clang loop unroll(full)
  for (int x = 0; x < kIn; ++x) {
    vf d[kIn];
#pragma clang loop unroll(full)
    for (int y = 0; y < kIn; ++y) d[y] = load_pixel(y * kIn + x);
    input_1d(d, columns[x]);
  }
#pragma clang loop unroll(full)
  for (int y = 0; y < kIn; ++y) {
    vf d[kIn], t[kIn];
#pragma clang loop unroll(full)
    for (int x = 0; x < kIn; ++x) d[x] = columns[x][y];
    input_1d(d, t);
#pragma clang loop unroll(full)
    for (int x = 0; x < kIn; ++x) store_position(y * kIn + x, t[x]);
  }
}

void input(const f32* const* patch, i64 channels, f32* to, i64 step) {
  i64 c = 0;
  for (; c + kLanes <= channels; c += kLanes) {
    input_at([&](int i) { return load(patch[i] + c); }, [&](int i, vf v) { store(to + i * step + c, v); });
  }
  if (const int rest = static_cast<int>(channels - c)) {
    input_at([&](int i) { return load_n(patch[i] + c, rest); }, [&](int i, vf v) { store_n(to + i * step + c, v, rest); });
  }
}

template <class Load, class Store>
EDGEORT_INLINE void output_at(const Load& load_position, const Store& store_pixel) {
  vf columns[kIn][kOut];
#pragma clang loop unroll(full)
  for (int x = 0; x < kIn; ++x) {
    vf m[kIn];
#pragma clang loop unroll(full)
    for (int y = 0; y < kIn; ++y) m[y] = load_position(y * kIn + x);
    output_1d(m, columns[x]);
  }
#pragma clang loop unroll(full)
  for (int y = 0; y < kOut; ++y) {
    vf m[kIn], out[kOut];
#pragma clang loop unroll(full)
    for (int x = 0; x < kIn; ++x) m[x] = columns[x][y];
    output_1d(m, out);
#pragma clang loop unroll(full)
    for (int x = 0; x < kOut; ++x) store_pixel(y * kOut + x, out[x]);
  }
}

void output(const f32* from, i64 step, i64 channels, const f32* bias, f32 lo, f32 hi, f32* const* pixels) {
  const vf low = splat(lo), high = splat(hi);
  for (i64 c = 0; c < channels; c += kLanes) {
    const int rest = static_cast<int>(channels - c < kLanes ? channels - c : kLanes);
    const vf b = load(bias + c);  // padded to whole panels, as is `from`
    output_at([&](int i) { return load(from + i * step + c); },
              [&](int i, vf v) {
                if (!pixels[i]) return;
                v = clip(v + b, low, high);
                if (rest == kLanes) {
                  store(pixels[i] + c, v);
                } else {
                  store_n(pixels[i] + c, v, rest);
                }
              });
  }
}

}  // namespace

EDGEORT_KERNEL(WinogradKernels, winograd, {input, output})

}  // namespace edgeort
