#include "loops.h"

#include "../core/dispatch.h"

namespace edgeort {

EDGEORT_KERNELS(Loops, loops)

const Loops* best_loops(const char** isa) {
  int best = kIsa_generic;
  for (int level = 0; level < kIsas; ++level) {
    if (cpu_has(level) && runs_isa(level, best)) best = level;
  }
  *isa = isa_name(best);
  return best == kIsa_generic ? nullptr : &loops(best);
}

}  // namespace edgeort
