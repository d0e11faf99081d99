// Numbers of any type in one order, and sorting by it.
#pragma once
#include "../../core/op.h"

namespace edgeort {

// Where a float stands among the floats of its width, as an unsigned integer: NaN is above everything, -0 equals +0.
template <class Bits>
static inline Bits float_key(Bits bits, Bits infinity) {
  constexpr Bits sign = static_cast<Bits>(Bits{1} << (8 * sizeof(Bits) - 1));
  const Bits magnitude = static_cast<Bits>(bits & static_cast<Bits>(~sign));
  if (magnitude > infinity) return static_cast<Bits>(~Bits{0});
  return magnitude != bits && magnitude ? static_cast<Bits>(~bits) : static_cast<Bits>(magnitude | sign);
}

// The same for element i of `data`, of any type, in the high bits or the low ones: compare keys of one type only.
static inline u64 key_of(DType dtype, const void* data, i64 i) {
  switch (dtype) {
    case DType::f32:
      return float_key<u32>(static_cast<const u32*>(data)[i], 0x7f800000u);
    case DType::f64:
      return float_key<u64>(static_cast<const u64*>(data)[i], u64{0x7ff} << 52);
    case DType::f16:
      return float_key<u16>(static_cast<const u16*>(data)[i], 0x7c00);
    case DType::bf16:
      return float_key<u16>(static_cast<const u16*>(data)[i], 0x7f80);
    case DType::i8:
      return static_cast<u64>(static_cast<i64>(static_cast<const i8*>(data)[i])) ^ (u64{1} << 63);
    case DType::i16:
      return static_cast<u64>(static_cast<i64>(static_cast<const i16*>(data)[i])) ^ (u64{1} << 63);
    case DType::i32:
      return static_cast<u64>(static_cast<i64>(static_cast<const i32*>(data)[i])) ^ (u64{1} << 63);
    case DType::i64:
      return static_cast<u64>(static_cast<const i64*>(data)[i]) ^ (u64{1} << 63);
    case DType::u8:
    case DType::boolean:
      return static_cast<const u8*>(data)[i];
    case DType::u16:
      return static_cast<const u16*>(data)[i];
    case DType::u32:
      return static_cast<const u32*>(data)[i];
    case DType::u64:
      return static_cast<const u64*>(data)[i];
    default:  // types of a byte or less, by their bits
      return static_cast<const u8*>(data)[i];
  }
}

// Moves items[at] down a heap whose root comes last in the order `before`.
template <class T, class Before>
static inline void sift(T* items, i64 n, i64 at, const Before& before) {
  const T item = items[at];
  for (i64 child; (child = 2 * at + 1) < n; at = child) {
    if (child + 1 < n && before(items[child], items[child + 1])) ++child;
    if (!before(item, items[child])) break;
    items[at] = items[child];
  }
  items[at] = item;
}

template <class T, class Before>
static inline void make_heap(T* items, i64 n, const Before& before) {
  for (i64 i = n / 2 - 1; i >= 0; --i) sift(items, n, i, before);
}

template <class T, class Before>
static inline void sort_heap(T* items, i64 n, const Before& before) {
  while (n > 1) {
    const T last = items[--n];
    items[n] = items[0];
    items[0] = last;
    sift(items, n, 0, before);
  }
}

// Heap sort: in place, and never quadratic. `before` must be a total order for the result to be the same everywhere.
template <class T, class Before>
static inline void sort(T* items, i64 n, const Before& before) {
  make_heap(items, n, before);
  sort_heap(items, n, before);
}

}  // namespace edgeort
