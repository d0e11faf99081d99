// A quantised activation lies in memory as the type that the CPU multiplies: bytes are canonical values plus kQ8Bias.
#pragma once
#include "plan_layout.h"

namespace edgeort {

#if defined(__x86_64__)
using q8 = u8;
static constexpr i32 kQ8Bias = 128;
#else
using q8 = i8;
static constexpr i32 kQ8Bias = 0;
#endif

}  // namespace edgeort
