// Blocks of transposes, for each ISA level.
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

// out[c * out_stride + r] = in[r * in_stride + c] for r < rows, c < columns; strides count elements.
using TransposeFn = void (*)(void* out, i64 out_stride, const void* in, i64 in_stride, i64 rows, i64 columns);

struct MoveKernels {
  TransposeFn transpose[4];  // of elements of 1, 2, 4 and 8 bytes
};

}  // namespace edgeort
