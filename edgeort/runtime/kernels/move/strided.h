// Copies of elements between two strided layouts: what slices, broadcasts, tiles and concatenations are made of.
#pragma once
#include "../../core/op.h"

namespace edgeort {

// Axes are given outermost first, strides in bytes (0 and negative ones included for the input). Axes that both layouts
// walk alike are joined, and short contiguous runs become wider elements.
struct Strided {
  static constexpr int kMaxAxes = 2 * kMaxRank;
  i64 dims[kMaxAxes], in[kMaxAxes], out[kMaxAxes];
  i64 size;  // of an element: 1, 2, 4 or 8
  int rank;

  void start(size_t element) {
    rank = 0;
    size = static_cast<i64>(element);
  }
  void add(i64 dim, i64 in_stride, i64 out_stride);
  // Call after the last axis.
  void finish();
  i64 rows() const;  // of the last axis
  // `tensor`'s own axes, with the strides of `whole`'s layout on the side that is the larger one.
  void slice_out(const Tensor& part, const Tensor& whole);
  void slice_in(const Tensor& part, const Tensor& whole);
  void run(const Run& r, void* to, const void* from) const;
};

}  // namespace edgeort
