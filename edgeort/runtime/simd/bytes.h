// Quantised activations, bytes in memory, as vectors of float32 and back.
#pragma once

#include "narrow.h"

namespace edgeort {
namespace {

constexpr int kByteVectors = 4;  // vectors of float32 that are one vector of bytes
constexpr int kByteStep = kByteVectors * kLanes;
using Bytes = Vec<q8, kByteStep>;

// kLanes bytes as numbers, which are canonical values plus kQ8Bias.
EDGEORT_INLINE vf load_bytes(const q8* p) { return __builtin_convertvector((load_as<Vec<q8, kLanes>>(p)), vf); }

// clip(round_even(x * scale) + zero_point, -128, 127), canonical, as bytes. NaN gives the least.
struct Quantizer {
  vf scale, lo;
#if defined(__aarch64__)
  Vec<i16, 8> zero_point;

  EDGEORT_INLINE Quantizer(f32 factor, i32 zero)
      : scale(splat(factor)), lo(splat(static_cast<f32>(-128 - zero))), zero_point(Vec<i16, 8>{} + static_cast<i16>(zero)) {}

  EDGEORT_INLINE Bytes operator()(const vf (&x)[kByteVectors]) const {
    vi q[kByteVectors];
#pragma clang loop unroll(full)
    for (int i = 0; i < kByteVectors; ++i) q[i] = nearest(vmaxnmq_f32(lo, x[i] * scale));  // of a NaN, lo
    return narrow(__builtin_elementwise_add_sat(saturate(q[0], q[1]), zero_point),
                  __builtin_elementwise_add_sat(saturate(q[2], q[3]), zero_point));
  }
#else
  vf hi;  // limits as floats less the zero point, so that one conversion rounds what they have clipped
#if defined(__AVX2__)
  using Offset = Vec<i16, 2 * kLanes>;
#else
  using Offset = vi;
#endif
  Offset offset;

  EDGEORT_INLINE Quantizer(f32 factor, i32 zero)
      : scale(splat(factor)),
        lo(splat(static_cast<f32>(-128 - zero))),
        hi(splat(static_cast<f32>(127 - zero))),
        offset(Offset{} + static_cast<i16>(zero + kQ8Bias)) {}

  EDGEORT_INLINE Bytes operator()(const vf (&x)[kByteVectors]) const {
    vi q[kByteVectors];
#pragma clang loop unroll(full)
    for (int i = 0; i < kByteVectors; ++i) q[i] = to_int_small(vmin(vmax(lo, x[i] * scale), hi));
#if defined(__AVX2__)
    return bitcast<Bytes>(in_order(bitcast<vi>(narrow(saturate(q[0], q[1]) + offset, saturate(q[2], q[3]) + offset))));
#else
#pragma clang loop unroll(full)
    for (int i = 0; i < kByteVectors; ++i) q[i] += offset;
    return __builtin_convertvector((load_as<Vec<i32, kByteVectors * kLanes>>(q)), Bytes);
#endif
  }
#endif
};

// (x - zero_point) * scale of canonical bytes.
struct Dequantizer {
  vf scale;
#if defined(__aarch64__)
  int8x16_t zero_point;

  EDGEORT_INLINE Dequantizer(f32 factor, i32 zero) : scale(splat(factor)), zero_point(vdupq_n_s8(static_cast<i8>(zero))) {}

  EDGEORT_INLINE void operator()(Bytes x, vf (&y)[kByteVectors]) const {
    const int16x8_t low = vsubl_s8(vget_low_s8(x), vget_low_s8(zero_point)), high = vsubl_high_s8(x, zero_point);
    y[0] = to_float(vi(vmovl_s16(vget_low_s16(low)))) * scale;
    y[1] = to_float(vi(vmovl_high_s16(low))) * scale;
    y[2] = to_float(vi(vmovl_s16(vget_low_s16(high)))) * scale;
    y[3] = to_float(vi(vmovl_high_s16(high))) * scale;
  }
#else
  vf zero_point;

  EDGEORT_INLINE Dequantizer(f32 factor, i32 zero) : scale(splat(factor)), zero_point(splat(static_cast<f32>(zero + kQ8Bias))) {}

  EDGEORT_INLINE void operator()(Bytes x, vf (&y)[kByteVectors]) const {
#pragma clang loop unroll(full)
    for (int i = 0; i < kByteVectors; ++i) y[i] = (load_bytes(reinterpret_cast<const q8*>(&x) + i * kLanes) - zero_point) * scale;
  }
#endif
};

// f(i, n) over [0, total) in steps of n = kByteStep; the last may be smaller. Apart, for what it calls has no business in the loop.
template <class F>
EDGEORT_INLINE void byte_steps(i64 total, const F& f) {
  i64 i = 0;
  for (; i <= total - kByteStep; i += kByteStep) f(i, kByteStep);
  if (i < total) f(i, static_cast<int>(total - i));
}

// The first n of a step.
EDGEORT_INLINE Bytes load_step(const q8* p, int n) {
  Bytes x = {};
  __builtin_memcpy(&x, p, static_cast<size_t>(n));
  return x;
}
EDGEORT_INLINE void store_step(q8* p, Bytes x, int n) { __builtin_memcpy(p, &x, static_cast<size_t>(n)); }

// dst[i] = Quantize(x[i]) for i in [0, n).
EDGEORT_INLINE void quantize_all(q8* dst, const f32* x, i64 n, const Quantizer& quantizer) {
  byte_steps(n, [&](i64 i, int m) __attribute__((always_inline)) {
    vf v[kByteVectors] = {};
    __builtin_memcpy(v, x + i, static_cast<size_t>(m) * sizeof(f32));
    store_step(dst + i, quantizer(v), m);
  });
}

// dst[i] = Dequantize(x[i]) for i in [0, n).
EDGEORT_INLINE void dequantize_all(f32* dst, const q8* x, i64 n, const Dequantizer& dequantizer) {
  byte_steps(n, [&](i64 i, int m) __attribute__((always_inline)) {
    vf v[kByteVectors];
    dequantizer(load_step(x + i, m), v);
    __builtin_memcpy(dst + i, v, static_cast<size_t>(m) * sizeof(f32));
  });
}

}  // namespace
}  // namespace edgeort
