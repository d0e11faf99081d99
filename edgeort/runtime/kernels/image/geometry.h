// Where a picture's pixels are in what is made of it: recipes/picture.py says how.
#pragma once
#include "../../core/op.h"

namespace edgeort {

// The order is that of FITS in recipes/picture.py, behind "none".
enum class ImageFit : i32 { none, short_side, cover, stretch, letterbox };

struct ImageSize {
  i64 height, width;
};

// A picture resized, and the window that is taken of it: output row y is its row top + y.
struct ImageGeometry {
  ImageSize resized, window;
  i64 top, left;
};

// `fit` to `size` (its height is the short side's length), then the middle of `crop`, if that is not 0 x 0. Sizes are 1 or more.
ImageGeometry image_geometry(ImageSize picture, ImageFit fit, ImageSize size, ImageSize crop);

}  // namespace edgeort
