// float16 as float32, which is exact, and back, to nearest, ties to even.
#pragma once

#include "types.h"

namespace edgeort {
namespace {

template <int N>
EDGEORT_INLINE Vec<float, N> load_halves(const uint16_t* p) {
#if defined(__F16C__) || defined(__aarch64__)
  return __builtin_convertvector((load_as<Vec<_Float16, N>>(p)), Vec<float, N>);
#else
  const auto bits = __builtin_convertvector((load_as<Vec<uint16_t, N>>(p)), Vec<uint32_t, N>);
  const auto sign = (bits & 0x8000) << 16, rest = (bits & 0x7fff) << 13;
  // The exponent is rebased by a product, which also makes denormals normal; infinity and NaN are put back.
  const auto magnitude = bitcast<Vec<uint32_t, N>>(bitcast<Vec<float, N>>(rest) * 0x1p112f);
  const auto special = bitcast<Vec<uint32_t, N>>(rest >= 0x0f800000) & 0x7f800000;
  return bitcast<Vec<float, N>>(sign | magnitude | special);
#endif
}

template <int N>
EDGEORT_INLINE void store_halves(uint16_t* p, Vec<float, N> x) {
#if defined(__F16C__) || defined(__aarch64__)
  store(p, __builtin_convertvector(x, Vec<_Float16, N>));
#else
  using U = Vec<uint32_t, N>;
  const U bits = bitcast<U>(x), sign = bits >> 16 & 0x8000, a = bits & 0x7fffffff;
  const U normal = (a - 0x38000000 + 0xfff + (a >> 13 & 1)) >> 13;
  // Of a denormal: adding 0.5 leaves the value's multiples of 2^-24 in the low bits.
  const U small = bitcast<U>(bitcast<Vec<float, N>>(a) + 0.5f) - 0x3f000000;
  const U huge = select(a > 0x7f800000, U{} + 0x7e00, U{} + 0x7c00);
  const U r = sign | select(a >= 0x47800000, huge, select(a < 0x38800000, small, normal));
  store(p, __builtin_convertvector(r, Vec<uint16_t, N>));
#endif
}

}  // namespace
}  // namespace edgeort
