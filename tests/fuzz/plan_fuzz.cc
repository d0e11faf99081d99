// plan_fuzz run ISA THREADS PLAN...           runs valid plans twice each; a plan that fails is an error
// plan_fuzz states ISA THREADS PLAN...        the same four times each, with states wherever there may be some
// plan_fuzz sabotage ISA THREADS PLAN...      the same with a broken memory plan: must be found out
// plan_fuzz mutate ISA SEED FIRST COUNT PLAN...   runs COUNT mutants from number FIRST on; a number and a seed make a mutant
#include <sanitizer/asan_interface.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

#include "checked.h"
#include "plan_layout.h"

using namespace edgeort;
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

// Values that are near some limit.
uint64_t interesting(Random& r) {
  static const int64_t values[] = {0,  1,  2,   3,   4,   5,     7,     8,       9,       15,         16,         17,        -1,
                                   -2, -3, -16, 255, 256, 65535, 65536, 1 << 20, 1 << 24, 0x7fffffff, 0x80000000, 0xffffffff};
  constexpr uint64_t n = sizeof(values) / sizeof(values[0]);
  const uint64_t pick = r.below(n + 6);
  if (pick < n) return static_cast<uint64_t>(values[pick]);
  const uint64_t rest[] = {r.next(),          uint64_t{1} << r.below(64), (uint64_t{1} << r.below(64)) - 1,
                           ~uint64_t{0} >> 1, uint64_t{1} << 40,          r.below(64)};
  return rest[pick - n];
}

class Mutator {
 public:
  Mutator(Bytes& plan, Random& random) : plan_(plan), r_(random) { memcpy(&header_, plan.data(), sizeof(header_)); }

  void mutate() {
    switch (r_.below(16)) {
      case 0:
        return flip();
      case 1:
        return cut();
      case 2:
        return word(0, sizeof(Header) / 8, 8);
      case 3:
        return tensor_type();
      case 4:
        return record(header_.tensors, sizeof(TensorRecord));
      case 5:
        return word(header_.dims[0], header_.dims[1], 8);
      case 6:
        return record(header_.nodes, sizeof(NodeRecord));
      case 7:
        return operands_count();
      case 8:
      case 9:
        return operand();
      case 10:
        return word(header_.data[0], header_.data[1] / 8, 8);
      case 11:
        return float_word();
      case 12:
        return word(header_.params[0], header_.params[1] / 8, 8);
      case 13:
        return byte(header_.params[0], header_.params[1]);
      default:
        return word(header_.params[0], header_.params[1] / 4, 4);
    }
  }

 private:
  void put(uint64_t at, const void* value, size_t size) {
    if (at <= plan_.size() && size <= plan_.size() - at) memcpy(plan_.data() + at, value, size);
  }

  void word(uint64_t offset, uint64_t n, size_t size) {
    const uint64_t value = interesting(r_);
    if (n) put(offset + r_.below(n) * size, &value, size);
  }

  void float_word() {
    const float values[] = {0.0f, -1.0f, 1e30f, -1e30f, 1e-30f, 0.5f, __builtin_nanf(""), __builtin_inff()};
    if (header_.params[1] >= 4) put(header_.params[0] + r_.below(header_.params[1] / 4) * 4, &values[r_.below(8)], 4);
  }

  void byte(uint64_t offset, uint64_t n) {
    const uint8_t value = static_cast<uint8_t>(r_.below(3) ? r_.below(40) : r_.next());
    if (n) put(offset + r_.below(n), &value, 1);
  }

  void flip() {
    for (uint64_t i = 0; i <= r_.below(4); ++i) {
      const uint64_t at = r_.below(r_.below(2) ? plan_.size() : header_.data[0]);
      if (at < plan_.size()) plan_[at] ^= static_cast<uint8_t>(1u << r_.below(8));
    }
  }

  void cut() {
    plan_.resize(r_.below(plan_.size()) + 1);
    const uint64_t size = plan_.size();
    if (r_.below(2)) put(offsetof(Header, size), &size, 8);
  }

  void record(const uint64_t table[2], size_t size) {
    if (!table[1]) return;
    const uint64_t at = table[0] + r_.below(table[1]) * size;
    if (r_.below(2)) return word(at, size / 4, 4);
    byte(at, size);
  }

  // Another element type or rank, which the reader accepts.
  void tensor_type() {
    if (!header_.tensors[1]) return;
    const uint64_t at = header_.tensors[0] + r_.below(header_.tensors[1]) * sizeof(TensorRecord);
    const uint8_t value = static_cast<uint8_t>(r_.below(kDTypes));
    if (r_.below(2)) {
      put(at + offsetof(TensorRecord, dtype), &value, 1);
    } else {
      const uint8_t rank = static_cast<uint8_t>(r_.below(kMaxRank + 1));
      put(at + offsetof(TensorRecord, rank), &rank, 1);
    }
  }

  // Fewer or more operands, and another operator.
  void operands_count() {
    if (!header_.nodes[1]) return;
    const uint64_t at = header_.nodes[0] + r_.below(header_.nodes[1]) * sizeof(NodeRecord);
    const uint16_t n = static_cast<uint16_t>(r_.below(5));
    const uint32_t op = static_cast<uint32_t>(r_.below(header_.ops[1]));
    switch (r_.below(3)) {
      case 0:
        return put(at + offsetof(NodeRecord, inputs), &n, 2);
      case 1:
        return put(at + offsetof(NodeRecord, outputs), &n, 2);
      default:
        return put(at + offsetof(NodeRecord, op), &op, 4);
    }
  }

  void operand() {
    const int32_t value = static_cast<int32_t>(r_.below(header_.tensors[1] + 1)) - 1;
    if (header_.operands[1]) put(header_.operands[0] + r_.below(header_.operands[1]) * 4, &value, 4);
  }

  Bytes& plan_;
  Random& r_;
  Header header_;
};

Outcome run_mutant(const std::vector<Case>& cases, const char* isa, uint64_t seed, uint64_t number, char* error) {
  current = number;
  Random random(seed << 32 ^ number);
  const Case& chosen = cases[random.below(cases.size())];
  Bytes plan = chosen.plan;
  for (uint64_t i = 0; i <= random.below(3); ++i) {
    if (plan.size() > sizeof(Header)) Mutator(plan, random).mutate();
  }
  const Limits limits = {random.below(8) ? size_t{1} << 24 : size_t{1} << 15, 300, false, static_cast<int64_t>(random.below(4) ? 0 : 20)};
  // One thread: a plan that takes too long is left by a jump out of its run.
  return run_plan(plan, random.below(2) ? chosen.inputs : std::vector<Input>(), 1, isa, random.next(), limits.most_rows ? 3 : 1, limits,
                  error);
}

int run_valid(int argc, char** argv) {
  const bool sabotaged = !strcmp(argv[1], "sabotage"), states = !strcmp(argv[1], "states");
  const int threads = atoi(argv[3]);
  for (int i = 4; i < argc; ++i) {
    const Case valid = read_case(argv[i]);
    char error[EDGEORT_ERROR_BYTES] = {};
    const Limits limits = {size_t{1} << 32, 0, sabotaged, states ? 100 : 0};
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
