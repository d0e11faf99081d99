// Interpolation along one axis.
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

// out[j * inner + i] = sum over t < taps of weight[j * taps + t] * x[index[j * taps + t] * inner + i], for j < outputs, i < inner:
// one accumulator from +0, fused multiply-add, t rising.
struct Interpolation {
  const f32* x;
  i64 inner;
  const i64* index;
  const f32* weight;
  i64 taps, outputs;
  f32* out;
};

using InterpolateFn = void (*)(const Interpolation&);

}  // namespace edgeort
