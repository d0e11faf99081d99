// Which CPUs a measurement runs on.
#pragma once
#include "platform.h"

namespace edgeort {

constexpr int kMaxCpus = 1024;

struct Cores {
  u8 mask[kMaxCpus / 8];

  bool has(int cpu) const { return mask[cpu / 8] >> cpu % 8 & 1; }
  void add(int cpu) { mask[cpu / 8] = static_cast<u8>(mask[cpu / 8] | 1 << cpu % 8); }
  int count() const;
};

// Holds this process, and the threads that it starts from now on, to the CPUs that `text` names: `big`, `little`, or numbers such
// as 0-3 or 0,2. `little` are those of the slowest kind that this process may use, `big` all others. False: `error` says why not.
bool hold_to_cores(const char* text, Cores* cores, char* error, size_t error_bytes);

// The CPU that this thread runs on, or -1.
int current_cpu();

// The first line of a file without its end; false: it cannot be read or is empty. Linux only.
bool read_line(const char* path, char* line, int line_bytes);

}  // namespace edgeort
