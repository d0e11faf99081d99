// Products of a transposed tile by sparse columns, and the transposes, for one ISA level.
#include "sparse.h"

#include "../../simd/transpose.h"

namespace edgeort {
namespace {

// One sum a lane for V vectors: each weight is one broadcast and V multiply-adds, whose chains of V hide their latency.
template <int V>
void columns(const SparseTile& t) {
  const f32* x = t.x;
  const f32* weights = t.weights;
  const u16* rows = t.rows;
  const vf lo = splat(t.lo), hi = splat(t.hi);
  f32* y = t.y;
  for (i64 n = 0; n < t.columns; ++n, y += V * kLanes) {
    vf sum[V];
#pragma clang loop unroll(full)
    for (int v = 0; v < V; ++v) sum[v] = splat(0.0f);
    const u32 end = t.starts[n + 1];
#pragma clang loop unroll(disable)
    for (u32 i = t.starts[n]; i < end; ++i) {
      const f32* at = x + static_cast<u32>(rows[i]) * static_cast<u32>(V * kLanes);
      const vf weight = splat(weights[i]);
#pragma clang loop unroll(full)
      for (int v = 0; v < V; ++v) sum[v] = fma(load(at + v * kLanes), weight, sum[v]);
    }
    const vf bias = splat(t.bias[n]);
#pragma clang loop unroll(full)
    for (int v = 0; v < V; ++v) {
      sum[v] += bias;
      if (t.clips) sum[v] = clip_sum(sum[v], lo, hi);
      store(y + v * kLanes, sum[v]);
    }
  }
}

void side_by_side(const f32* from, i64 pitch, i64 rows, i64 columns, f32* to, i64 width) {
  for (i64 r = 0; r < width; r += kLanes) {
    const f32* in[kLanes];
#pragma clang loop unroll(full)
    for (int i = 0; i < kLanes; ++i) in[i] = from + (r + i < rows ? r + i : rows - 1) * pitch;
    for (i64 c = 0; c < columns; c += kLanes) {
      vf block[kLanes];
      if (columns - c >= kLanes) {
#pragma clang loop unroll(full)
        for (int i = 0; i < kLanes; ++i) block[i] = load(in[i] + c);
      } else {
#pragma clang loop unroll(full)
        for (int i = 0; i < kLanes; ++i) block[i] = load_n(in[i] + c, static_cast<int>(columns - c));
      }
      transpose_block(block);
#pragma clang loop unroll(full)
      for (int i = 0; i < kLanes; ++i) store(to + (c + i) * width + r, block[i]);
    }
  }
}

void apart(const f32* from, i64 width, i64 rows, i64 columns, f32* to, i64 pitch) {
  for (i64 r = 0; r < rows; r += kLanes) {
    for (i64 c = 0; c < columns; c += kLanes) {
      vf block[kLanes];
#pragma clang loop unroll(full)
      for (int i = 0; i < kLanes; ++i) block[i] = load(from + (c + i) * width + r);
      transpose_block(block);
      f32* out = to + r * pitch + c;
      if (rows - r >= kLanes && columns - c >= kLanes) {
#pragma clang loop unroll(full)
        for (int i = 0; i < kLanes; ++i) store(out + i * pitch, block[i]);
      } else {
        const int n = static_cast<int>(columns - c < kLanes ? columns - c : kLanes);
#pragma clang loop unroll(full)
        for (int i = 0; i < kLanes; ++i) {
          if (r + i < rows) store_n(out + i * pitch, block[i], n);
        }
      }
    }
  }
}

}  // namespace

EDGEORT_KERNEL(
    SparseKernels, sparse,
    {kLanes, {columns<1>, columns<2>, columns<3>, columns<4>, columns<5>, columns<6>, columns<7>, columns<8>}, side_by_side, apart})

}  // namespace edgeort
