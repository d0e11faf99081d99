// Positions that data gives, made safe, and copies of short runs.
#pragma once
#include <string.h>

#include "../move/args.h"

namespace edgeort {

// Negative positions count from the end; what is out of range is moved to the nearest position (ONNX calls it an error).
static inline i64 wrap_index(i64 index, i64 dim) {
  if (index < 0) index += dim;
  return max_of(0, min_of(dim - 1, index));
}

static inline void copy_run(u8* to, const u8* from, size_t n) {
  switch (n) {
    case 1:
      *to = *from;
      break;
    case 2:
      memcpy(to, from, 2);
      break;
    case 4:
      memcpy(to, from, 4);
      break;
    case 8:
      memcpy(to, from, 8);
      break;
    default:
      memcpy(to, from, n);
  }
}

}  // namespace edgeort
