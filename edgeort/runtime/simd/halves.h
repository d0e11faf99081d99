// Bytes as pairs of 16 bits in general registers, where there are no others: the DSP instructions of Cortex-M4 and M7.
#pragma once
#include <arm_acle.h>

#include "types.h"

namespace edgeort {
namespace {

// Four signed bytes: 0 and 2, and 1 and 3.
struct Halves {
  int16x2_t even, odd;
};
EDGEORT_INLINE Halves halves(uint32_t bytes) {
  return {__sxtb16(static_cast<int8x4_t>(bytes)), __sxtb16(static_cast<int8x4_t>(__ror(bytes, 8)))};
}

}  // namespace
}  // namespace edgeort
