// plan_fuzz run ISA THREADS PLAN...           runs valid plans twice each; a plan that fails is an error
// plan_fuzz states ISA THREADS PLAN...        the same four times each, with states wherever there may be some
// plan_fuzz sabotage ISA THREADS PLAN...      the same with a broken memory plan: must be found out
// plan_fuzz shorten ISA THREADS PLAN...       the same where results that lie over what streams read do so a line too far
// plan_fuzz mutate ISA SEED FIRST COUNT PLAN...   runs COUNT mutants from number FIRST on; a number and a seed make a mutant
#include <sanitizer/asan_interface.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

#include "checked.h"
#include "mutator.h"

using Bytes = std::vector<uint8_t>;

namespace {

unsigned long long current;  // the mutant in hand, for the report of a crash

void on_death() { fprintf(stderr, "\nDIED in mutant %llu\n", current); }

Bytes read_file(const char* path) {
  FILE* file = fopen(path, "rb");
  if (!file) {
    fprintf(stderr, "cannot open %s\n", path);
    exit(2);
  }
  Bytes bytes;
  uint8_t buffer[65536];
  for (size_t n; (n = fread(buffer, 1, sizeof(buffer), file)) > 0;) bytes.insert(bytes.end(), buffer, buffer + n);
  fclose(file);
  return bytes;
}

struct Case {
  Bytes plan;
  std::vector<Input> inputs;
};

uint64_t number(const Bytes& bytes, size_t* at) {
  uint64_t value;
  memcpy(&value, &bytes[*at], 8);
  *at += 8;
  return value;
}

// PLAN and, if there is one, PLAN.inputs: for each input its rank, its dimensions, its size in bytes (u64 each) and its data.
Case read_case(const char* path) {
  Case result = {read_file(path), {}};
  const std::vector<char> name = [&] {
    std::vector<char> text(path, path + strlen(path));
    for (const char* suffix = ".inputs"; *suffix; ++suffix) text.push_back(*suffix);
    text.push_back(0);
    return text;
  }();
  FILE* file = fopen(name.data(), "rb");
  if (!file) return result;
  fclose(file);
  const Bytes bytes = read_file(name.data());
  for (size_t at = 0; at < bytes.size();) {
    Input input;
    input.dims.resize(number(bytes, &at));
    for (int64_t& dim : input.dims) dim = static_cast<int64_t>(number(bytes, &at));
    const size_t size = number(bytes, &at);
    input.data.assign(bytes.begin() + static_cast<long>(at), bytes.begin() + static_cast<long>(at + size));
    at += size;
    result.inputs.push_back(input);
  }
  return result;
}

Outcome run_mutant(const std::vector<Case>& cases, const char* isa, uint64_t seed, uint64_t number, char* error) {
  current = number;
  Random random(seed << 32 ^ number);
  const Case& chosen = cases[random.below(cases.size())];
  Bytes plan = chosen.plan;
  mutate_plan(plan, random);
  const Limits limits = {random.below(8) ? size_t{1} << 24 : size_t{1} << 15, 300, Bug::none,
                         static_cast<int64_t>(random.below(4) ? 0 : 20)};
  // One thread: a plan that takes too long is left by a jump out of its run.
  return run_plan(plan, random.below(2) ? chosen.inputs : std::vector<Input>(), 1, isa, random.next(), limits.most_rows ? 3 : 1, limits,
                  error);
}

int run_valid(int argc, char** argv) {
  const bool states = !strcmp(argv[1], "states");
  const Bug bug = !strcmp(argv[1], "sabotage") ? Bug::share_one_place : !strcmp(argv[1], "shorten") ? Bug::one_line_short : Bug::none;
  const int threads = atoi(argv[3]);
  for (int i = 4; i < argc; ++i) {
    const Case valid = read_case(argv[i]);
    char error[EDGEORT_ERROR_BYTES] = {};
    const Limits limits = {size_t{1} << 32, 0, bug, states ? 100 : 0};
    if (run_plan(valid.plan, valid.inputs, threads, argv[2], 1, states ? 4 : 2, limits, error) != Outcome::ran) {
      fprintf(stderr, "FAILED %s: %s\n", argv[i], error);
      return 1;
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  __asan_set_death_callback(on_death);
  if (argc < 5) return 2;
  if (strcmp(argv[1], "mutate") != 0) return run_valid(argc, argv);
  std::vector<Case> cases;
  for (int i = 6; i < argc; ++i) cases.push_back(read_case(argv[i]));
  if (cases.empty()) return 2;
  const uint64_t seed = strtoull(argv[3], nullptr, 10), first = strtoull(argv[4], nullptr, 10), count = strtoull(argv[5], nullptr, 10);
  char error[EDGEORT_ERROR_BYTES] = {};
  unsigned long long counts[4] = {};
  for (uint64_t i = 0; i < count; ++i) ++counts[static_cast<int>(run_mutant(cases, argv[2], seed, first + i, error))];
  printf("refused %llu failed %llu late %llu ran %llu\n", counts[0], counts[1], counts[2], counts[3]);
  return 0;
}
