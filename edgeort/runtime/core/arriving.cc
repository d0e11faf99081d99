#include "arriving.h"

#include <string.h>

using namespace edgeort;

namespace {

// Whether the run has begun. *needed: how many bytes prepare asked for, if it cannot be done without them.
Status begin(Model& m, u64* needed) {
  m.plan.wanted = 0;
  const Status status = m.begin();
  if (m.plan.wanted) {  // what it decided, it decided without them
    *needed = m.plan.wanted;
    m.reset_from(0);
    m.prepared = m.running = false;
    return Status::wait;
  }
  m.arriving.next = 0;
  m.arriving.begun = status == Status::ok;
  return status;
}

// What has to be there for a node: what it reads, and what the nodes do that run as its rows are done.
u64 needs_of(const Model& m, u32 node) {
  while (m.nodes[node].row_epilogue) node = m.nodes[node].row_epilogue;
  return m.arriving.needs[node];
}

size_t failed(const Model& m, Status status) { return ~size_t{0} - static_cast<size_t>(m.told(status)) + 1; }

void skip(Model& m) {
  u32& next = m.arriving.next;
  while (next < m.plan.n_nodes && m.nodes[next].skipped) ++next;
}

}  // namespace

Status edgeort::begin_arriving(Model& m) {
  m.arriving.needs = static_cast<u64*>(m.memory.take(size_t{m.plan.n_nodes} * sizeof(u64)));
  if (!m.arriving.needs) return m.out_of_memory();
  const u64 data = static_cast<u64>(m.plan.data - m.plan.base);
  u64 most = sizeof(Header);
  for (u32 node = 0; node < m.plan.n_nodes; ++node) {
    for (int k = 0; k < m.record(node).inputs; ++k) {
      const i32 t = m.input(node, k);
      if (t < 0 || static_cast<Kind>(m.plan.tensors[t].kind) != Kind::constant) continue;
      const u64 end = data + m.plan.tensors[t].data + m.plan.tensors[t].bytes;
      if (end > most) most = end;
    }
    m.arriving.needs[node] = most;
  }
  return Status::ok;
}

size_t edgeort_arriving_size(const void* data, size_t here) {
  if (here < sizeof(Header) || memcmp(data, kMagic, sizeof(kMagic)) != 0) return 0;
  const u64 size = static_cast<const Header*>(data)->size;
  return size <= ~size_t{0} / 2 ? static_cast<size_t>(size) : 0;
}

size_t edgeort_run_arriving(edgeort_model* model, size_t here) {
  const FloatMode mode;
  Model& m = *model;
  const size_t size = static_cast<size_t>(m.plan.end - m.plan.base);
  m.plan.here = m.plan.base + here;
  u64 needed = 0;
  if (!m.arriving.begun) {
    const Status status = begin(m, &needed);
    if (status != Status::ok) return status == Status::wait ? static_cast<size_t>(needed) : failed(m, status);
  } else if (m.arriving.next < m.segments[0].end && needs_of(m, m.arriving.next) <= here) {
    m.run_node(m.arriving.next++);
  }
  skip(m);
  if (m.arriving.next < m.segments[0].end) return static_cast<size_t>(needs_of(m, m.arriving.next));
  if (here < size) return size;
  m.arriving.begun = false;
  // Steps whose shapes depend on data come when all is there; the first has been run.
  const Status status = m.finish();
  return status == Status::ok ? 0 : failed(m, status);
}
