// libFuzzer: the plan reader alone. Of what it accepts, everything is read that it says may be read.
#include <stdlib.h>
#include <string.h>

#include <memory>

#include "mutator.h"
#include "plan.h"
#include "texts.h"

using namespace edgeort;

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t most);

namespace {

u64 sum(const void* data, u64 size) {
  u64 found = 0;
  for (u64 i = 0; i < size; ++i) found = found * 31 + static_cast<const u8*>(data)[i];
  return found;
}

u64 read_tensor(const Plan& plan, const TensorRecord& t) {
  u64 found = strlen(plan.strings + t.name);
  if (static_cast<Kind>(t.kind) == Kind::activation) return found;
  i64 least = 0, most = 0;
  for (int axis = 0; axis < t.rank; ++axis) {
    found += static_cast<u64>(plan.dims[t.dims + static_cast<u32>(axis)]);
    if (static_cast<Kind>(t.kind) == Kind::input) plan.bounds_of(t, axis, &least, &most);
    if (least > most) abort();
  }
  return static_cast<Kind>(t.kind) == Kind::constant ? found + sum(plan.data + t.data, t.bytes) : found;
}

u64 read_node(const Plan& plan, const NodeRecord& node) {
  u64 found =
      strlen(plan.strings + node.name) + strlen(plan.strings + plan.ops[node.op]) + sum(plan.params + node.params, node.params_bytes);
  for (u32 i = 0; i < u32{node.inputs} + node.outputs; ++i) {
    const i32 tensor = plan.node_inputs(node)[i];
    if (tensor >= 0) found += plan.tensors[tensor].rank;
  }
  return found;
}

u64 read_all(const Plan& plan) {
  u64 found = 0;
  for (u32 i = 0; i < plan.n_tensors; ++i) found += read_tensor(plan, plan.tensors[i]);
  for (u32 i = 0; i < plan.n_nodes; ++i) found += read_node(plan, plan.nodes[i]);
  for (u32 i = 0; i < plan.n_inputs; ++i) found += plan.tensors[plan.inputs[i]].rank;
  for (u32 i = 0; i < plan.n_outputs; ++i) found += plan.tensors[plan.outputs[i]].rank;
  return found;
}

// The same of a plan that is still arriving: behind its first bytes there is nothing to be read.
void read_first(const uint8_t* data, size_t size, size_t here) {
  void* image = nullptr;
  if (posix_memalign(&image, kAlignment, here ? here : 1) != 0) abort();
  if (here) memcpy(image, data, here);
  Plan plan;
  if (!read_plan(static_cast<u8*>(image), size, here, &plan)) {
    const std::unique_ptr<u8[]> ready(new u8[plan.n_tensors]);
    static_cast<void>(check_order(plan, ready.get()));
  } else if (plan.wanted && (plan.wanted <= here || plan.wanted > size)) {
    abort();  // whoever brings what it asks for would never be done
  }
  free(image);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size) read_first(data, size, size * data[size - 1] / 256);
  void* image = nullptr;
  if (posix_memalign(&image, kAlignment, size ? size : 1) != 0) abort();  // its end is a sanitizer's
  if (size) memcpy(image, data, size);
  Plan plan;
  if (!read_plan(static_cast<u8*>(image), size, size, &plan)) {
    volatile u64 found = read_all(plan);
    static_cast<void>(found);
    const std::unique_ptr<u8[]> ready(new u8[plan.n_tensors]);
    static_cast<void>(check_order(plan, ready.get()));
  }
  free(image);
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t most, unsigned seed) {
  Random random(seed);
  if (random.below(4) == 0) return LLVMFuzzerMutate(data, size, most);
  std::vector<uint8_t> plan(data, data + size);
  mutate_plan(plan, random);
  const u64 now = plan.size() < most ? plan.size() : most;
  if (now >= sizeof(Header) && random.below(16)) memcpy(plan.data() + offsetof(Header, size), &now, sizeof(now));
  memcpy(data, plan.data(), now);
  return now;
}
