// Built with -fno-access-control: it looks into the model. Its table of operators is in the place of the library's.
#include "watching.h"

#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocations.h"
#include "ops.h"

using namespace edgeort;

u64* sums;
bool* summed;

namespace {

[[noreturn]] void broken(const char* promise, const Model& m, u32 node) {
  fprintf(stderr, "BROKEN: %s: node %u \"%s\" (%s)\n", promise, node, m.plan.strings + m.record(node).name, m.nodes[node].op->name);
  abort();
}

// Calls body(data, size) for the tensor's bytes, or for each row of a slice.
template <class F>
void for_rows(const Tensor& t, const F& body) {
  if (!t.pitch || !bytes(t)) return body(t.as<u8>(), bytes(t));
  const size_t row = static_cast<size_t>(t.dims[t.rank - 1]) * size_of(t.dtype);
  for (size_t i = 0; i < bytes(t) / row; ++i) body(t.as<u8>() + i * static_cast<size_t>(t.pitch) * size_of(t.dtype), row);
}

u64 sum_of(const Tensor& t) {
  u64 sum = bytes(t);
  for_rows(t, [&](const u8* data, size_t size) {
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
      u64 word;
      memcpy(&word, data + i, 8);
      sum = (sum ^ word) * 0x9E3779B97F4A7C15u;
      sum ^= sum >> 29;
    }
    for (; i < size; ++i) sum = (sum ^ data[i]) * 0x9E3779B97F4A7C15u;
  });
  return sum;
}

i32 root(const Model& m, i32 tensor) {
  while (m.tensors[tensor].view_of >= 0) tensor = m.tensors[tensor].view_of;
  return tensor;
}

}  // namespace

void expect(const Model& m, i32 tensor, u32 node) {
  const i32 owner = root(m, tensor);
  // What a Concat or Split did not copy was made by others: its parts, or the whole that it is cut from.
  for (u32 i = 0; i < m.plan.n_tensors; ++i) {
    if (m.tensors[i].slice.root == owner && summed[i]) expect(m, static_cast<i32>(i), node);
  }
  if (const i32 whole = m.tensors[owner].slice.root; whole >= 0 && !summed[owner] && summed[whole]) expect(m, whole, node);
  if (!summed[owner]) return;
  // A view has the bytes of its owner, in another shape.
  Tensor t = m.tensors[owner].tensor;
  t.data = m.tensors[tensor].tensor.data;
  if (bytes(t) != bytes(m.tensors[tensor].tensor)) broken("a view has another size than what it shows", m, node);
  if (sum_of(t) != sums[owner]) broken("an operand changed between its producer and this reader", m, node);
}

void poison_arenas(const Model& m, bool on) {
  for (u32 i = 0; i < m.n_segments; ++i) {
    const Segment& s = m.segments[i];
    if (!s.arena) continue;
    (on ? __asan_poison_memory_region : __asan_unpoison_memory_region)(s.arena, s.arena_bytes);
  }
}

namespace {

void allow(const void* data, size_t size) {
  if (data && size) __asan_unpoison_memory_region(data, size);
}

void allow(const Tensor& t) {
  for_rows(t, [](const u8* data, size_t size) { allow(data, size); });
}

void expect_inputs(const Model& m, u32 node) {
  const NodeRecord& record = m.record(node);
  for (u32 i = 0; i < record.inputs; ++i) {
    const i32 tensor = m.plan.node_inputs(record)[i];
    if (tensor >= 0 && !m.tensors[tensor].streamed) expect(m, tensor, node);
  }
}

void allow_all(const Model& m, u32 node) {
  const NodeRecord& record = m.record(node);
  for (u32 i = 0; i < u32{record.inputs} + record.outputs; ++i) {
    const i32 tensor = m.plan.node_inputs(record)[i];  // outputs follow
    if (tensor >= 0 && !m.tensors[tensor].streamed) allow(m.tensors[tensor].tensor);
  }
  const NodeState& n = m.nodes[node];
  allow(n.scratch, n.scratch_bytes);
  allow(n.thread_scratch, n.thread_bytes * static_cast<size_t>(m.pool->threads()));
}

// `node` ends a stream, or runs alone, but for its row epilogue. The nodes of its stream are those whose image exists only line by
// line, and it.
void before(const Model& m, u32 node) {
  u32 nodes[65] = {node};
  int n = 1;
  for (i32 image; n < 64 && (image = m.input(nodes[n - 1], 0)) >= 0 && m.tensors[image].streamed; ++n)
    nodes[n] = static_cast<u32>(m.tensors[image].producer);
  if (m.nodes[node].row_epilogue) nodes[n++] = m.nodes[node].row_epilogue;
  for (int i = 0; i < n; ++i) expect_inputs(m, nodes[i]);
  poison_arenas(m, true);
  for (int i = 0; i < n; ++i) allow_all(m, nodes[i]);
}

void after(const Model& m, u32 node) {
  poison_arenas(m, false);
  for (int i = 0; i < m.record(node).outputs; ++i) {
    const i32 tensor = m.output(node, i);
    if (tensor < 0) continue;
    if (root(m, tensor) != tensor) continue;
    sums[tensor] = sum_of(m.tensors[tensor].tensor);
    summed[tensor] = true;
  }
  if (m.nodes[node].row_epilogue) after(m, m.nodes[node].row_epilogue);
}

bool overlap(const Tensor& a, const Tensor& b) {
  return a.data && b.data && a.as<u8>() < b.as<u8>() + bytes(b) && b.as<u8>() < a.as<u8>() + bytes(a);
}

// Whether the node's result lies over something that it, or the stream that it ends, reads.
bool lies_over(const Model& m, u32 node) {
  const i32 result = m.output(node, 0);
  if (result < 0 || m.tensors[result].view_of >= 0 || m.tensors[result].tensor.pitch || m.tensors[result].tensor.capacity) return false;
  if (m.nodes[node].row_epilogue) return false;  // it would write twice, over what it reads
  bool found = m.nodes[node].stream != nullptr;
  for (int i = 0; i < m.record(node).inputs; ++i) found |= overlap(m.tensor_in(node, i), m.tensors[result].tensor);
  return found;
}

// Runs the node; first also with a result that has memory of its own, which must come out the same.
template <class F>
void watch(Model& m, u32 node, const F& run) {
  before(m, node);
  u64 apart = 0;
  const bool twice = lies_over(m, node);
  if (twice) {
    Tensor& result = m.tensors[m.output(node, 0)].tensor;
    void* const place = result.data;
    ++allocating;
    result.data = malloc(bytes(result) + 1);
    --allocating;
    run();
    apart = sum_of(result);
    ++allocating;
    free(result.data);
    --allocating;
    result.data = place;
  }
  run();
  if (twice && apart != sum_of(m.tensors[m.output(node, 0)].tensor))
    broken("a result has other bytes where it lies over an operand", m, node);
  after(m, node);
}

template <const OpDef* kOp>
void watched(Run& r) {
  // A body is not watched, the node that runs it is; nor is what opening a model runs for its largest inputs.
  if (r.model_.depth || !sums) return kOp->run(r);
  watch(r.model_, r.node_, [&] { kOp->run(r); });
}

}  // namespace

namespace edgeort {
#define X(op) extern const OpDef k##op;
OPERATORS
#undef X
namespace {
#define X(op)                                                                                  \
  const OpDef op##Watched = {k##op.name,   k##op.params_bytes, k##op.prepare, watched<&k##op>, \
                             k##op.stream, k##op.run_rows,     k##op.bodies,  k##op.grows};
OPERATORS
#undef X
}  // namespace
#define X(op) &op##Watched,
const OpDef* const kOps[] = {OPERATORS nullptr};
#undef X
}  // namespace edgeort

namespace edgeort {
void real_run_stream(Model& model, const Stream& stream) __asm__("__real__ZN7edgeort10run_streamERNS_5ModelERKNS_6StreamE");
void watched_run_stream(Model& model, const Stream& stream) __asm__("__wrap__ZN7edgeort10run_streamERNS_5ModelERKNS_6StreamE");
void watched_run_stream(Model& model, const Stream& stream) {
  if (model.depth || !sums) return real_run_stream(model, stream);
  u32 node = 0;
  while (model.nodes[node].stream != &stream) ++node;
  watch(model, node, [&] { real_run_stream(model, stream); });
}
}  // namespace edgeort
