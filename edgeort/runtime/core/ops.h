// The operators that this library holds: generated for each model (toolchain.py), ended by null.
#pragma once
#include "op.h"

namespace edgeort {

extern const OpDef* const kOps[];
// ISA levels of its kernels: they need at least the first.
extern const int kLowestIsa;
extern const int kHighestIsa;

}  // namespace edgeort
