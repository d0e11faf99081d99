// What a run of edgeort_bench found, as text or JSON on stdout.
#pragma once
#include "edgeort.h"
#include "platform.h"

namespace edgeort {

struct Result {
  const char* plan;
  double open_ms, prepare_ms, first_run_ms;
  u64* run_ns;  // sorted by print_*
  int runs;     // timed ones; 0 when the check failed before them
  edgeort_stats stats;
  size_t peak_rss_bytes;
  const char* check;  // "passed", "failed", or null without --check
  const char* difference;
  bool profile;
  int profiled_runs;
};

u64 outputs_digest(edgeort_model* model);
void print_text(edgeort_model* model, Result* result);
void print_json(edgeort_model* model, Result* result);

}  // namespace edgeort
