// libFuzzer: a plan is opened, prepared and run. Its changes are those of the mutator, and libFuzzer's own in the parameters, where they
// leave every offset as it is.
#include <stdlib.h>
#include <string.h>

#include "checked.h"
#include "mutator.h"
#include "plan_layout.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t most);

namespace {

uint64_t hash(const uint8_t* data, size_t size) {  // FNV-1a of words
  uint64_t state = 14695981039346656037u;
  for (size_t i = 0; i < size; i += sizeof(state)) {
    uint64_t word = 0;
    memcpy(&word, data + i, size - i < sizeof(word) ? size - i : sizeof(word));
    state = (state ^ word) * 1099511628211u;
    state ^= state >> 32;
  }
  return state;
}

const char* level() {
  const char* name = getenv("EDGEORT_FUZZ_ISA");
  return name && *name ? name : nullptr;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (!size) return -1;
  static const char* const isa = level();
  Random random(hash(data, size));
  const bool bound = random.below(4) == 0;  // inputs that may be states are some
  const Limits limits = {random.below(8) ? size_t{1} << 22 : size_t{1} << 15, 25, Bug::none, bound ? 20 : 0};
  char error[EDGEORT_ERROR_BYTES] = {};
  const std::vector<uint8_t> plan(data, data + size);
  const Outcome outcome = run_plan(plan, {}, 1, isa, random.next(), bound ? 3 : 1, limits, error);
  return outcome == Outcome::late ? -1 : 0;  // what takes long is not kept
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t most, unsigned seed) {
  Random random(seed);
  if (const Section params = params_of(data, size); params.size && random.below(3) == 0) {
    LLVMFuzzerMutate(data + params.offset, params.size, params.size);
    return size;
  }
  std::vector<uint8_t> plan(data, data + size);
  mutate_plan(plan, random);
  const uint64_t now = plan.size();
  if (now >= sizeof(edgeort::Header) && random.below(16)) memcpy(plan.data() + offsetof(edgeort::Header, size), &now, sizeof(now));
  memcpy(data, plan.data(), now < most ? now : most);
  return now < most ? now : most;
}
