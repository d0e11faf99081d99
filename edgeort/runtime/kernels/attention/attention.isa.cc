// Products of few rows by keys and by values as they lie.
#include "../../simd/transpose.h"
#include "../../simd/vec.h"
#include "few.h"

namespace edgeort {
namespace {

constexpr int kAtOnce = 4;  // rows that share what is loaded

EDGEORT_INLINE void fetch(const f32* p, i64 n) {
  constexpr i64 kLine = 16;
  for (i64 i = 0; i < n; i += kLine) __builtin_prefetch(p + i);
}
constexpr i64 kAhead = 32;  // vectors

EDGEORT_INLINE int some(i64 left) { return left < kLanes ? static_cast<int>(left) : kLanes; }

EDGEORT_INLINE vf load_some(const f32* p, int n) { return n == kLanes ? load(p) : load_n(p, n); }

// Adds columns [d, d + columns) of rows [m, m + M) by vectors [j, j + n), a lane a vector. Whole: all are kLanes.
template <int M, bool kWhole>
EDGEORT_INLINE void dots_of(const FewRows& t, const f32* rows, i64 j, i64 d, int n, int columns, vf (&sum)[M]) {
  vf block[kLanes];
#pragma clang loop unroll(full)
  for (int i = 0; i < kLanes; ++i) {
    const f32* from = t.vectors + (j + i) * t.step + d;
    block[i] = kWhole ? load(from) : i < n ? load_n(from, columns) : vf{};
    block[i] *= splat(t.scale);
  }
  transpose_block(block);
#pragma clang loop unroll(full)
  for (int i = 0; i < kLanes; ++i) {
    if (!kWhole && i >= columns) continue;
#pragma clang loop unroll(full)
    for (int r = 0; r < M; ++r) sum[r] = fma(splat(rows[r * t.row_step + d + i]), block[i], sum[r]);
  }
}

// Rows [m, m + M) by vectors [j, j + n), n <= kLanes: one sum for each over d.
template <int M>
EDGEORT_INLINE void dots_of(const FewRows& t, i64 m, i64 j, int n) {
  const f32* rows = t.rows + m * t.row_step;
  vf sum[M] = {};
  if (m == 0) {
    for (i64 i = j; i < j + n; ++i) {
      if (i + kAhead < t.count) fetch(t.vectors + (i + kAhead) * t.step, t.size);
      if (t.next && i < kAhead) fetch(t.next + i * t.next_step, t.size);
    }
  }
  i64 d = 0;
  if (n == kLanes) {
#pragma clang loop unroll(disable)
    for (; d + kLanes <= t.size; d += kLanes) dots_of<M, true>(t, rows, j, d, kLanes, kLanes, sum);
  }
#pragma clang loop unroll(disable)
  for (; d < t.size; d += kLanes) dots_of<M, false>(t, rows, j, d, n, some(t.size - d), sum);
#pragma clang loop unroll(full)
  for (int r = 0; r < M; ++r) store_n(t.out + (m + r) * t.out_step + j, sum[r] + vf{}, n);
}

template <int M>
void dots_rows(const FewRows& t, i64 m) {
  for (i64 j = 0; j < t.count; j += kLanes) dots_of<M>(t, m, j, some(t.count - j));
}

// Columns [d, d + V * kLanes), the last vector of `last` lanes.
template <int M, int V>
EDGEORT_INLINE void sums_of(const FewRows& t, i64 m, i64 d, int last) {
  const f32* rows = t.rows + m * t.row_step;
  const f32* at = t.vectors + d;
  vf sum[M][V] = {};
  for (i64 j = 0; j < t.count; ++j, at += t.step) {
    vf v[V];
#pragma clang loop unroll(full)
    for (int i = 0; i < V; ++i) v[i] = i + 1 < V ? load(at + i * kLanes) : load_some(at + i * kLanes, last);
#pragma clang loop unroll(full)
    for (int r = 0; r < M; ++r) {
#pragma clang loop unroll(full)
      for (int i = 0; i < V; ++i) sum[r][i] = fma(splat(rows[r * t.row_step + j]), v[i], sum[r][i]);
    }
  }
#pragma clang loop unroll(full)
  for (int r = 0; r < M; ++r) {
#pragma clang loop unroll(full)
    for (int i = 0; i < V; ++i) store_n(t.out + (m + r) * t.out_step + d + i * kLanes, sum[r][i] + vf{}, i + 1 < V ? kLanes : last);
  }
}

template <int M>
void sums_rows(const FewRows& t, i64 m) {
  i64 d = 0;
  for (; t.size - d > 3 * kLanes; d += 4 * kLanes) sums_of<M, 4>(t, m, d, some(t.size - d - 3 * kLanes));
  for (; d < t.size; d += kLanes) sums_of<M, 1>(t, m, d, some(t.size - d));
}

template <class One, class All>
EDGEORT_INLINE void all_rows(i64 rows, const One& one, const All& all) {
  i64 m = 0;
  for (; m + kAtOnce <= rows; m += kAtOnce) all(m);
  for (; m < rows; ++m) one(m);
}

void dots(const FewRows& t) {
  all_rows(t.count_rows, [&](i64 m) { dots_rows<1>(t, m); }, [&](i64 m) { dots_rows<kAtOnce>(t, m); });
}

void sums(const FewRows& t) {
  for (i64 j = 0; t.next && j < kAhead && j < t.count; ++j) fetch(t.next + j * t.next_step, t.size);
  all_rows(t.count_rows, [&](i64 m) { sums_rows<1>(t, m); }, [&](i64 m) { sums_rows<kAtOnce>(t, m); });
}

}  // namespace

EDGEORT_KERNEL(FewKernels, attention_few, {dots, sums})

}  // namespace edgeort
