// The taps of one axis of a picture, as recipes/resampling.py has them.
#pragma once
#include "../../core/op.h"
#include "lines.h"

namespace edgeort {

// The order is that of METHODS in recipes/picture.py.
enum class ImageMethod : i32 { nearest, bilinear, bicubic, area, box };

// Outputs [begin, begin + count) of `outputs`, made of `inputs`.
struct ImageAxis {
  i64 inputs, outputs, begin, count;
};

// What a method is for the axes of a picture; and whether area goes upwards.
struct ImageFilter {
  ImageMethod method;
  Arithmetic arithmetic;
  bool grows;
  bool columns_first;  // Pillow goes down the columns of tall pictures before it goes along lines
};
ImageFilter image_filter(ImageMethod method, bool antialias, const ImageAxis& down, const ImageAxis& across);

// How many taps an output has at most.
i64 image_taps(const ImageFilter& filter, const ImageAxis& axis);
// Fills taps whose memory is there. `across`: along lines, where all taps have to lie within. `row` has room for the taps of one output.
void fill_image_taps(const ImageFilter& filter, const ImageAxis& axis, bool across, Taps& taps, f64* row);

}  // namespace edgeort
