// The operators that this library holds: generated for each model (families.py), ended by null.
#pragma once
#include "op.h"

namespace edgeort {

extern const OpDef* const kOps[];
// The ISA levels that it was built for, rising, ended by -1.
extern const int kBuiltIsas[];

}  // namespace edgeort
