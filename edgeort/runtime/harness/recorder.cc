#include "recorder.h"

#include <stdlib.h>

namespace edgeort {
namespace {

int compare(const void* a, const void* b) {
  const u64 x = *static_cast<const u64*>(a), y = *static_cast<const u64*>(b);
  return x < y ? -1 : x > y;
}

}  // namespace

bool Recorder::reserve(size_t capacity) {
  ns_ = static_cast<u64*>(allocate_pages(capacity * sizeof(u64)));
  capacity_ = capacity;
  return ns_ != nullptr;
}

void Recorder::sort() { qsort(ns_, n_, sizeof(u64), compare); }

void Recorder::thin() {
  n_ = capacity_ / 2;
  for (size_t i = 0; i < n_; ++i) ns_[i] = ns_[2 * i];
  every_ *= 2;
}

}  // namespace edgeort
