// float16 to and from float32 for one ISA level.
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

struct HalfKernels {
  void (*widen)(f32* to, const u16* from, i64 n);
  void (*narrow)(u16* to, const f32* from, i64 n);  // to nearest, ties to even
};

}  // namespace edgeort
