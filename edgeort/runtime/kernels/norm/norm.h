// Normalisations: (x - mean) / sqrt(variance + epsilon) and its relatives, over rows and over columns.
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

// One number for every element (step 0), or one each (step 1).
struct Factor {
  const f32* data;
  i64 step;
};

// mean and inv = 1 / sqrt(variance + epsilon) of x[0, n).
using StatisticsFn = void (*)(const f32* x, i64 n, f32 epsilon, f32* mean, f32* inv);

// y = fma((x - mean) * inv, scale, bias)
using ApplyFn = void (*)(const f32* x, i64 n, f32 mean, f32 inv, Factor scale, Factor bias, f32* y);

// Both for each of `count` rows of n elements, one behind the other. y, means and invs may be null; y may be x.
struct LayerRows {
  const f32* x;
  i64 n, count;
  f32 epsilon;
  Factor scale, bias;
  f32 *y, *means, *invs;
};
using LayerRowsFn = void (*)(const LayerRows& rows);

// y = (x / sqrt(mean of squares + epsilon)) * scale
using RmsFn = void (*)(const f32* x, i64 n, f32 epsilon, Factor scale, f32* y);

// Each channel of x[pixels][stride], normalised over the pixels.
using ChannelsFn = void (*)(const f32* x, i64 pixels, i64 stride, i64 channels, f32 epsilon, const f32* scale, const f32* bias, f32* y);

// y = fma(x, a, b)
using AffineFn = void (*)(const f32* x, i64 n, Factor a, Factor b, f32* y);

// y = x / (bias + factor * sum over t < taps of squares[t * step + i]^2) ^ beta
using LrnFn = void (*)(const f32* squares, i64 taps, i64 step, const f32* x, i64 n, f32 factor, f32 beta, f32 bias, f32* y);

// y = x / norm of x[0, n), 0 where the norm is 0; p = 1 and p = 2 are two kernels.
using LpRowFn = void (*)(const f32* x, i64 n, f32* y);

// The same for each of `columns` columns of x[n][stride].
using LpColumnsFn = void (*)(const f32* x, i64 n, i64 stride, i64 columns, f32* y);

}  // namespace edgeort
