// Atomic operations of an order. Where there is one thread they are plain ones: ARMv7-M has none of 64 bits.
#pragma once
#include "platform.h"

namespace edgeort {

#if defined(__arm__) && __ARM_ARCH_PROFILE == 'M'
static constexpr int kMaxThreads = 1;

template <int, class T>
T atomic_load(const T* p) {
  return *p;
}
template <int, class T>
void atomic_store(T* p, T value) {
  *p = value;
}
// What was there before.
template <int, class T>
T atomic_add(T* p, T value) {
  const T old = *p;
  *p = old + value;
  return old;
}
// Whether `expected` was there; where not, it becomes what is.
template <int success, int, class T>
bool atomic_exchange(T* p, T* expected, T value) {
  const T old = *p;
  if (old == *expected) return *p = value, true;
  *expected = old;
  return false;
}
#else
static constexpr int kMaxThreads = 64;

template <int order, class T>
T atomic_load(const T* p) {
  return __atomic_load_n(p, order);
}
template <int order, class T>
void atomic_store(T* p, T value) {
  __atomic_store_n(p, value, order);
}
// What was there before.
template <int order, class T>
T atomic_add(T* p, T value) {
  return __atomic_fetch_add(p, value, order);
}
// Whether `expected` was there; where not, it becomes what is.
template <int success, int failure, class T>
bool atomic_exchange(T* p, T* expected, T value) {
  return __atomic_compare_exchange_n(p, expected, value, false, success, failure);
}
#endif

}  // namespace edgeort
