// What a run of edgeort_bench found, as text or JSON on stdout.
#pragma once
#include "cores.h"
#include "edgeort.h"
#include "measure.h"

namespace edgeort {

struct Result {
  const char* plan;
  double open_ms, prepare_ms, first_run_ms;
  Measured measured;  // no times when the check failed before; print_* sorts them
  Cores cores;        // none: all
  edgeort_stats stats;
  const char* check;  // "passed", "failed", or null without --check
  const char* difference;
  bool profile;
};

// Runs that were timed in a part of the time; they are sorted.
struct Interval {
  double start_s, end_s;
  const Recorder& times;
  const Sample& sample;  // at the end
};

u64 outputs_digest(edgeort_model* model);
void print_interval(const Interval& interval, bool json);
void print_text(edgeort_model* model, Result* result);
void print_json(edgeort_model* model, Result* result);

}  // namespace edgeort
