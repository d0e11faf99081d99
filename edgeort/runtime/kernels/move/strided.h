// Copies of elements between two strided layouts: what slices, broadcasts, tiles and concatenations are made of.
#pragma once
#include "../../core/op.h"

namespace edgeort {

// Bytes between neighbours along each axis.
void strides_of(const Tensor& tensor, i64* strides);

// Axes are given outermost first, strides in bytes (0 and negative ones included for the input). Axes that both layouts
// walk alike are joined, and short contiguous runs become wider elements.
struct Strided {
  static constexpr int kMaxAxes = 2 * kMaxRank;
  i64 dims[kMaxAxes], in[kMaxAxes], out[kMaxAxes];
  i64 size;  // of an element: 1, 2, 4, 8 or 16
  int rank;

  void start(size_t element) {
    rank = 0;
    size = static_cast<i64>(element);
  }
  void add(i64 dim, i64 in_stride, i64 out_stride);
  // Call after the last axis.
  void finish();
  i64 rows() const;  // of the last axis
  // All axes of `part`, with its own strides and those of `whole`, which it is cut from or put into.
  void start_part(const Tensor& part, const Tensor& whole, bool put);
  void run(const Run& r, void* to, const void* from) const;
};

}  // namespace edgeort
