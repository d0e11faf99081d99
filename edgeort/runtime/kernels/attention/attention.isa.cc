// Products of few rows by keys and by values as they lie.
#include "../../simd/transpose.h"
#include "../../simd/vec.h"
#include "few.h"

namespace edgeort {
namespace {

constexpr int kAtOnce = 4;  // rows that share what is loaded

constexpr int kLine = 16;  // floats of a line of the cache

// Fetches the line at column d of vectors [j, j + n) of what is read next: into level 2, as level 1 may be too small.
EDGEORT_INLINE void fetch(const FewRows& t, i64 j, i64 d, int n) {
  if (!t.next || d % kLine != 0) return;
  const f32* from = t.next + j * t.next_step + d;
#pragma clang loop unroll(disable)
  for (int i = 0; i < n; ++i) __builtin_prefetch(from + i * t.next_step, 0, 2);
}

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
  i64 d = 0;
  if (n == kLanes) {
#pragma clang loop unroll(disable)
    for (; d + kLanes <= t.size; d += kLanes) {
      if (m == 0) fetch(t, j, d, n);
      dots_of<M, true>(t, rows, j, d, kLanes, kLanes, sum);
    }
  }
#pragma clang loop unroll(disable)
  for (; d < t.size; d += kLanes) {
    if (m == 0) fetch(t, j, d, n);
    dots_of<M, false>(t, rows, j, d, n, some(t.size - d), sum);
  }
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
  const f32* next = m == 0 && t.next ? t.next + d : nullptr;
  vf sum[M][V] = {};
  for (i64 j = 0; j < t.count; ++j, at += t.step) {
    vf v[V];
#pragma clang loop unroll(full)
    for (int i = 0; i < V; ++i) v[i] = i + 1 < V ? load(at + i * kLanes) : load_some(at + i * kLanes, last);
    if (next) {
#pragma clang loop unroll(full)
      for (int i = 0; i < V * kLanes; i += kLanes < kLine ? kLine : kLanes) __builtin_prefetch(next + i, 0, 2);
      next += t.next_step;
    }
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
  all_rows(t.count_rows, [&](i64 m) { sums_rows<1>(t, m); }, [&](i64 m) { sums_rows<kAtOnce>(t, m); });
}

}  // namespace

EDGEORT_KERNEL(FewKernels, attention_few, {dots, sums})

}  // namespace edgeort
