// From sums of products of bytes by int8 weights to results.
#pragma once
#include "../../core/q8.h"

namespace edgeort {

// What follows a sum. Zero point and limits are those of stored bytes.
struct QResult {
  const i32* bias;  // with the zero points folded in; whole panels, and so is scale
  const f32* scale;
  i32 zero_point, lo, hi;
  bool quantised;  // else the result is float32
  bool rectified;  // quantised with the zero point -128 and no limits but those of a byte; no |sum * scale| reaches 2^15
};

}  // namespace edgeort
