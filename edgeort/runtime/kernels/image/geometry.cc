// Integers where recipes/picture.py has these; elsewhere its float64 operations, in its order.
#include "geometry.h"

namespace edgeort {
namespace {

f64 real(i64 x) { return static_cast<f64>(x); }

// Python's round: to nearest, ties to even. x is 0 or more.
i64 rounded(f64 x) {
  const i64 below = static_cast<i64>(x);
  const f64 rest = x - real(below);
  return rest > 0.5 || (rest == 0.5 && (below & 1)) ? below + 1 : below;
}

ImageSize resized(ImageSize picture, ImageFit fit, ImageSize size) {
  const i64 h = picture.height, w = picture.width;
  const f64 rows = real(size.height) / real(h), columns = real(size.width) / real(w);
  switch (fit) {
    case ImageFit::short_side:
      if (h <= w) return {size.height, max_of(size.height * w / h, 1)};
      return {max_of(size.height * h / w, 1), size.height};
    case ImageFit::cover: {
      const f64 scale = rows > columns ? rows : columns;
      return {max_of(rounded(real(h) * scale), size.height), max_of(rounded(real(w) * scale), size.width)};
    }
    case ImageFit::letterbox: {
      const f64 scale = rows < columns ? rows : columns;
      return {min_of(max_of(rounded(real(h) * scale), 1), size.height), min_of(max_of(rounded(real(w) * scale), 1), size.width)};
    }
    case ImageFit::stretch:
      return size;
    case ImageFit::none:
      break;
  }
  return picture;
}

// Where the middle of a side begins: halves go to even; of a side that is too short more is missing behind it.
i64 middle(i64 side, i64 wanted) { return side >= wanted ? rounded(real(side - wanted) / 2) : -((wanted - side) / 2); }

}  // namespace

ImageGeometry image_geometry(ImageSize picture, ImageFit fit, ImageSize size, ImageSize crop) {
  const ImageSize full = resized(picture, fit, size);
  if (fit == ImageFit::letterbox) return {full, size, -((size.height - full.height) / 2), -((size.width - full.width) / 2)};
  if (crop.height == 0) return {full, full, 0, 0};
  return {full, crop, middle(full.height, crop.height), middle(full.width, crop.width)};
}

}  // namespace edgeort
