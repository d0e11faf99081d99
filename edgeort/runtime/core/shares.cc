#include "shares.h"

namespace edgeort {
namespace {

// Of a part that is worth taking over: the lines at its seam are computed twice.
constexpr u64 kLeastStolen = 2;

constexpr u64 pack(u64 first, u64 last) { return first << 32 | last; }
constexpr u64 first_of(u64 rest) { return rest >> 32; }
constexpr u64 last_of(u64 rest) { return rest & 0xffffffff; }
constexpr u64 left_of(u64 rest) { return last_of(rest) - first_of(rest); }

// The order of other memory does not hang on these: lines are whole when the pool says that all tasks are over.
u64 load(const u64& x) { return atomic_load<__ATOMIC_RELAXED>(&x); }
void store(u64& x, u64 value) { atomic_store<__ATOMIC_RELAXED>(&x, value); }
bool exchange(u64& x, u64* expected, u64 value) { return atomic_exchange<__ATOMIC_RELAXED, __ATOMIC_RELAXED>(&x, expected, value); }

}  // namespace

Shares::Shares(int threads, i64 images, i64 height, i64 least)
    : threads_(threads), images_(images), height_(height), each_(max_of(1, min_of(ceil_div(threads, max_of(images, 1)), height / least))) {
  // Each thread has the same part of the whole in every job: what it made in the one before is in its own cache.
  for (int i = 0; i < threads; ++i) {
    slots_[i] = {};
    if (parts_begun_ < static_cast<u64>(parts())) slots_[i].rest = lines_of(static_cast<i64>(parts_begun_++));
  }
}

u64 Shares::lines_of(i64 part) const {
  const i64 lines = ceil_div(height_, each_), image = part / each_ * height_, first = part % each_ * lines;
  return pack(static_cast<u64>(image + min_of(first, height_)), static_cast<u64>(image + min_of(first + lines, height_)));
}

Shares::Piece Shares::take(int thread, i64 most) {
  Slot& own = slots_[thread];
  if (own.begun_ns == 0) store(own.begun_ns, now_ns());
  do {
    for (u64 rest = load(own.rest); left_of(rest) > 0;) {
      // Equal pieces: 4 and 3 lines rather than 6 and 1.
      const i64 left = static_cast<i64>(left_of(rest)), lines = ceil_div(left, ceil_div(left, most));
      const u64 first = first_of(rest), end = first + static_cast<u64>(lines);
      if (!exchange(own.rest, &rest, pack(end, last_of(rest)))) continue;
      store(own.taken, own.taken + static_cast<u64>(lines));
      const i64 image = static_cast<i64>(first) / height_, line = static_cast<i64>(first) % height_;
      return {image, line, line + lines};
    }
  } while (begin(own) || steal(own));
  return {};
}

bool Shares::begin(Slot& own) {
  if (static_cast<i64>(load(parts_begun_)) >= parts()) return false;
  const i64 part = static_cast<i64>(atomic_add<__ATOMIC_RELAXED>(&parts_begun_, u64{1}));
  if (part >= parts()) return false;
  store(own.rest, lines_of(part));
  return true;
}

// Lines a nanosecond.
f64 Shares::Slot::speed(u64 now) const {
  return static_cast<f64>(load(taken)) / static_cast<f64>(max_of(1, static_cast<i64>(now - load(begun_ns))));
}

bool Shares::steal(Slot& own) {
  for (const u64 now = now_ns();;) {
    Slot* victim = nullptr;
    u64 rest = 0;
    bool whole = false;  // of a thread that has not come, and may never
    for (Slot* slot = slots_; slot < slots_ + threads_; ++slot) {
      const u64 other = load(slot->rest);
      const bool idle = left_of(other) > 0 && load(slot->begun_ns) == 0;
      if (idle || (!whole && left_of(other) > left_of(rest))) victim = slot, rest = other, whole = idle;
    }
    if (!victim) return false;
    // Both are to end at the same time, if they go on as they did; half, where that is not known.
    const f64 mine = own.speed(now), theirs = victim->speed(now), share = mine > 0 && theirs > 0 ? mine / (mine + theirs) : 0.5;
    const u64 stolen = whole ? left_of(rest) : static_cast<u64>(static_cast<f64>(left_of(rest)) * share + 0.5);
    if (!whole && stolen < kLeastStolen) return false;
    if (!exchange(victim->rest, &rest, pack(first_of(rest), last_of(rest) - stolen))) continue;
    store(own.rest, pack(last_of(rest) - stolen, last_of(rest)));
    return true;
  }
}

}  // namespace edgeort
