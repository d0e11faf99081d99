// Which tensor lives where: storages, their lifetimes, and one arena.
#include "model.h"

namespace edgeort {
namespace {

// Nodes in which little is pushed out of cache.
constexpr i32 kWarmNodes = 8;
constexpr size_t kNone = ~size_t{0};
// Places that are tried for a storage, and storages in an arena for which any is: more take longer to lay out than they gain.
constexpr int kMostTried = 16;
constexpr i32 kMostWarm = 2048;

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
    if (!too_large_ && !laid_out_before()) lay_out();
    if (too_large_) return out_of_memory();
    if (segment_.arena_bytes > limit) return Status::limit;
    segment_.arena = static_cast<u8*>(model_.pages.take(segment_.arena_bytes));
    if (!segment_.arena) return out_of_memory();
    segment_.storages = storages_;
    segment_.n_storages = n_;
    segment_.updatable = true;
    point();
    return Status::ok;
  }

 private:
  Status out_of_memory() { return model_.fail("out of memory for %zu bytes of activations", segment_.arena_bytes); }

  i32 add(const Storage& storage) {
    storages_[n_] = storage;
    in_arena_ += storage.place == Place::arena;
    return n_++;
  }

  i32 add_arena(size_t bytes, u32 first, i32 last, edgeort_block_kind kind, i32 owner) {
    too_large_ |= bytes > ~size_t{0} - kAlignment;
    const auto whole = static_cast<size_t>((bytes + kAlignment - 1) & ~(kAlignment - 1));
    return add({nullptr, whole, 0, static_cast<i32>(first), last, -1, Place::arena, kind, owner});
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
      } else if (const i32 taken = reusable(t, node, first); taken >= 0) {
        join(t, taken, node);
      } else {
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

  // The storage of an operand that `node`, or `first`, which it runs with, is the last to read, is large enough, and is seen through
  // no other operand.
  i32 reusable(const TensorState& t, u32 node, u32 first) const {
    for (const i32 candidate : t.reuse) {
      if (candidate < 0) continue;
      const i32 storage = model_.tensors[candidate].storage;
      const Storage& s = storages_[storage];
      const bool last = s.last == static_cast<i32>(node) || s.last == static_cast<i32>(first);
      if (s.place == Place::arena && last && s.bytes >= bytes(t.tensor) && alone(node, candidate, t) && alone(first, candidate, t))
        return storage;
    }
    return -1;
  }

  // Whether no operand or result of `node` but those two lies in the candidate's storage, nor what the stream that it ends still reads.
  bool alone(u32 node, i32 candidate, const TensorState& t) const {
    const NodeRecord& record = model_.record(node);
    if (model_.nodes[node].stream && !spares(model_, *model_.nodes[node].stream, candidate)) return false;
    for (u32 k = 0; k < u32{record.inputs} + record.outputs; ++k) {
      const i32 other = model_.plan.node_inputs(record)[k];  // outputs follow
      if (other < 0 || other == candidate || &model_.tensors[other] == &t) continue;
      if (model_.tensors[other].storage == model_.tensors[candidate].storage) return false;
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

  // Largest first (Pisarchyk and Lee 2020, greedy by size): the offset is the lowest that is free during its life, or of `large` ones one
  // whose bytes were in use a few nodes before, which are still in cache and need not be written back before they are written again.
  void place_all(size_t large) {
    i32 n = 0;
    for (i32 i = 0; i < n_; ++i) {
      if (storages_[i].place != Place::arena) continue;
      i32 at = n++;
      for (; at > 0 && storages_[order_[at - 1]].bytes < storages_[i].bytes; --at) order_[at] = order_[at - 1];
      order_[at] = i;
    }
    segment_.arena_bytes = 0;
    for (i32 done = 0; done < n; ++done) {  // order_[0, done) is kept sorted by rising offset; the rest waits, by size
      const i32 index = order_[done];
      Storage& s = storages_[index];
      size_t offset = 0, end;
      if (s.bytes < large || !warm_offset(done, s, &offset)) offset = free_offset(done, s, 0);
      s.offset = offset;
      too_large_ |= __builtin_add_overflow(offset, s.bytes, &end);
      if (end > segment_.arena_bytes) segment_.arena_bytes = end;
      i32 at = done;
      for (; at > 0 && storages_[order_[at - 1]].offset > offset; --at) order_[at] = order_[at - 1];
      order_[at] = index;
    }
  }

  // The lowest offset, `from` or above, that is free during the life of `s`; `placed` storages have theirs.
  size_t free_offset(i32 placed, const Storage& s, size_t from) const {
    size_t offset = from;
    for (i32 k = 0; k < placed; ++k) {
      const Storage& other = storages_[order_[k]];
      if (other.last < s.first || other.first > s.last) continue;
      if (other.offset >= offset + s.bytes) break;
      if (other.offset + other.bytes > offset) offset = other.offset + other.bytes;
    }
    return offset;
  }

  // That of the storage that was given up last of those whose place `s` may take without a larger arena.
  bool warm_offset(i32 placed, const Storage& s, size_t* offset) const {
    i32 latest = s.first - kWarmNodes;
    int tried = 0;
    for (i32 k = 0; k < placed && tried < kMostTried && latest < s.first - 1; ++k) {
      const Storage& other = storages_[order_[k]];
      if (other.last >= s.first || other.last <= latest || other.offset + s.bytes > segment_.arena_bytes) continue;
      ++tried;
      if (free_offset(placed, s, other.offset) != other.offset) continue;
      latest = other.last;
      *offset = other.offset;
    }
    return latest > s.first - kWarmNodes;
  }

  void lay_out() {
    place_all(kNone);
    const size_t least = segment_.arena_bytes;
    const size_t large[] = {0, least / 8, least / 4, kNone};  // small ones split what larger ones need
    for (int i = 0; in_arena_ <= kMostWarm && (i == 0 || segment_.arena_bytes > least); ++i) place_all(large[i]);
    if (!too_large_) remember();
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
  i32 n_ = 0, in_arena_ = 0;
  bool too_large_ = false;  // a size or offset overflowed
};

}  // namespace

Status plan_memory(Model& model, Segment& segment, u64 limit) { return Planner(model, segment).run(limit); }

}  // namespace edgeort
