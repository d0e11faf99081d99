// The latencies of a measurement.
#pragma once
#include "platform.h"

namespace edgeort {

// Holds them in memory of one size: when that is full, every second one is dropped, and from then on every 2nd is taken,
// then every 4th, and so on.
class Recorder {
 public:
  static constexpr size_t kMany = 1 << 16;

  // `capacity` is even. False: there is no memory.
  bool reserve(size_t capacity);
  void add(u64 ns) {
    if (seen_++ & (every_ - 1)) return;
    if (n_ == capacity_) thin();
    ns_[n_++] = ns;
    if (n_ > most_) most_ = n_;
  }
  void clear() { n_ = 0, seen_ = 0, every_ = 1; }
  // From now on they are in order of size.
  void sort();
  // Of sorted ones, at least one: by nearest rank, 1 to 100.
  double percentile_ms(int percent) const { return ms((n_ * static_cast<size_t>(percent) + 99) / 100 - 1); }

  double ms(size_t i) const { return static_cast<double>(ns_[i]) * 1e-6; }
  size_t size() const { return n_; }
  u64 seen() const { return seen_; }
  u64 every() const { return every_; }
  // Of the memory that it has touched.
  size_t bytes() const { return most_ * sizeof(u64); }

 private:
  void thin();

  u64* ns_ = nullptr;
  size_t n_ = 0, capacity_ = 0, most_ = 0;
  u64 seen_ = 0, every_ = 1;
};

}  // namespace edgeort
