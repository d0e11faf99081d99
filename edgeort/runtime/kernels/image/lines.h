// Resampling a picture line by line, first along lines, then down columns: the passes of recipes/resampling.py.
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

// How numbers are rounded on the way; the names are those of recipes/resampling.py.
enum class Arithmetic : i32 {
  pillow,   // bytes between the passes, weights of 22 bits
  linear,   // OpenCV's two taps of 11 bits, sums of 32 bits between
  bicubic,  // OpenCV's four
  nearest,  // bytes, one tap
  area,     // float32
  whole,    // sums of bytes, whose mean is taken at the end
};

static constexpr int kPillowBits = 22;
static constexpr int kOpencvBits = 11;

// Output i of [0, count) is a sum over `used[i]` inputs from first[i] on, by weight[i * taps + t]: i32, of area f32. Inputs before
// the axis' first and behind its last mean these.
struct Taps {
  i64 inputs, count, taps;
  i32* first;
  i32* used;
  void* weight;
};

// One line of `channels` interleaved bytes to count * channels numbers: bytes, i32 (linear, bicubic, whole) or f32 (area). All taps lie
// within the line, behind which `spare` more bytes may be read. Four bytes behind the numbers may be written.
using AcrossFn = void (*)(const u8* line, i64 spare, const Taps& taps, int channels, void* out);
// `used` lines, by weight, to one of n bytes. `pixels`: of whole, how many are in a mean, and whether these are 2 by 2.
struct Column {
  const void* const* lines;
  const void* weight;
  i64 used, n;
  i32 pixels;
  bool four;
};
using DownFn = void (*)(const Column& column, u8* out);

struct LineKernels {
  AcrossFn across;
  DownFn down;
};

}  // namespace edgeort
