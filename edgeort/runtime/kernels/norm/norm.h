// Normalisations: (x - mean) / sqrt(variance + epsilon) and its relatives, over rows and over columns.
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

// One number for every element (step 0), or one each (step 1).
struct Factor {
  const f32* data;
  i64 step;
};

struct NormKernels {
  // mean and inv = 1 / sqrt(variance + epsilon) of x[0, n).
  void (*statistics)(const f32* x, i64 n, f32 epsilon, f32* mean, f32* inv);
  // y = fma((x - mean) * inv, scale, bias)
  void (*apply)(const f32* x, i64 n, f32 mean, f32 inv, Factor scale, Factor bias, f32* y);
  // y = (x / sqrt(mean of squares + epsilon)) * scale
  void (*rms)(const f32* x, i64 n, f32 epsilon, Factor scale, f32* y);
  // Each channel of x[pixels][stride], normalised over the pixels.
  void (*channels)(const f32* x, i64 pixels, i64 stride, i64 channels, f32 epsilon, const f32* scale, const f32* bias, f32* y);
  // y = fma(x, a, b)
  void (*affine)(const f32* x, i64 n, Factor a, Factor b, f32* y);
  // y = x / (bias + factor * sum over t < taps of squares[t * step + i]^2) ^ beta
  void (*lrn)(const f32* squares, i64 taps, i64 step, const f32* x, i64 n, f32 factor, f32 beta, f32 bias, f32* y);
  // y = x / norm of x[0, n) for p = 1 and 2; 0 where the norm is 0.
  void (*lp_row[2])(const f32* x, i64 n, f32* y);
  // The same for each of `columns` columns of x[n][stride].
  void (*lp_columns[2])(const f32* x, i64 n, i64 stride, i64 columns, f32* y);
};

}  // namespace edgeort
