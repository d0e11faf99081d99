// Warm-up and timed runs.
#pragma once
#include "conditions.h"
#include "edgeort.h"
#include "options.h"
#include "recorder.h"

namespace edgeort {

struct Measured {
  static constexpr int kSamples = 256;

  Recorder times;
  double load;  // of the machine before: how many threads ran or wanted to in the last minute; negative: the system does not tell
  int warmup_runs;
  Sample samples[kSamples];
  int n_samples;
  u64* node_ns;  // of each of `n_nodes` before the timed runs
  size_t n_nodes;
  size_t peak_rss_bytes;  // without what the measurement holds itself
};

// 0, -1 when there is no memory, or what edgeort_run answered. With --interval it prints a line for each.
int measure(edgeort_model* model, const Options& options, Measured* measured);

}  // namespace edgeort
