// Sampling of images, channels first, at computed places: a block of places is worked out once for all channels.
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

enum class SampleMode : i32 { nearest, linear, cubic };
enum class Padding : i32 { zeros, border, reflection };

constexpr i64 kPlaces = 64;   // of a block
constexpr int kMostTaps = 4;  // along an axis

struct Sampling {
  int spatial;
  i64 in[3];  // planes, rows, columns: 1 plane of an image
  SampleMode mode;
  Padding padding;
  bool align_corners;

  i64 image() const { return in[0] * in[1] * in[2]; }
  int taps() const { return mode == SampleMode::nearest ? 1 : mode == SampleMode::linear ? 2 : 4; }
  // Bytes that a block's taps need.
  u64 scratch() const {
    const int t = taps();
    return static_cast<u64>(kPlaces) * 4 * static_cast<u64>(3 * 2 * kMostTaps + t * t * (spatial == 3 ? t : 1));
  }
};

// y[c * pixels + i] for channels c of one image x and places i < n <= kPlaces: grid[i * spatial, ...] is x, y(, z) of place i.
using SampleFn = void (*)(const Sampling& s, const f32* x, const f32* grid, f32* y, i64 channels, i64 pixels, i64 n, void* scratch);

}  // namespace edgeort
