#include "placing.h"

namespace edgeort {
namespace {

// Nodes in which little is pushed out of cache.
constexpr i32 kWarmNodes = 16;
constexpr size_t kNone = ~size_t{0};
// Places that are tried for a storage, and storages in an arena for which any is: more take longer to lay out than they gain.
constexpr int kMostTried = 16;
constexpr i32 kMostWarm = 2048;
// How often all of a group goes through what is placed; then it goes above that: steps of one group could lead another up one by one.
constexpr int kMostPasses = 32;

class Placing {
 public:
  Placing(Storage* storages, i32 n, i32* order) : storages_(storages), order_(order), n_(n) {
    for (i32 i = 0; i < n; ++i) {
      in_arena_ += is_placed(i);
      groups_ += is_placed(i) && storages[i].over < 0;
    }
  }

  bool run(size_t* arena_bytes) {
    place_all(kNone);
    const size_t least = arena_bytes_;
    const size_t large[] = {0, least / 8, least / 4, kNone};  // small ones split what larger ones need
    for (int i = 0; in_arena_ <= kMostWarm && (i == 0 || arena_bytes_ > least); ++i) place_all(large[i]);
    *arena_bytes = arena_bytes_;
    return !too_large_;
  }

 private:
  bool is_placed(i32 i) const { return storages_[i].place == Place::arena; }

  // Largest first (Pisarchyk and Lee 2020, greedy by size), groups as one: the offset is the lowest that is free during its life, or of
  // `large` ones one whose bytes were in use a few nodes before, which are still in cache and need not be written back before they are
  // written again.
  void place_all(size_t large) {
    i32 waiting = in_arena_ - groups_;
    // order_[0, placed) is kept sorted by rising offset; the roots of groups that wait stand at its end, by size.
    for (i32 i = 0, n = waiting; i < n_; ++i) {
      if (!is_placed(i) || storages_[i].over >= 0) continue;
      i32 at = n++;
      for (; at > waiting && storages_[order_[at - 1]].extent() < storages_[i].extent(); --at) order_[at] = order_[at - 1];
      order_[at] = i;
    }
    arena_bytes_ = 0;
    for (i32 placed = 0; waiting < in_arena_; ++waiting) {
      const Storage& root = storages_[order_[waiting]];
      size_t offset = 0, end;
      if (root.extent() < large || !warm_offset(placed, root, &offset)) offset = free_offset(placed, root, 0);
      too_large_ |= __builtin_add_overflow(offset, root.extent(), &end);
      if (end > arena_bytes_) arena_bytes_ = end;
      for (i32 i = root.root; i >= 0; i = storages_[i].next) insert(placed++, i, offset + static_cast<size_t>(storages_[i].at - root.low));
    }
  }

  void insert(i32 placed, i32 index, size_t offset) {
    storages_[index].offset = offset;
    i32 at = placed;
    for (; at > 0 && storages_[order_[at - 1]].offset > offset; --at) order_[at] = order_[at - 1];
    order_[at] = index;
  }

  // The lowest offset, `from` or above, where all of a group is free; `placed` storages have theirs.
  size_t free_offset(i32 placed, const Storage& root, size_t from) const {
    int passes = 0;
    for (size_t offset = from;; from = offset) {
      const bool above = passes++ >= kMostPasses;
      for (i32 i = root.root; i >= 0; i = storages_[i].next) {
        const auto at = static_cast<size_t>(storages_[i].at - root.low);
        offset = free_of(placed, storages_[i], offset + at, above) - at;
      }
      if (offset == from || root.next < 0) return offset;
    }
  }

  // The lowest offset, `from` or above, that is free during the life of `s`; `above`: that has nothing over it then.
  size_t free_of(i32 placed, const Storage& s, size_t from, bool above) const {
    size_t offset = from;
    for (i32 k = 0; k < placed; ++k) {
      const Storage& other = storages_[order_[k]];
      if (other.last < s.first || other.first > s.last) continue;
      if (!above && other.offset >= offset + s.bytes) break;
      if (other.offset + other.bytes > offset) offset = other.offset + other.bytes;
    }
    return offset;
  }

  // That of the storage that was given up last of those whose place a group may take without a larger arena.
  bool warm_offset(i32 placed, const Storage& root, size_t* offset) const {
    i32 latest = root.first - kWarmNodes;
    int tried = 0;
    for (i32 k = 0; k < placed && tried < kMostTried && latest < root.first - 1; ++k) {
      const Storage& other = storages_[order_[k]];
      if (other.last >= root.first || other.last <= latest || other.offset + root.extent() > arena_bytes_) continue;
      ++tried;
      if (free_offset(placed, root, other.offset) != other.offset) continue;
      latest = other.last;
      *offset = other.offset;
    }
    return latest > root.first - kWarmNodes;
  }

  Storage* storages_;
  i32* order_;
  i32 n_, in_arena_ = 0, groups_ = 0;
  size_t arena_bytes_ = 0;
  bool too_large_ = false;  // an offset overflowed
};

}  // namespace

bool lay_out(Storage* storages, i32 n, i32* order, size_t* arena_bytes) { return Placing(storages, n, order).run(arena_bytes); }

}  // namespace edgeort
