// Constants with many zeros, of which a plan holds a mask and the entries that are not zero.
#pragma once
#include "plan_layout.h"

namespace edgeort {

// Whether `bytes` at `data` are a mask of `elements` bits, lowest first in whole u64, and an entry of `size` bytes for each set one.
bool is_sparse(const u8* data, u64 bytes, u64 elements, size_t size);
// Writes the set entries of what is_sparse to zeroed memory.
void widen(const u8* data, u64 elements, size_t size, u8* out);

}  // namespace edgeort
