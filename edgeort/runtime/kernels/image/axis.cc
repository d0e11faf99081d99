// Which inputs an output of an axis is made of, and by which weights. Float64 and float32 operations stand in the order of
// recipes/resampling.py, and have its bits.
#include "axis.h"

namespace edgeort {
namespace {

i64 floor_of(f64 x) {
  const i64 whole = static_cast<i64>(x);
  return static_cast<f64>(whole) > x ? whole - 1 : whole;
}
i64 ceil_of(f64 x) { return -floor_of(-x); }

// To nearest, ties to even.
i64 nearest_of(f64 x) {
  const i64 below = floor_of(x);
  const f64 rest = x - static_cast<f64>(below);
  return rest > 0.5 || (rest == 0.5 && (below & 1)) ? below + 1 : below;
}

f64 magnitude(f64 x) { return x < 0 ? -x : x; }

// Pillow's filters, over x in outputs.
f64 filter_at(ImageMethod method, f64 x) {
  if (method == ImageMethod::box) return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
  x = magnitude(x);
  if (method == ImageMethod::bilinear) return x < 1.0 ? 1.0 - x : 0.0;
  constexpr f64 a = -0.5;
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  return x < 2.0 ? (((x - 5) * x + 8) * x - 4) * a : 0.0;
}

f64 support_of(ImageMethod method) { return method == ImageMethod::box ? 0.5 : method == ImageMethod::bilinear ? 1.0 : 2.0; }

f64 pillow_support(ImageMethod method, const ImageAxis& axis) {
  const f64 scale = static_cast<f64>(axis.inputs) / static_cast<f64>(axis.outputs);
  return support_of(method) * (scale < 1.0 ? 1.0 : scale);
}

f64 opencv_scale(const ImageAxis& axis) { return 1.0 / (static_cast<f64>(axis.outputs) / static_cast<f64>(axis.inputs)); }

// Those that count: an axis ends, and so do weights.
i32 used_of(const f64* weight, i64 n) {
  while (n > 1 && weight[n - 1] == 0.0) --n;
  return static_cast<i32>(n);
}

void fill_pillow(ImageMethod method, const ImageAxis& axis, Taps& taps, f64* row) {
  const f64 scale = static_cast<f64>(axis.inputs) / static_cast<f64>(axis.outputs);
  const f64 support = pillow_support(method, axis), inverse = 1.0 / (scale < 1.0 ? 1.0 : scale);
  i32* weights = static_cast<i32*>(taps.weight);
  for (i64 i = 0; i < axis.count; ++i) {
    const f64 centre = (static_cast<f64>(axis.begin + i) + 0.5) * scale;
    const i64 first = max_of(static_cast<i64>(centre - support + 0.5), 0);
    const i64 n = min_of(min_of(static_cast<i64>(centre + support + 0.5), axis.inputs) - first, taps.taps);
    f64 total = 0.0;
    for (i64 t = 0; t < n; ++t) {
      row[t] = filter_at(method, (static_cast<f64>(t + first) - centre + 0.5) * inverse);
      total += row[t];
    }
    for (i64 t = 0; t < n; ++t) {
      if (total != 0.0) row[t] /= total;
      const f64 scaled = row[t] * static_cast<f64>(1 << kPillowBits);
      weights[i * taps.taps + t] = static_cast<i32>(row[t] < 0 ? scaled - 0.5 : scaled + 0.5);
    }
    taps.first[i] = static_cast<i32>(min_of(first, axis.inputs - 1));
    taps.used[i] = n > 0 ? used_of(row, n) : 1;
  }
}

i32 fraction(f32 weight) { return static_cast<i32>(nearest_of(static_cast<f64>(weight * static_cast<f32>(1 << kOpencvBits)))); }

// The four weights between inputs 1 and 2, at x behind the first of these.
void cubic_weights(f32 x, i32* out) {
  constexpr f32 a = -0.75f;
  const f32 near = x + 1.0f, far = 1.0f - x;
  const f32 w0 = ((a * near - 5.0f * a) * near + 8.0f * a) * near - 4.0f * a;
  const f32 w1 = ((a + 2.0f) * x - (a + 3.0f)) * x * x + 1.0f;
  const f32 w2 = ((a + 2.0f) * far - (a + 3.0f)) * far * far + 1.0f;
  out[0] = fraction(w0), out[1] = fraction(w1), out[2] = fraction(w2), out[3] = fraction(1.0f - w0 - w1 - w2);
}

// Brings taps outside of the axis to the inputs that they mean.
void fold(const ImageAxis& axis, i64 first, i32* weight, i64 n, i32* at) {
  const i64 begin = max_of(min_of(first, axis.inputs - n), 0);
  i32 folded[4] = {};
  for (i64 t = 0; t < n; ++t) folded[max_of(0, min_of(first + t, axis.inputs - 1)) - begin] += weight[t];
  for (i64 t = 0; t < n; ++t) weight[t] = folded[t];
  *at = static_cast<i32>(begin);
}

void fill_bicubic(const ImageAxis& axis, bool across, Taps& taps) {
  const f64 scale = opencv_scale(axis);
  for (i64 i = 0; i < axis.count; ++i) {
    const f32 place = static_cast<f32>((static_cast<f64>(axis.begin + i) + 0.5) * scale - 0.5);
    const i64 first = floor_of(static_cast<f64>(place)) - 1;
    i32* weight = static_cast<i32*>(taps.weight) + i * taps.taps;
    cubic_weights(place - static_cast<f32>(first + 1), weight);
    taps.first[i] = static_cast<i32>(first);
    if (across) fold(axis, first, weight, 4, taps.first + i);
    taps.used[i] = static_cast<i32>(across ? min_of(4, axis.inputs - taps.first[i]) : 4);
  }
}

void fill_linear(const ImageFilter& filter, const ImageAxis& axis, bool across, Taps& taps) {
  const f64 scale = opencv_scale(axis), inverse = static_cast<f64>(axis.outputs) / static_cast<f64>(axis.inputs);
  for (i64 i = 0; i < axis.count; ++i) {
    const f64 at = static_cast<f64>(axis.begin + i);
    i64 first;
    f32 rest;
    if (filter.grows) {
      first = floor_of(at * scale);
      rest = static_cast<f32>((at + 1) - static_cast<f64>(first + 1) * inverse);
      rest = rest <= 0 ? 0.0f : rest - static_cast<f32>(floor_of(static_cast<f64>(rest)));
    } else {
      const f32 place = static_cast<f32>((at + 0.5) * scale - 0.5);
      first = floor_of(static_cast<f64>(place));
      rest = place - static_cast<f32>(first);
    }
    if (across && (first < 0 || first >= axis.inputs - 1)) {
      first = first < 0 ? 0 : axis.inputs - 1;
      rest = 0.0f;
    }
    i32* weight = static_cast<i32*>(taps.weight) + i * taps.taps;
    weight[0] = fraction(1.0f - rest), weight[1] = fraction(rest);
    taps.first[i] = static_cast<i32>(first);
    taps.used[i] = weight[1] ? 2 : 1;
  }
}

void fill_area(const ImageAxis& axis, Taps& taps) {
  const f64 scale = opencv_scale(axis);
  for (i64 i = 0; i < axis.count; ++i) {
    f32* weight = static_cast<f32*>(taps.weight) + i * taps.taps;
    const f64 begin = static_cast<f64>(axis.begin + i) * scale, end = begin + scale;
    const f64 left = static_cast<f64>(axis.inputs) - begin, cell = scale < left ? scale : left;
    const i64 whole_end = min_of(floor_of(end), axis.inputs - 1), whole = min_of(ceil_of(begin), whole_end);
    i64 n = 0;
    const bool before = static_cast<f64>(whole) - begin > 1e-3;
    if (before) weight[n++] = static_cast<f32>((static_cast<f64>(whole) - begin) / cell);
    for (i64 at = whole; at < whole_end && n < taps.taps; ++at) weight[n++] = static_cast<f32>(1.0 / cell);
    const f64 tail = end - static_cast<f64>(whole_end), most = tail < 1.0 ? tail : 1.0;
    if (tail > 1e-3 && n < taps.taps) weight[n++] = static_cast<f32>((most < cell ? most : cell) / cell);
    taps.first[i] = static_cast<i32>(max_of(whole - before, 0));
    taps.used[i] = static_cast<i32>(min_of(max_of(n, 1), axis.inputs - taps.first[i]));
  }
}

void fill_whole(const ImageAxis& axis, Taps& taps) {
  for (i64 i = 0; i < axis.count; ++i) {
    for (i64 t = 0; t < taps.taps; ++t) static_cast<i32*>(taps.weight)[i * taps.taps + t] = 1;
    taps.first[i] = static_cast<i32>(min_of((axis.begin + i) * taps.taps, axis.inputs - taps.taps));
    taps.used[i] = static_cast<i32>(taps.taps);
  }
}

void fill_nearest(const ImageAxis& axis, Taps& taps) {
  const f64 scale = opencv_scale(axis);
  for (i64 i = 0; i < axis.count; ++i) {
    static_cast<i32*>(taps.weight)[i] = 1;
    taps.first[i] = static_cast<i32>(min_of(floor_of(static_cast<f64>(axis.begin + i) * scale), axis.inputs - 1));
    taps.used[i] = 1;
  }
}

// Whether OpenCV takes a scale for a whole number.
bool is_whole(f64 scale) { return magnitude(scale - static_cast<f64>(nearest_of(scale))) < 0x1p-52; }

}  // namespace

ImageFilter image_filter(ImageMethod method, bool antialias, const ImageAxis& down, const ImageAxis& across) {
  constexpr f64 kMostPixels = 1 << 23;  // whose sum is an int32
  const f64 rows = opencv_scale(down), columns = opencv_scale(across);
  const bool whole = is_whole(rows) && is_whole(columns) && rows * columns <= kMostPixels;
  if (antialias) {
    const i64 lost = down.inputs - down.outputs, narrowed = across.inputs - across.outputs;
    return {method, Arithmetic::pillow, false, lost > 0 && lost > 2 * narrowed};
  }
  if (method == ImageMethod::nearest) return {method, Arithmetic::nearest, false, false};
  if (method == ImageMethod::bicubic) return {method, Arithmetic::bicubic, false, false};
  if (method == ImageMethod::area && rows >= 1 && columns >= 1) {
    return {method, whole ? Arithmetic::whole : Arithmetic::area, false, false};
  }
  if (method == ImageMethod::bilinear && whole && nearest_of(rows) == 2 && nearest_of(columns) == 2) {
    return {method, Arithmetic::whole, false, false};
  }
  return {method, Arithmetic::linear, method == ImageMethod::area, false};
}

i64 image_taps(const ImageFilter& filter, const ImageAxis& axis) {
  switch (filter.arithmetic) {
    case Arithmetic::pillow:
      return ceil_of(pillow_support(filter.method, axis)) * 2 + 1;
    case Arithmetic::linear:
      return 2;
    case Arithmetic::bicubic:
      return 4;
    case Arithmetic::area:
      return ceil_of(opencv_scale(axis)) + 2;
    case Arithmetic::whole:
      return max_of(axis.inputs / axis.outputs, 1);
    case Arithmetic::nearest:
      return 1;
  }
  return 1;
}

void fill_image_taps(const ImageFilter& filter, const ImageAxis& axis, bool across, Taps& taps, f64* row) {
  switch (filter.arithmetic) {
    case Arithmetic::pillow:
      return fill_pillow(filter.method, axis, taps, row);
    case Arithmetic::linear:
      return fill_linear(filter, axis, across, taps);
    case Arithmetic::bicubic:
      return fill_bicubic(axis, across, taps);
    case Arithmetic::area:
      return fill_area(axis, taps);
    case Arithmetic::whole:
      return fill_whole(axis, taps);
    case Arithmetic::nearest:
      return fill_nearest(axis, taps);
  }
}

}  // namespace edgeort
