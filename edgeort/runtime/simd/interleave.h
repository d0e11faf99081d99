// Elements of two vectors in turns, in each 128 bits by itself: one instruction of most CPUs.
#pragma once

#include "types.h"

namespace edgeort {
namespace {

template <class T, T... I>
struct Indices {};

// In each 128 bits, the elements of the lower (kHalf 0) or upper (1) halves of a and b in turns.
template <int kHalf, class V, int... I>
EDGEORT_INLINE V interleave(V a, V b, Indices<int, I...>) {
  constexpr int kLane = 16 / static_cast<int>(sizeof(a[0])), kCount = static_cast<int>(sizeof...(I));
  return __builtin_shufflevector(a, b, (I / kLane * kLane + kHalf * kLane / 2 + I % kLane / 2 + I % 2 * kCount)...);
}
template <int kHalf, class V>
EDGEORT_INLINE V interleave(V a, V b) {
  return interleave<kHalf>(a, b, __make_integer_seq<Indices, int, static_cast<int>(sizeof(V) / sizeof(a[0]))>{});
}

}  // namespace
}  // namespace edgeort
