// Transposes of N x N blocks in registers: log2(N) rounds of interleaving row i with row i + N/2.
#pragma once
#include "vec.h"

namespace edgeort {
namespace {

template <int... I>
struct Lanes {};
template <class T, T... I>
struct Sequence {
  using type = Lanes<I...>;
};

template <class V, int... I>
EDGEORT_INLINE void interleave(V a, V b, V* low, V* high, Lanes<I...>) {
  constexpr int n = sizeof...(I);
  *low = __builtin_shufflevector(a, b, (I / 2 + (I & 1) * n)...);
  *high = __builtin_shufflevector(a, b, (n / 2 + I / 2 + (I & 1) * n)...);
}

// Of vectors of N lanes.
template <class V, int N>
EDGEORT_INLINE void transpose_block(V (&row)[N]) {
  using Indices = typename __make_integer_seq<Sequence, int, N>::type;
  V next[N];
#pragma clang loop unroll(full)
  for (int s = 1; s < N; s *= 2) {
#pragma clang loop unroll(full)
    for (int i = 0; i < N / 2; ++i) interleave(row[i], row[i + N / 2], &next[2 * i], &next[2 * i + 1], Indices{});
#pragma clang loop unroll(full)
    for (int i = 0; i < N; ++i) row[i] = next[i];
  }
}

}  // namespace
}  // namespace edgeort
