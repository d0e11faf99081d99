#include "slices.h"

#include "model.h"

namespace edgeort {
namespace {

// This segment makes the tensor, and all that read it can read it as a slice (who takes a graph's output cannot).
bool can_be_slice(const Model& m, const Segment& segment, i32 tensor) {
  const TensorState& t = m.tensors[tensor];
  const bool made_here = t.producer >= static_cast<i32>(segment.begin) && t.producer < static_cast<i32>(segment.end);
  return made_here && !t.value_known && t.view_of < 0 && t.slice.root < 0 && t.uses == t.slice_readers;
}

i64 columns(const Tensor& t) { return t.dims[t.rank - 1]; }

// Leaves an output of a Split where it is in the input.
void cut(Model& m, const Segment& segment, u32 node, i32 part) {
  const i32 whole = m.input(node, 0);
  const TensorState& w = m.tensors[whole];
  if (w.producer < static_cast<i32>(segment.begin) || w.value_known || w.view_of >= 0 || !can_be_slice(m, segment, part)) return;
  m.tensors[part].slice = {whole, m.tensors[part].cut_column};
}

// How many columns a Concat would find in place if `tensor` stood at `column` of its result.
i64 in_place(const Model& m, u32 node, i32 tensor, i64 column) {
  i64 at = 0, total = 0;
  for (int i = 0; i < m.record(node).inputs; ++i) {
    const TensorState& t = m.tensors[m.input(node, i)];
    if (t.slice.root == tensor && column + t.slice.column == at) total += columns(t.tensor);
    at += columns(t.tensor);
  }
  return total;
}

// Has an input of a Concat, or the tensor that it and its neighbours are cut from, written to its place in the result.
void place(Model& m, const Segment& segment, u32 node, i32 part, i64 column) {
  const i32 whole = m.output(node, 0);
  if (const Slice& cut = m.tensors[part].slice; cut.root >= 0) {
    column -= cut.column;
    part = cut.root;
    if (part == whole || column < 0 || in_place(m, node, part, column) != columns(m.tensors[part].tensor)) return;
  }
  if (m.tensors[part].slice_writer && can_be_slice(m, segment, part)) m.tensors[part].slice = {whole, column};
}

void choose(Model& m, const Segment& segment, u32 node) {
  const NodeRecord& record = m.record(node);
  if (m.nodes[node].cuts) {
    for (int i = 0; i < record.outputs; ++i) {
      if (m.output(node, i) >= 0) cut(m, segment, node, m.output(node, i));
    }
  }
  if (!m.nodes[node].joins) return;
  i64 column = 0;
  for (int i = 0; i < record.inputs; ++i) {
    place(m, segment, node, m.input(node, i), column);
    column += columns(m.tensor_in(node, i));
  }
}

bool touches_slice(const Model& m, u32 node) {
  const NodeRecord& record = m.record(node);
  for (u32 k = 0; k < u32{record.inputs} + record.outputs; ++k) {
    const i32 t = m.plan.node_inputs(record)[k];  // outputs follow
    if (t >= 0 && m.tensors[t].tensor.pitch) return true;
  }
  return false;
}

// A Concat or Split all of whose parts are in place.
bool nothing_to_copy(const Model& m, u32 node) {
  const NodeState& n = m.nodes[node];
  if (!n.joins && !n.cuts) return false;
  const i32 whole = n.joins ? m.output(node, 0) : m.input(node, 0);
  const Slice at = slice_of(m, whole);
  const int parts = n.joins ? m.record(node).inputs : m.record(node).outputs;
  for (i64 i = 0, column = at.column; i < parts; ++i) {
    const i32 part = n.joins ? m.input(node, static_cast<int>(i)) : m.output(node, static_cast<int>(i));
    if (part < 0) continue;
    const Slice found = slice_of(m, part);
    if (n.joins ? found.root != at.root || found.column != column : m.tensors[part].slice.root != whole) return false;
    column += columns(m.tensors[part].tensor);
  }
  return true;
}

}  // namespace

Slice slice_of(const Model& m, i32 tensor) {
  Slice found = {tensor, 0};
  for (Slice next; (next = m.tensors[found.root].slice).root >= 0;) found = {next.root, found.column + next.column};
  return found;
}

Status plan_slices(Model& m, const Segment& segment) {
  for (u32 node = segment.begin; node < segment.end; ++node) {
    if (!m.nodes[node].skipped) choose(m, segment, node);
  }
  for (u32 i = 0; i < m.plan.n_tensors; ++i) {
    TensorState& t = m.tensors[i];
    if (t.slice.root >= 0) t.tensor.pitch = columns(m.tensors[slice_of(m, static_cast<i32>(i)).root].tensor);
  }
  for (u32 node = segment.begin; node < segment.end; ++node) {
    if (m.nodes[node].skipped || !touches_slice(m, node)) continue;
    for (int i = 0; i < m.record(node).outputs; ++i) {
      if (m.output(node, i) < 0) continue;
      for (i32& reuse : m.tensors[m.output(node, i)].reuse) reuse = -1;
    }
    Prepare again(m, node);
    EDGEORT_TRY(m.nodes[node].op->prepare(again));
    m.nodes[node].skipped = nothing_to_copy(m, node);
  }
  return Status::ok;
}

}  // namespace edgeort
