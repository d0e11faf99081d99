// The arena's layout, for those who want to see it.
#include "model.h"

namespace edgeort {
namespace {

edgeort_block describe(const Model& m, const Storage& s, size_t arena) {
  if (s.place != Place::arena) return {"", 0, 0, s.kind, 0, 0, 0};
  const bool is_tensor = s.kind == EDGEORT_BLOCK_TENSOR;
  const u32 name = is_tensor ? m.plan.tensors[s.owner].name : m.plan.nodes[s.owner].name;
  return {m.plan.strings + name, arena + s.offset, s.bytes, s.kind, s.tensors, s.first, s.last};
}

size_t body_bytes(const Model& m, u32 tensor) { return m.tensors[tensor].body ? m.tensors[tensor].body->arena_bytes() : 0; }

}  // namespace

bool block_of(const Model& m, u32 index, edgeort_block* block) {
  size_t arena = 0;
  for (u32 i = 0; i < m.n_segments; ++i) {
    const Segment& segment = m.segments[i];
    const auto count = static_cast<u32>(segment.n_storages);
    if (index < count) return *block = describe(m, segment.storages[index], arena), true;
    index -= count;
    arena += segment.arena_bytes;
  }
  if (index >= m.plan.n_tensors) return false;
  const size_t size = body_bytes(m, index);
  for (u32 i = 0; size && i < index; ++i) arena += body_bytes(m, i);
  const auto last = static_cast<i32>(m.plan.n_nodes);
  *block = {m.plan.strings + m.plan.tensors[index].name, arena, size, EDGEORT_BLOCK_BODY, 0, 0, last};
  return true;
}

}  // namespace edgeort
