// Quantised activations, bytes in memory, as vectors of float32 and back.
#pragma once

#include "../core/q8.h"
#include "vec.h"

namespace edgeort {
namespace {

constexpr int kByteVectors = 4;  // vectors of float32 that are one vector of bytes

// kLanes bytes as numbers, which are canonical values plus kQ8Bias.
EDGEORT_INLINE vf load_bytes(const q8* p) { return __builtin_convertvector((load_as<Vec<q8, kLanes>>(p)), vf); }

// clip(round_even(x * scale) + zero_point, lo, hi), canonical, as bytes. scale comes in every lane; the limits come as
// floats less the zero point, so that one conversion rounds what they have clipped. NaN gives lo.
struct Quantizer {
  vf scale, lo, hi;
  vi offset;

  EDGEORT_INLINE Quantizer(f32 factor, i32 zero_point, i32 least = -128, i32 most = 127)
      : scale(splat(factor)),
        lo(splat(static_cast<f32>(least - zero_point))),
        hi(splat(static_cast<f32>(most - zero_point))),
        offset(splat_int(zero_point + kQ8Bias)) {}

  EDGEORT_INLINE vi operator()(vf x) const { return to_int(vmin(vmax(lo, x * scale), hi)) + offset; }
};

// The low bytes of 4 kLanes integers.
EDGEORT_INLINE void store_bytes(q8* p, const vi (&v)[kByteVectors]) {
  store(p, __builtin_convertvector((load_as<Vec<i32, kByteVectors * kLanes>>(v)), Vec<q8, kByteVectors * kLanes>));
}

// dst[i] = Quantize(x[i]) for i in [0, n).
EDGEORT_INLINE void quantize_all(q8* dst, const f32* x, i64 n, const Quantizer& quantizer) {
  constexpr int kStep = kByteVectors * kLanes;
  for (; n >= kStep; n -= kStep, dst += kStep, x += kStep) {
    vi v[kByteVectors];
#pragma clang loop unroll(full)
    for (int i = 0; i < kByteVectors; ++i) v[i] = quantizer(load(x + i * kLanes));
    store_bytes(dst, v);
  }
  for (; n > 0; n -= kLanes, dst += kLanes, x += kLanes) {
    const int rest = n < kLanes ? static_cast<int>(n) : kLanes;
    const auto bytes = __builtin_convertvector(quantizer(load_n(x, rest)), Vec<q8, kLanes>);
    __builtin_memcpy(dst, &bytes, static_cast<size_t>(rest));
  }
}

// dst[i] = (x[i] - zero_point) * scale for i in [0, n).
EDGEORT_INLINE void dequantize_all(f32* dst, const q8* x, i64 n, f32 factor, f32 zero_point) {
  const vf scale = splat(factor), zero = splat(zero_point + static_cast<f32>(kQ8Bias));
  for (; n >= kLanes; n -= kLanes, dst += kLanes, x += kLanes) store(dst, (load_bytes(x) - zero) * scale);
  if (n <= 0) return;
  q8 bytes[kLanes] = {};
  __builtin_memcpy(bytes, x, static_cast<size_t>(n));
  store_n(dst, (load_bytes(bytes) - zero) * scale, static_cast<int>(n));
}

}  // namespace
}  // namespace edgeort
