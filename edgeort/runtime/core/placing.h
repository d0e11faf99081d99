// Where in the arena storages lie.
#pragma once
#include "model.h"

namespace edgeort {

// Gives storages of the arena their offsets; `order` has room for as many numbers. False when the arena would be too large.
bool lay_out(Storage* storages, i32 n, i32* order, size_t* arena_bytes);

}  // namespace edgeort
