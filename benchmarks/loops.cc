// The loops of the probe, which a core can run no faster, with C names.
#define EDGEORT_ISA here
#include "../edgeort/runtime/probe/loops.isa.cc"

#define EXPORT extern "C" __attribute__((visibility("default")))

// Runs `steps` rounds of multiply-adds and returns how many float operations that were.
EXPORT double edgeort_peak(long steps) { return edgeort::loops_here.float32(steps); }

// Reads `bytes` bytes from `from` on, which is aligned to 64, up to the last 511; returns something that depends on all of them.
EXPORT float edgeort_read(const unsigned char* from, long bytes) { return edgeort::loops_here.read(from, static_cast<size_t>(bytes)); }
