// The conversions that models have most of, for one ISA level.
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

struct CastKernels {
  void (*from_half)(f32* to, const u16* from, i64 n);
  void (*to_half)(u16* to, const f32* from, i64 n);  // to nearest, ties to even
  void (*from_u8)(f32* to, const u8* from, i64 n);
  void (*from_i8)(f32* to, const i8* from, i64 n);
  void (*to_u8)(u8* to, const f32* from, i64 n);  // towards zero, and to the nearest limit; 0 of NaN
};

}  // namespace edgeort
