#include "update.h"

#include <string.h>

#include "model.h"

namespace edgeort {
namespace {

size_t whole_lines(size_t size) { return (size + kAlignment - 1) & ~(kAlignment - 1); }

bool is_reached(const Model& m, u32 node) {
  if (m.nodes[node].varies) return true;
  for (int i = 0; i < m.record(node).inputs; ++i) {
    const i32 t = m.input(node, i);
    if (t >= 0 && m.tensors[t].changed) return true;
  }
  return false;
}

// Whether the plan of the segment knows more of the node than how much memory it takes.
bool is_tied(const Model& m, u32 node) {
  const NodeState& n = m.nodes[node];
  if (n.stream || n.row_epilogue || n.joins || n.cuts || (n.follows_rows && n.skipped)) return true;
  for (int i = 0; i < m.record(node).outputs; ++i) {
    const i32 t = m.output(node, i);
    if (t >= 0 && m.tensors[t].streamed) return true;
  }
  return false;
}

// Calls then(tensor) for every operand that is a slice.
template <class F>
void each_slice(Model& m, u32 node, const F& then) {
  for (int i = 0; i < m.record(node).inputs; ++i) {
    const i32 t = m.input(node, i);
    if (t >= 0 && m.tensors[t].tensor.pitch) then(m.tensors[t]);
  }
}

bool same_shape(const Tensor& a, const Tensor& b) {
  bool same = a.rank == b.rank && a.dtype == b.dtype && a.capacity == b.capacity;
  for (int d = 0; same && d < a.rank; ++d) same = a.dims[d] == b.dims[d];
  return same;
}

// An output before its node is prepared again, and whether it then fits what is known of it.
class Output {
 public:
  void begin(TensorState& t) {
    t_ = &t;
    before_ = t.tensor;
    view_of_ = t.view_of;
    known_ = t.value_known;
    t.shaped = t.value_known = t.changed = t.slice_writer = false;
    t.view_of = -1;
    t.tensor.capacity = 0;
    if (known_) t.tensor.data = nullptr;
    for (int i = 0; i < kReuses; ++i) {
      reuse_[i] = t.reuse[i];
      t.reuse[i] = -1;
    }
  }

  bool fits(const Model& m, const Segment& segment) const {
    const Tensor& now = t_->tensor;
    const bool same = same_shape(now, before_);
    if (t_->value_known != known_ || t_->view_of != view_of_) return false;
    t_->changed = !same || (known_ && memcmp(now.data, before_.data, bytes(now)) != 0);
    if (t_->slice.root >= 0 && !t_->slice_writer) return false;
    // It, as a slice of others, or others as slices of it, know how far apart rows lie.
    if ((t_->slice.root >= 0 || t_->slice_readers > 0) &&
        (now.rank != before_.rank || (now.rank > 0 && now.dims[now.rank - 1] != before_.dims[now.rank - 1])))
      return false;
    if (known_ || now.capacity || view_of_ >= 0 || t_->home < 0) return true;
    const Storage& storage = segment.storages[t_->home];
    return storage.place != Place::arena || (bytes(now) <= storage.bytes && may_stay(m, storage.over));
  }

 private:
  // Whether its node may still write where it does, also over storage `over`: what it lies over may be read more than once now.
  bool may_stay(const Model& m, i32 over) const {
    for (const i32 before : reuse_) {
      bool allowed = before < 0 || (m.tensors[before].home != t_->home && (over < 0 || m.tensors[before].home != over));
      for (const i32 reuse : t_->reuse) allowed = allowed || reuse == before;
      if (!allowed) return false;
    }
    return true;
  }

  TensorState* t_;
  Tensor before_;
  i32 view_of_;
  i32 reuse_[kReuses];
  bool known_;
};

bool prepare_again(Model& m, const Segment& segment, u32 node) {
  constexpr int kMostOutputs = 8;
  NodeState& n = m.nodes[node];
  const int outputs = m.record(node).outputs;
  if (is_tied(m, node) || outputs > kMostOutputs) return false;
  const NodeState before = n;
  n.state = nullptr;
  n.scratch_bytes = n.thread_bytes = 0;
  n.varies = true;
  Output made[kMostOutputs];
  int count = 0;
  for (int i = 0; i < outputs; ++i) {
    if (const i32 t = m.output(node, i); t >= 0) made[count++].begin(m.tensors[t]);
  }
  i64 readers = 0, read = 0;
  each_slice(m, node, [&](TensorState& t) { readers += t.slice_readers; });
  each_slice(m, node, [&](TensorState& t) { --t.slice_readers; });
  if (m.prepare_node(node) != Status::ok || n.skipped != before.skipped) return false;
  each_slice(m, node, [&](TensorState& t) { read += t.slice_readers; });
  if (read != readers) return false;  // other sizes, another way to read
  for (int i = 0; i < count; ++i) {
    if (!made[i].fits(m, segment)) return false;
  }
  if (whole_lines(n.scratch_bytes) > whole_lines(before.scratch_bytes) || n.thread_bytes > before.thread_bytes) return false;
  if (n.scratch_bytes < before.scratch_bytes) n.scratch_bytes = before.scratch_bytes;  // more may still be the same lines
  n.thread_bytes = before.thread_bytes;
  return !n.joins && !n.cuts;
}

}  // namespace

bool update(Model& m) {
  if (m.n_segments == 0 || !m.segments[0].updatable) return false;
  m.reset_from(1);
  Segment& segment = m.segments[0];
  m.current = &segment;
  m.economy = segment.economy;
  // What nodes hold from the last update is compared with before it goes.
  const Bump first = segment.memory;
  segment.memory = Bump(&m.pages);
  bool done = true;
  for (u32 node = segment.begin; node < segment.end && done; ++node) done = !is_reached(m, node) || prepare_again(m, segment, node);
  segment.updated.free();
  segment.updated = segment.memory;
  segment.memory = first;
  return done;
}

}  // namespace edgeort
