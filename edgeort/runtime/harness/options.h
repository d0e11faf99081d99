// The command line of edgeort_bench.
#pragma once
#include "edgeort.h"

namespace edgeort {

constexpr int kMaxShapes = 64;

struct Shape {
  const char* name;
  size_t name_length;
  int rank;
  int64_t dims[EDGEORT_MAX_RANK];
};

struct Options {
  const char* plan = nullptr;
  int threads = 0;
  int runs = 20;
  int warmup = -1;    // -1: until the median has settled
  double time_s = 0;  // not 0: instead of `runs`
  double interval_s = 0;
  const char* cores = nullptr;
  const char* inputs = nullptr;
  const char* outputs = nullptr;
  const char* check = nullptr;
  const char* isa = nullptr;
  bool profile = false;
  bool stream = false;
  double min_sqnr_db = 0;  // 0: outputs are checked bit for bit
  bool json = false;
  Shape shapes[kMaxShapes];
  int n_shapes = 0;
};

// False: a message went to stderr. `help` is set when the arguments ask for the text, which went to stdout.
bool parse_options(int argc, char** argv, Options* options, bool* help);

}  // namespace edgeort
