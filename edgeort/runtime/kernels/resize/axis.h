// One resized axis: which elements of the input each output reads, and with which weights.
#pragma once
#include "../../core/op.h"

namespace edgeort {

// The numbers of lowering/resize.py.
enum class ResizeMode : i32 { nearest, linear, cubic };
enum class Transform : i32 {
  half_pixel,
  half_pixel_symmetric,
  pytorch_half_pixel,
  align_corners,
  asymmetric,
  tf_half_pixel_for_nn,
  tf_crop_and_resize
};
enum class Nearest : i32 { round_prefer_floor, round_prefer_ceil, floor, ceil, simple };

struct ResizeAxis {
  int axis;
  i64 in, out, taps;
  f32 scale, start, end;  // start, end: the region of interest
  i64* index;             // [out][taps]
  f32* weight;            // [out][taps]
  u8* outside;            // [out]: the coordinate lies outside the input (tf_crop_and_resize only)

  // Taps of each output.
  i64 count_taps(const ResizeParams& params) const;
  // Fills the tables, whose memory the caller set.
  void fill(const ResizeParams& params) const;

 private:
  f32 coordinate(Transform transform, i64 j) const;
  i64 nearest(Nearest mode, f32 x) const;
  void weights(const ResizeParams& params, f32 x, i64* index_of_taps, f32* weight_of_taps) const;
};

}  // namespace edgeort
