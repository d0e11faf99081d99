// Which tensor lives where: storages, their lifetimes, and one arena.
#include "placing.h"
#include "stages.h"

namespace edgeort {
namespace {

class Planner {
 public:
  Planner(Model& model, Segment& segment) : model_(model), segment_(segment) {}

  Status run(u64 limit) {
    const u32 nodes = segment_.end - segment_.begin;
    const size_t most = size_t{model_.plan.n_tensors} + model_.plan.n_inputs + 2 * size_t{nodes} + 1;
    storages_ = static_cast<Storage*>(segment_.memory.take(most * sizeof(Storage)));
    order_ = static_cast<i32*>(segment_.memory.take(most * sizeof(i32)));
    scratch_ = static_cast<i32*>(segment_.memory.take(2 * size_t{nodes} * sizeof(i32)));
    if (!storages_ || !order_ || !scratch_) return out_of_memory();
    for (u32 i = 0; i < model_.plan.n_tensors; ++i) {
      TensorState& t = model_.tensors[i];
      t.storage = -1;
      if (!t.tensor.data) continue;
      // A view of an input that an earlier segment made stays one: the caller may set other data for the next run.
      t.storage = add({t.tensor.data, 0, 0, 0, 0, t.input, t.input >= 0 ? Place::input : Place::fixed});
    }
    for (u32 i = 0; i < model_.plan.n_inputs; ++i) {
      model_.tensors[model_.plan.inputs[i]].storage = add({nullptr, 0, 0, 0, 0, static_cast<i32>(i), Place::input});
    }
    for (u32 node = segment_.begin; node < segment_.end; ++node) visit(node);
    if (!too_large_ && !laid_out_before()) {
      too_large_ = !lay_out(storages_, n_, order_, &segment_.arena_bytes);
      if (!too_large_) remember();
    }
    if (too_large_) return out_of_memory();
    if (segment_.arena_bytes > limit) return Status::limit;
    segment_.arena = static_cast<u8*>(model_.pages.take(segment_.arena_bytes, false));
    if (!segment_.arena) return out_of_memory();
    segment_.storages = storages_;
    segment_.n_storages = n_;
    segment_.updatable = true;
    point();
    return Status::ok;
  }

 private:
  Status out_of_memory() { return model_.out_of_memory("out of memory for %zu bytes of activations", segment_.arena_bytes); }

  i32 add(const Storage& storage) {
    Storage& s = storages_[n_] = storage;
    s.root = n_;
    s.high = static_cast<i64>(s.bytes);
    return n_++;
  }

  // Has a storage begin `distance` bytes from where `over` does.
  void tie(i32 index, i32 over, i64 distance) {
    Storage& s = storages_[index];
    Storage& root = storages_[storages_[over].root];
    i64 end, extent;
    s.over = over;
    s.root = root.root;
    s.next = root.next;
    root.next = index;
    too_large_ |= __builtin_add_overflow(storages_[over].at, distance, &s.at) || __builtin_add_overflow(s.at, s.bytes, &end);
    if (too_large_) return;
    root.low = min_of(root.low, s.at);
    root.high = max_of(root.high, end);
    too_large_ |= __builtin_sub_overflow(root.high, root.low, &extent) || static_cast<u64>(extent) > ~size_t{0} - kAlignment;
  }

  static size_t whole(size_t bytes) { return (bytes + kAlignment - 1) & ~(kAlignment - 1); }

  i32 add_arena(size_t bytes, u32 first, i32 last, edgeort_block_kind kind, i32 owner) {
    too_large_ |= bytes > ~size_t{0} - kAlignment;
    return add({nullptr, whole(bytes), 0, static_cast<i32>(first), last, -1, Place::arena, kind, owner});
  }

  i32 add_tensor(i32 index, u32 first, u32 node) {
    const TensorState& t = model_.tensors[index];
    return add_arena(bytes(t.tensor), first, last_of(t, node), EDGEORT_BLOCK_TENSOR, index);
  }

  i32 add_scratch(size_t bytes, u32 node, edgeort_block_kind kind) {
    return bytes ? add_arena(bytes, node, static_cast<i32>(node), kind, static_cast<i32>(node)) : -1;
  }

  void visit(u32 node) {
    const NodeState& state = model_.nodes[node];
    place(node, node);
    if (state.row_epilogue) place(state.row_epilogue, node);
    const u32 slot = 2 * (node - segment_.begin);
    scratch_[slot] = add_scratch(state.scratch_bytes, node, EDGEORT_BLOCK_SCRATCH);
    const size_t threads = static_cast<size_t>(model_.pool->threads());
    size_t all;
    too_large_ |= __builtin_mul_overflow(state.thread_bytes, threads, &all);
    scratch_[slot + 1] = add_scratch(all, node, EDGEORT_BLOCK_THREADS);
  }

  // The outputs of `node`, which are written from node `first` on.
  void place(u32 node, u32 first) {
    const NodeRecord& record = model_.record(node);
    for (u32 k = 0; k < record.outputs; ++k) {
      const i32 index = model_.plan.node_outputs(record)[k];
      if (index < 0) continue;
      TensorState& t = model_.tensors[index];
      if (t.storage >= 0 || t.streamed) continue;  // known at prepare, or never whole
      if (t.slice.root >= 0) {
        const i32 root = slice_of(model_, index).root;
        i32& storage = model_.tensors[root].storage;
        if (storage < 0) storage = add_tensor(root, first, node);
        join(t, storage, node);
      } else if (t.view_of >= 0 || t.tensor.capacity) {
        join(t, model_.tensors[t.view_of >= 0 ? t.view_of : t.grows_from].storage, node);
      } else if (!lay_over(index, node, first)) {
        t.storage = add_tensor(index, first, node);
        ++storages_[t.storage].tensors;
      }
    }
  }

  // What later segments read must outlast this one; what nobody reads is still written.
  i32 last_of(const TensorState& t, u32 node) const {
    const i32 used = t.last_use < t.held ? t.held : t.last_use;
    const i32 last = used < static_cast<i32>(node) ? static_cast<i32>(node) : used;
    return last >= static_cast<i32>(segment_.end) ? static_cast<i32>(model_.plan.n_nodes) : last;
  }

  void join(TensorState& t, i32 storage, u32 node) {
    t.storage = storage;
    const i32 last = last_of(t, node);
    if (storages_[storage].last < last) storages_[storage].last = last;
    ++storages_[storage].tensors;
  }

  // Lays a result over an operand that `node`, or `first`, which it runs with, is the last to read: in its storage, where it has the same
  // place and size, else in one that is tied to that. False where there is no such operand.
  bool lay_over(i32 index, u32 node, u32 first) {
    TensorState& t = model_.tensors[index];
    i64 distance = 0;
    const Stream* stream = model_.nodes[node].stream;
    const i32 over = stream ? overlaid(*stream, node, &distance) : reusable(t, node, first);
    if (over < 0) return false;
    if (distance == 0 && storages_[over].bytes == whole(bytes(t.tensor))) {
      join(t, over, node);
    } else {
      t.storage = add_tensor(index, first, node);
      ++storages_[t.storage].tensors;
      tie(t.storage, over, distance);
    }
    return true;
  }

  bool ends(i32 storage, u32 node) const {
    return storage >= 0 && storages_[storage].place == Place::arena && storages_[storage].last == static_cast<i32>(node);
  }

  // The storage of a tensor that a stream reads, and that its result may lie over: of a residual rather than of its image.
  i32 overlaid(const Stream& stream, u32 node, i64* distance) const {
    for (int i = stream.count - 1; i >= 0; --i) {
      for (int k = 0; k < model_.record(stream.stages[i].node).inputs; ++k) {
        const i32 operand = model_.input(stream.stages[i].node, k);
        const i32 storage = operand < 0 ? -1 : model_.tensors[operand].storage;
        if (ends(storage, node) && distance_over(model_, stream, operand, distance)) return storage;
      }
    }
    return -1;
  }

  // That of an operand of which each element is read before that of the result is written, and that is seen through no other operand.
  i32 reusable(const TensorState& t, u32 node, u32 first) const {
    for (const i32 candidate : t.reuse) {
      if (candidate < 0) continue;
      const i32 storage = model_.tensors[candidate].storage;
      if ((ends(storage, node) || ends(storage, first)) && alone(node, candidate, t) && alone(first, candidate, t)) return storage;
    }
    return -1;
  }

  // Whether no operand or result of `node` but those two lies in the candidate's storage, or over it.
  bool alone(u32 node, i32 candidate, const TensorState& t) const {
    const NodeRecord& record = model_.record(node);
    const i32 storage = model_.tensors[candidate].storage;
    for (u32 k = 0; k < u32{record.inputs} + record.outputs; ++k) {
      const i32 other = model_.plan.node_inputs(record)[k];  // outputs follow
      if (other < 0 || other == candidate || &model_.tensors[other] == &t) continue;
      const i32 its = model_.tensors[other].storage;
      if (its >= 0 && (its == storage || storages_[its].over == storage)) return false;
    }
    return true;
  }

  // Where the last model of these shapes, or of some like them, has the same storages, they lie as they did: a decoder's next token
  // changes few sizes, and seldom.
  bool laid_out_before() {
    Layout& last = model_.layout;
    if (last.count == n_ && segment_.begin == 0) {
      i32 same = 0;
      while (same < n_ && last.storages[same].same(storages_[same])) ++same;
      for (i32 i = 0; same == n_ && i < n_; ++i) storages_[i].offset = last.storages[i].offset;
      if (same == n_) segment_.arena_bytes = last.arena_bytes;
      return same == n_;
    }
    return false;
  }

  void remember() {
    Layout& last = model_.layout;
    if (segment_.begin != 0) return;
    last.count = 0;
    if (n_ > last.room) {
      if (last.storages) free_pages(last.storages, static_cast<size_t>(last.room) * sizeof(Storage));
      last.storages = static_cast<Storage*>(allocate_pages(static_cast<size_t>(n_) * sizeof(Storage)));
      last.room = last.storages ? n_ : 0;
    }
    if (n_ > last.room) return;
    for (i32 i = 0; i < n_; ++i) last.storages[i] = storages_[i];
    last.count = n_;
    last.arena_bytes = segment_.arena_bytes;
  }

  void point() {
    for (u32 i = 0; i < model_.plan.n_tensors; ++i) {
      TensorState& t = model_.tensors[i];
      if (t.producer >= static_cast<i32>(segment_.begin)) t.home = t.storage;
      if (t.storage < 0) continue;
      const Storage& s = storages_[t.storage];
      if (s.place == Place::arena) {
        const i64 column = slice_of(model_, static_cast<i32>(i)).column;
        t.tensor.data = segment_.arena + s.offset + static_cast<size_t>(column) * size_of(t.tensor.dtype);
      }
      if (s.place == Place::fixed) t.tensor.data = s.fixed;
      t.input = s.input;
    }
    for (u32 node = segment_.begin; node < segment_.end; ++node) {
      const i32* slot = scratch_ + 2 * (node - segment_.begin);
      if (slot[0] >= 0) model_.nodes[node].scratch = segment_.arena + storages_[slot[0]].offset;
      if (slot[1] >= 0) model_.nodes[node].thread_scratch = segment_.arena + storages_[slot[1]].offset;
    }
  }

  Model& model_;
  Segment& segment_;
  Storage* storages_ = nullptr;
  i32* order_ = nullptr;
  i32* scratch_ = nullptr;
  i32 n_ = 0;
  bool too_large_ = false;  // a size or offset overflowed
};

}  // namespace

Status plan_memory(Model& model, Segment& segment, u64 limit) { return Planner(model, segment).run(limit); }

}  // namespace edgeort
