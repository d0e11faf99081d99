#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace edgeort {
namespace {

constexpr char kUsage[] =
    "usage: edgeort_bench model.plan [options]\n"
    "\n"
    "Loads a compiled model, runs it, measures it, checks it.\n"
    "\n"
    "  --threads N        threads, 0 for one a CPU (default 0)\n"
    "  --runs N           timed runs (default 20)\n"
    "  --time TIME        go on for so long instead: 500ms, 5s, 10m, 1h\n"
    "  --warmup N         runs before those, after the first; auto: until the median has settled, two seconds at most\n"
    "                     (default auto)\n"
    "  --interval TIME    print the quartiles of the runs of each such part of the time, too\n"
    "  --cores CORES      run on these only: big, little, or numbers such as 0-3 or 0,2\n"
    "  --inputs DIR       read input0.npy, input1.npy, ... (default: pseudo-random data, free dimensions\n"
    "                     as large as they may be, or 1)\n"
    "  --shape NAME=1x3   shape of an input without --inputs; may be repeated\n"
    "  --outputs DIR      write output0.npy, output1.npy, ... there\n"
    "  --stream           answer samples from stdin on stdout, as harness/stream.h says, until it ends\n"
    "  --check DIR        compare with output0.npy, ... or digests.txt there, bit for bit; inputs come from there too\n"
    "  --min-sqnr DB      the least signal-to-noise ratio of a check, instead of bit for bit\n"
    "  --isa NAME         use the kernels of a lower ISA level\n"
    "  --profile          time every node\n"
    "  --json             print one JSON object\n"
    "\n"
    "exit status: 0, 1 when an output differs, 3 when activations need more memory than the plan was built for, 2 for the rest\n";

bool parse_count(const char* text, int low, int* out) {
  char* end;
  const long value = strtol(text, &end, 10);
  if (end == text || *end || value < low || value > 1000000) return false;
  *out = static_cast<int>(value);
  return true;
}

// A number and its unit.
bool parse_time(const char* text, double* out) {
  const struct {
    const char* name;
    double seconds;
  } units[] = {{"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}};
  char* end;
  const double value = strtod(text, &end);
  for (const auto& unit : units) {
    if (end == text || strcmp(end, unit.name) != 0) continue;
    *out = value * unit.seconds;
    return *out >= 1e-3 && *out <= 7 * 86400;
  }
  return false;
}

bool parse_db(const char* text, double* out) {
  char* end;
  *out = strtod(text, &end);
  return end != text && !*end && *out > 0 && *out <= 150;
}

bool parse_shape(const char* text, Shape* shape) {
  const char* equals = strrchr(text, '=');
  if (!equals || equals == text) return false;
  *shape = {text, static_cast<size_t>(equals - text), 0, {}};
  const char* at = equals + 1;
  if (!*at) return true;  // a scalar
  for (;;) {
    char* end;
    const long long dim = strtoll(at, &end, 10);
    if (end == at || dim < 0 || dim > 0x7fffffff || shape->rank == EDGEORT_MAX_RANK) return false;
    shape->dims[shape->rank++] = dim;
    if (!*end) return true;
    if (*end != 'x') return false;
    at = end + 1;
  }
}

bool bad(const char* what, const char* which) {
  fprintf(stderr, "edgeort_bench: %s: %s\nhint: edgeort_bench --help\n", what, which);
  return false;
}

enum class Took { yes, bad_value, unknown };

Took took(bool good) { return good ? Took::yes : Took::bad_value; }

Took take(Options* o, const char* name, const char* value) {
  const struct {
    const char* name;
    int low;
    int* to;
  } counts[] = {{"--threads", 0, &o->threads}, {"--runs", 1, &o->runs}, {"--warmup", 0, &o->warmup}};
  if (strcmp(name, "--warmup") == 0 && value && strcmp(value, "auto") == 0) return o->warmup = -1, Took::yes;
  for (const auto& count : counts) {
    if (strcmp(name, count.name) == 0) return took(value && parse_count(value, count.low, count.to));
  }
  const struct {
    const char* name;
    const char** to;
  } texts[] = {{"--inputs", &o->inputs}, {"--outputs", &o->outputs}, {"--check", &o->check}, {"--isa", &o->isa}, {"--cores", &o->cores}};
  for (const auto& text : texts) {
    if (strcmp(name, text.name) == 0) return took((*text.to = value) != nullptr);
  }
  if (strcmp(name, "--time") == 0) return took(value && parse_time(value, &o->time_s));
  if (strcmp(name, "--interval") == 0) return took(value && parse_time(value, &o->interval_s));
  if (strcmp(name, "--min-sqnr") == 0) return took(value && parse_db(value, &o->min_sqnr_db));
  if (strcmp(name, "--shape") != 0) return Took::unknown;
  return took(value && o->n_shapes < kMaxShapes && parse_shape(value, &o->shapes[o->n_shapes++]));
}

}  // namespace

bool parse_options(int argc, char** argv, Options* o, bool* help) {
  for (int i = 1; i < argc; ++i) {
    const char* arg = argv[i];
    if (strcmp(arg, "--help") == 0) {
      fputs(kUsage, stdout);
      *help = true;
      return true;
    }
    if (strcmp(arg, "--profile") == 0) {
      o->profile = true;
    } else if (strcmp(arg, "--stream") == 0) {
      o->stream = true;
    } else if (strcmp(arg, "--json") == 0) {
      o->json = true;
    } else if (arg[0] == '-') {
      const Took result = take(o, arg, argv[i + 1]);  // argv ends with a null
      if (result == Took::unknown) return bad("unknown option", arg);
      if (result == Took::bad_value) return bad("this option needs another value", arg);
      ++i;
    } else if (o->plan) {
      return bad("one plan at a time, not also", arg);
    } else {
      o->plan = arg;
    }
  }
  return o->plan ? true : bad("an argument is missing", "model.plan");
}

}  // namespace edgeort
