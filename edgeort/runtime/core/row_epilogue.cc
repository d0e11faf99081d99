#include "row_epilogue.h"

#include "model.h"

namespace edgeort {
namespace {

// The node whose rows `node` may follow, or -1.
i32 leader(const Model& m, const Segment& segment, u32 node) {
  const NodeState& n = m.nodes[node];
  if (!n.follows_rows || n.skipped || n.scratch_bytes || n.thread_bytes) return -1;
  const TensorState& rows = m.tensors[m.input(node, 0)];
  const i32 made = rows.producer;
  if (made < static_cast<i32>(segment.begin) || rows.slice.root >= 0 || m.output(static_cast<u32>(made), 0) != m.input(node, 0)) return -1;
  const NodeState& first = m.nodes[made];
  if (!first.row_operands || first.skipped || first.row_epilogue) return -1;
  // Whatever else it reads must be there by then.
  for (int i = 1; i < m.record(node).inputs; ++i) {
    if (m.input(node, i) >= 0 && m.tensors[m.input(node, i)].producer >= made) return -1;
  }
  return made;
}

// Whose memory the result of `node` may take, now that it is written while `first` runs: not its operand's, where others read that
// after `first`; but that of operands whose rows `first` has read by the time that it ends its own.
void choose_places(Model& m, u32 node, u32 first) {
  if (m.output(node, 0) < 0) return;
  const i32 rows = m.input(node, 0);
  int operand = m.nodes[first].row_operands;
  for (i32& reuse : m.tensors[m.output(node, 0)].reuse) {
    if (reuse == rows && m.tensors[rows].uses > 1) reuse = -1;
    for (; reuse < 0 && operand < m.record(first).inputs; ++operand) {
      const Tensor& t = m.tensor_in(first, operand);
      if (bytes(t) == bytes(m.tensors[rows].tensor) && !t.pitch) reuse = m.input(first, operand);
    }
  }
}

}  // namespace

void plan_row_epilogues(Model& m, const Segment& segment) {
  for (u32 node = segment.begin; node < segment.end; ++node) {
    const i32 first = leader(m, segment, node);
    if (first < 0) continue;
    m.nodes[first].row_epilogue = node;
    m.nodes[node].skipped = true;
    m.nodes[node].within = static_cast<u32>(first) + 1;
    choose_places(m, node, static_cast<u32>(first));
  }
}

}  // namespace edgeort
