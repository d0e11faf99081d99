// float16 as float32, which is exact.
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

}  // namespace
}  // namespace edgeort
