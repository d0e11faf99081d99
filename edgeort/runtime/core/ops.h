// The operators that this library holds: generated for each model (toolchain.py), ended by null.
#pragma once
#include "op.h"

namespace edgeort {

extern const OpDef* const kOps[];
// Its kernels need at least this ISA level.
extern const int kLowestIsa;

}  // namespace edgeort
