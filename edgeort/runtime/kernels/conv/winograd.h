// Winograd convolution F(4x4, 3x3) (Lavin and Gray 2016, "Fast algorithms for convolutional neural networks", section 4.2):
// 4x4 outputs from a 6x6 patch with 36 products a channel pair instead of 144.
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

static constexpr int kWinogradOut = 4, kWinogradIn = 6, kWinogradPositions = 36;

// to[position * step + c] = (B^T d B)[position], d the patch whose pixels `patch` points at (row-major), for each channel.
using WinogradInputFn = void (*)(const f32* const* patch, i64 channels, f32* to, i64 step);
// *pixels[i] = clamp((A^T m A)[i] + bias), m[position] = from[position * step + c]; null pixels are left out.
using WinogradOutputFn = void (*)(const f32* from, i64 step, i64 channels, const f32* bias, f32 lo, f32 hi, f32* const* pixels);

struct WinogradKernels {
  WinogradInputFn input;
  WinogradOutputFn output;
};

}  // namespace edgeort
