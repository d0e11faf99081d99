// Coordinates are float32, as in ONNX Runtime: where an output falls on a tie, float64 would choose another neighbour.
#include "axis.h"

namespace edgeort {
namespace {

i64 clamp(i64 x, i64 size) { return x < 0 ? 0 : x >= size ? size - 1 : x; }

// The integer below x, within [-2^60, 2^60]; NaN gives the lowest.
i64 floor_of(f64 x) {
  constexpr f64 kFar = 1152921504606846976.0;
  if (!(x > -kFar)) return -(i64{1} << 60);
  if (x > kFar) return i64{1} << 60;
  const i64 i = static_cast<i64>(x);
  return i - (static_cast<f64>(i) > x);
}

// Keys 1981, "Cubic convolution interpolation for digital image processing", eq. 15 with a free.
f64 cubic(f64 a, f64 distance) {
  const f64 x = distance < 0 ? -distance : distance;
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

f64 triangle(f64 distance) {
  const f64 x = distance < 0 ? -distance : distance;
  return x < 1 ? 1 - x : 0;
}

// The first tap relative to the pixel left of the coordinate; the kernel is `scale` times narrower than the input's grid.
i64 first_tap(const ResizeParams& params, f64 scale) {
  const f64 reach = params.mode == static_cast<i32>(ResizeMode::cubic) ? 2 : 1;
  return floor_of(-reach / scale) + 1;
}

f64 kernel_scale(const ResizeParams& params, f32 scale) { return params.antialias && scale < 1 ? static_cast<f64>(scale) : 1.0; }

}  // namespace

i64 ResizeAxis::count_taps(const ResizeParams& params) const {
  if (params.mode == static_cast<i32>(ResizeMode::nearest)) return 1;
  return 2 - 2 * first_tap(params, kernel_scale(params, scale));
}

f32 ResizeAxis::coordinate(Transform transform, i64 j) const {
  const f32 x = static_cast<f32>(j), size_in = static_cast<f32>(in), size_out = static_cast<f32>(out);
  switch (transform) {
    case Transform::half_pixel:
      return (x + 0.5f) / scale - 0.5f;
    case Transform::half_pixel_symmetric: {
      const f32 adjustment = size_out / (scale * size_in);
      return size_in / 2 * (1 - adjustment) + (x + 0.5f) / scale - 0.5f;
    }
    case Transform::pytorch_half_pixel:
      return out > 1 ? (x + 0.5f) / scale - 0.5f : 0.0f;
    case Transform::align_corners:
      return out > 1 ? x * (size_in - 1) / (size_out - 1) : 0.0f;
    case Transform::asymmetric:
      return x / scale;
    case Transform::tf_half_pixel_for_nn:
      return (x + 0.5f) / scale;
    case Transform::tf_crop_and_resize:
      return out > 1 ? start * (size_in - 1) + x * (end - start) * (size_in - 1) / (size_out - 1) : 0.5f * (start + end) * (size_in - 1);
  }
  return 0.0f;
}

i64 ResizeAxis::nearest(Nearest mode, f32 x) const {
  const i64 below = floor_of(x);
  const f64 rest = static_cast<f64>(x) - static_cast<f64>(below);
  bool up = false;
  switch (mode) {
    case Nearest::round_prefer_floor:
      up = rest > 0.5;
      break;
    case Nearest::round_prefer_ceil:
      up = rest >= 0.5;
      break;
    case Nearest::floor:
      break;
    case Nearest::ceil:
      up = rest > 0;
      break;
    case Nearest::simple:  // before opset 11
      up = scale < 1 && rest > 0;
      break;
  }
  return clamp(below + up, in);
}

void ResizeAxis::weights(const ResizeParams& params, f32 x, i64* at, f32* w) const {
  const bool is_cubic = params.mode == static_cast<i32>(ResizeMode::cubic);
  const f64 narrow = kernel_scale(params, scale);
  if (!is_cubic && narrow == 1.0) x = !(x > 0) ? 0 : x > static_cast<f32>(in - 1) ? static_cast<f32>(in - 1) : x;
  const i64 left = floor_of(x), first = first_tap(params, narrow);
  const f64 ratio = static_cast<f64>(x) - static_cast<f64>(left);
  f64 sum = 0;
  for (i64 t = 0; t < taps; ++t) {
    const f64 distance = (static_cast<f64>(first + t) - ratio) * narrow;
    const i64 position = left + first + t;
    const bool excluded = params.exclude_outside && (position < 0 || position >= in);
    const f64 weight_of_tap = excluded ? 0 : is_cubic ? cubic(params.cubic_a, distance) : triangle(distance);
    at[t] = clamp(position, in);
    w[t] = static_cast<f32>(weight_of_tap);
    sum += weight_of_tap;
  }
  if (narrow == 1.0 && !params.exclude_outside) return;
  for (i64 t = 0; t < taps; ++t) w[t] = static_cast<f32>(w[t] / sum);
}

void ResizeAxis::fill(const ResizeParams& params) const {
  const auto transform = static_cast<Transform>(params.transform);
  for (i64 j = 0; j < out; ++j) {
    const f32 x = coordinate(transform, j);
    if (transform == Transform::tf_crop_and_resize) outside[j] = !(x >= 0 && x <= static_cast<f32>(in - 1));
    if (params.mode == static_cast<i32>(ResizeMode::nearest)) {
      index[j] = nearest(static_cast<Nearest>(params.nearest), x);
    } else {
      weights(params, x, index + j * taps, weight + j * taps);
    }
  }
}

}  // namespace edgeort
