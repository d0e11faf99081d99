// Elements from places that a vector names.
#pragma once

#include "types.h"

namespace edgeort {
namespace {

// Lane i is p[index[i]], or +0 where index[i] is negative: nothing is read there.
EDGEORT_INLINE vf gather(const float* p, vi index) {
#if defined(__AVX512F__)
  return __builtin_ia32_gathersiv16sf(vf{}, p, index, __builtin_ia32_cvtd2mask512(~index), 4);
#elif defined(__AVX2__)
  return __builtin_ia32_gatherd_ps256(vf{}, p, index, bitcast<vf>(~index), 4);
#else
  vf v = {};
#pragma clang loop unroll(full)
  for (int i = 0; i < kLanes; ++i) v[i] = index[i] < 0 ? 0.0f : p[index[i]];
  return v;
#endif
}

}  // namespace
}  // namespace edgeort
