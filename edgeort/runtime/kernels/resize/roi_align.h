// Regions of an image, channels first: the samples of some cells of a region are worked out once for all channels.
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

constexpr int kMostCells = 16;  // of a group: a vector or several
constexpr int kSamples = 32;    // of a cell, at once

// Sample k of cell i is the sum (or maximum) of weight[k][c][i] * x[index[k][c][i]] over its corners c < 4; a negative index reads zero.
struct RoiSamples {
  i32 index[kSamples][4][kMostCells];
  f32 weight[kSamples][4][kMostCells];
};

// y[c * cells + i], for channels c of one image x and cells i < n of a group, takes in samples k < samples, the first of all where
// `first`; then it is divided by `divisor`, unless that is 0. The corners of a sample are added first, from left to right.
struct RoiGroup {
  const RoiSamples* at;
  const f32* x;
  f32* y;
  i64 image, channels, cells, n, samples;
  bool maximum, first;
  f32 divisor;
};

using RoiAlignFn = void (*)(const RoiGroup&);

}  // namespace edgeort
