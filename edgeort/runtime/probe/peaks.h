// What the cores do at most, measured.
#pragma once
#include "../core/platform.h"

namespace edgeort {

struct Rate {
  double one, all;  // of one core, of all threads; 10^9 a second
};

struct Peaks {
  const char* isa;
  int threads;
  Rate float32, int8, read;  // operations, operations, bytes
};

struct PeakOptions {
  int threads;   // of `all`
  int cpu;       // that `one` is measured on; -1: any
  int ms;        // of each measurement, about
  size_t bytes;  // that are read: more than caches hold
};

// False when memory is out, or the CPU has none of the levels.
bool measure_peaks(const PeakOptions& options, Peaks* peaks);

}  // namespace edgeort
