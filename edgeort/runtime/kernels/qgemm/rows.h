// Rows of float32 that are quantised as the model runs, each by its own range.
#pragma once
#include "../../core/dispatch.h"
#include "../../core/q8.h"

namespace edgeort {

// Of a row: the stored byte that is zero, what all of its sums lack, and the size of a step.
struct RowScale {
  i32 zero, more;
  f32 scale;
};

struct RowKernels {
  // low = min(x, 0), high = max(x, 0), scale = max((high - low) / 255, 2^-126), i = 1 / scale, z = round(-low * i), or 0 for NaN:
  // to[k] = clip(round(x[k] * i) + z, 0, 255) for k < n, and its row's RowScale. A NaN gives any byte.
  RowScale (*quantise)(const f32* x, i64 n, q8* to);
  // low = min(low, x), high = max(high, x) over n values; NaN is passed over.
  void (*widen)(const f32* x, i64 n, f32* low, f32* high);
  // The same as `quantise` with that range, as ONNX defines DynamicQuantizeLinear: of x[k] / scale, and z = round(-low / scale).
  // Of weights that are stored less `shift`, a row's sums lack shift * sum of (to[k] - z).
  RowScale (*quantise_within)(const f32* x, i64 n, f32 low, f32 high, i32 shift, q8* to);
};

}  // namespace edgeort
