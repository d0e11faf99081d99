// Loops that a core can run no faster, an ISA level each.
#pragma once
#include "../core/platform.h"

namespace edgeort {

struct Loops {
  // Run `steps` rounds in registers and return how many operations that were; a multiply-add is two.
  double (*float32)(i64 steps);
  double (*int8)(i64 steps);
  // Reads `bytes`, a multiple of kReadBytes from an address aligned to 64 on; returns something that depends on all of them.
  float (*read)(const u8* from, size_t bytes);
};

static constexpr size_t kReadBytes = 512;

// Of the best level that this CPU has, null where it has none; `isa` gets its name.
const Loops* best_loops(const char** isa);

}  // namespace edgeort
