// Depthwise convolution of q8 by int8 weights, channels last. Weights are [tap][channel], whole panels of channels.
#pragma once
#include "../../core/dispatch.h"
#include "../../core/q8.h"
#include "../gemm/qresult.h"

namespace edgeort {

// Lines of outputs. Columns of the input outside [first, last), counted from a line's first tap, read `padding`.
struct QDepthwiseArgs {
  const q8* const* rows;  // [line][kernel row]: where the first tap of the first output is read; null: all padding
  const i8* weights;
  const q8* padding;  // a byte a channel, whole panels
  i64 lines, pixels, channels;
  i64 first, last;
  i64 in_pixel;  // bytes between columns
  QResult result;
  char* out;
  i64 out_line, out_pixel;  // bytes between lines, and between pixels
};

// One output from any taps: rows[t] is where tap t is read.
struct QDepthwiseTaps {
  const q8* const* rows;
  const i8* weights;
  i64 count, channels;
  QResult result;
  char* out;
};

// Lines with a square kernel and the stride along x known. At most half a kernel may lie outside at either end.
struct QDepthwiseRow {
  int kernel, stride;
  void (*fn)(const QDepthwiseArgs&);
};

struct QDepthwiseKernels {
  void (*pixel)(const QDepthwiseTaps&);
  const QDepthwiseRow* rows;
  int count;
  i64 fewest;  // channels that `rows` take
  bool pairs;  // `rows` take no weight of -128
};

}  // namespace edgeort
