// Reductions over 16 virtual lanes: element r of a sequence goes to lane r % 16, the lanes combine in a tree, so that
// every vector width gives the same bits (NUMERICS.md).
#pragma once

#include "vec.h"

namespace edgeort {
namespace {

struct Add {
  template <class T>
  EDGEORT_INLINE T operator()(T a, T b) const {
    return a + b;
  }
};
struct Mul {
  template <class T>
  EDGEORT_INLINE T operator()(T a, T b) const {
    return a * b;
  }
};
struct Max {
  template <class T>
  EDGEORT_INLINE T operator()(T a, T b) const {
    return max_nan<T>(a, b);
  }
};
struct Min {
  template <class T>
  EDGEORT_INLINE T operator()(T a, T b) const {
    return min_nan<T>(a, b);
  }
};

// One value a virtual lane, lane[i] = op(lane[i], lane[i + s]) for s = 8, 4, 2, 1. T = vf reduces kLanes
// sequences side by side (a reduction over outer axes); T = float is the scalar form.
template <class T, class Op>
EDGEORT_INLINE T tree16(T* lane, Op op) {
  for (int s = 8; s >= 1; s /= 2) {
    for (int i = 0; i < s; ++i) lane[i] = op(lane[i], lane[i + s]);
  }
  return lane[0];
}

template <class Op>
EDGEORT_INLINE float tree(Vec<float, 4> v, Op op) {
  const Vec<float, 4> h = op(v, __builtin_shufflevector(v, v, 2, 3, -1, -1));
  return op(static_cast<float>(h[0]), static_cast<float>(h[1]));
}
template <class Op>
EDGEORT_INLINE float tree(Vec<float, 8> v, Op op) {
  return tree(op(__builtin_shufflevector(v, v, 0, 1, 2, 3), __builtin_shufflevector(v, v, 4, 5, 6, 7)), op);
}
template <class Op>
EDGEORT_INLINE float tree(Vec<float, 16> v, Op op) {
  return tree(op(__builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7), __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15)), op);
}

// The 16 virtual lanes of one sequence, along the sequence: element r goes to lane r % 16.
struct Lanes16 {
  static constexpr int kCount = 16 / kLanes;
  vf v[kCount];

  static EDGEORT_INLINE Lanes16 of(float c) {
    Lanes16 r;
    for (int i = 0; i < kCount; ++i) r.v[i] = splat(c);
    return r;
  }
  static EDGEORT_INLINE Lanes16 load(const float* p) {
    Lanes16 r;
    for (int i = 0; i < kCount; ++i) r.v[i] = edgeort::load(p + i * kLanes);
    return r;
  }
  // The first n of 16 (0 <= n <= 16), the others +0: a no-op for sums that start at +0, and for nothing else.
  static EDGEORT_INLINE Lanes16 load_n(const float* p, int n) {
    Lanes16 r;
    for (int i = 0; i < kCount; ++i) {
      const int left = n - i * kLanes;
      r.v[i] = edgeort::load_n(left > 0 ? p + i * kLanes : p, left < 0 ? 0 : left > kLanes ? kLanes : left);
    }
    return r;
  }
  // Lanes n and above become c (the neutral value of the reduction).
  EDGEORT_INLINE void fill_from(int n, float c) {
    float lane[16];
    for (int i = 0; i < kCount; ++i) store(lane + i * kLanes, v[i]);
    for (int i = n; i < 16; ++i) lane[i] = c;
    *this = load(lane);
  }
  template <class Op>
  EDGEORT_INLINE void apply(const Lanes16& x, Op op) {
    for (int i = 0; i < kCount; ++i) v[i] = op(v[i], x.v[i]);
  }
  EDGEORT_INLINE void add(const Lanes16& x) { apply(x, Add{}); }

  // lane[i] = op(lane[i], lane[i + s]) for s = 8, 4, 2, 1; returns lane 0.
  template <class Op = Add>
  EDGEORT_INLINE float reduce_tree(Op op = Op{}) const {
    if constexpr (kCount == 1) return tree(v[0], op);
    if constexpr (kCount == 2) return tree(op(v[0], v[1]), op);
    if constexpr (kCount == 4) return tree(op(op(v[0], v[2]), op(v[1], v[3])), op);
  }
};

}  // namespace
}  // namespace edgeort
