// Searches for one ISA level.
#include "select.h"

#include "../../simd/vec.h"

namespace edgeort {
namespace {

template <class I>
EDGEORT_INLINE I key_of(I bits, i32 flip) {
  const I sign = bits >> 31, magnitude = bits & 0x7fffffff;
  const I key = (magnitude ^ sign) - sign;
  return select(magnitude > (I{} + 0x7f800000), I{} + 0x7fffffff, key) ^ flip;
}

EDGEORT_INLINE vi load_keys(const f32* x, i32 flip) { return key_of(bitcast<vi>(load(x)), flip); }
EDGEORT_INLINE i32 key_at(const f32* x, i32 flip) { return key_of(bitcast<i32>(*x), flip); }

void keys(const f32* x, i64 stride, i64 n, i32 flip, i32* to) {
  i64 i = 0;
  if (stride == 1) {
    for (; i + kLanes <= n; i += kLanes) store(to + i, load_keys(x + i, flip));
  }
  for (; i < n; ++i) to[i] = key_at(x + i * stride, flip);
}

i64 below(const i32* keys, i64 from, i64 n, i32 limit) {
  i64 i = from;
  const vi bound = vi{} + limit;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    const auto at = [&](i64 k) { return load(keys + i + k * kLanes) < bound; };
    if (any((at(0) | at(1)) | (at(2) | at(3)))) break;
  }
  while (i < n && keys[i] >= limit) ++i;
  return i;
}

// Whether a later key takes the place of an earlier one.
template <bool kLast, class I>
EDGEORT_INLINE auto wins(I later, I earlier) {
  if constexpr (kLast) return later >= earlier;
  return later > earlier;
}

template <bool kLast, int V>
EDGEORT_INLINE void block(const f32* x, i64 n, i64 stride, i32 flip, i64* out) {
  vi best[V], where[V];
#pragma clang loop unroll(full)
  for (int v = 0; v < V; ++v) best[v] = load_keys(x + v * kLanes, flip), where[v] = vi{};
  for (i64 i = 1; i < n; ++i) {
#pragma clang loop unroll(full)
    for (int v = 0; v < V; ++v) {
      const vi key = load_keys(x + i * stride + v * kLanes, flip);
      const vi better = wins<kLast>(key, best[v]);
      best[v] = select(better, key, best[v]);
      where[v] = select(better, vi{} + static_cast<i32>(i), where[v]);
    }
  }
#pragma clang loop unroll(full)
  for (int v = 0; v < V; ++v) store(out + v * kLanes, __builtin_convertvector(where[v], Vec<i64, kLanes>));
}

template <bool kLast>
i64 best_of(const f32* x, i64 n, i64 stride, i32 flip) {
  i32 best = key_at(x, flip);
  i64 where = 0;
  for (i64 i = 1; i < n; ++i) {
    const i32 key = key_at(x + i * stride, flip);
    if (wins<kLast>(key, best)) best = key, where = i;
  }
  return where;
}

template <bool kLast>
void all_columns(const f32* x, i64 n, i64 stride, i64 columns, i32 flip, i64* out) {
  i64 c = 0;
  for (; c + 4 * kLanes <= columns; c += 4 * kLanes) block<kLast, 4>(x + c, n, stride, flip, out + c);
  for (; c + kLanes <= columns; c += kLanes) block<kLast, 1>(x + c, n, stride, flip, out + c);
  for (; c < columns; ++c) out[c] = best_of<kLast>(x + c, n, stride, flip);
}

void columns(const f32* x, i64 n, i64 stride, i64 columns, i32 flip, bool last, i64* out) {
  (last ? all_columns<true> : all_columns<false>)(x, n, stride, columns, flip, out);
}

// The greatest key first, then where it is: the second pass ends early, and the first has nothing but maxima.
i64 row(const f32* x, i64 n, i32 flip, bool last) {
  i32 best = key_at(x, flip);
  i64 i = 0;
  if (n >= 4 * kLanes) {
    vi most[4];
    for (int v = 0; v < 4; ++v) most[v] = vi{} + best;
    for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
#pragma clang loop unroll(full)
      for (int v = 0; v < 4; ++v) most[v] = __builtin_elementwise_max(most[v], load_keys(x + i + v * kLanes, flip));
    }
    best = __builtin_reduce_max(
        __builtin_elementwise_max(__builtin_elementwise_max(most[0], most[1]), __builtin_elementwise_max(most[2], most[3])));
  }
  for (; i < n; ++i) {
    const i32 key = key_at(x + i, flip);
    best = key > best ? key : best;
  }
  i64 at = last ? n - 1 : 0;
  if (last) {
    while (key_at(x + at, flip) != best) --at;
    return at;
  }
  for (; at + kLanes <= n && !any(load_keys(x + at, flip) == best); at += kLanes) continue;
  while (key_at(x + at, flip) != best) ++at;
  return at;
}

}  // namespace

EDGEORT_KERNEL(SelectKernels, index_select, {keys, below, columns, row})

}  // namespace edgeort
