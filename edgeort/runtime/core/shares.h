// Lines of images that threads share: each takes a part and walks down it piece by piece; one that finds no part left takes over
// the end of another's. Cores may differ: where a part is cut follows from how fast both threads have been. No lock; a piece costs
// one exchange on a cache line of the thread's own.
#pragma once
#include "op.h"
#include "threads.h"

namespace edgeort {

class Shares {
 public:
  static constexpr i64 kMostLines = 0x7fffffff;  // of all images
  // `images` images of `height` lines. Each begins as as many parts as `threads` threads need, of `least` lines or more.
  Shares(int threads, i64 images, i64 height, i64 least);
  i64 parts() const { return images_ * each_; }

  // Lines [first, last) of an image.
  struct Piece {
    i64 image, first, last;
    bool empty() const { return first >= last; }
    bool follows(const Piece& other) const { return image == other.image && first == other.last; }
  };
  // What `thread` does next, `most` lines at most; empty when nothing is left for it. Pieces of a part follow one another.
  Piece take(int thread, i64 most);

 private:
  struct alignas(64) Slot {
    u64 rest;      // of its thread's part: first << 32 | last, counted through all images
    u64 taken;     // lines so far
    u64 begun_ns;  // when the thread came
    f64 speed(u64 now) const;
  };
  // The lines of a part, as in Slot::rest.
  u64 lines_of(i64 part) const;
  // Fills a slot with a part that nobody has begun, or with the end of another slot's.
  bool begin(Slot& own);
  bool steal(Slot& own);

  int threads_;
  i64 images_, height_, each_;  // each_: parts of an image
  alignas(64) u64 parts_begun_ = 0;
  Slot slots_[kMaxThreads];
};

}  // namespace edgeort
