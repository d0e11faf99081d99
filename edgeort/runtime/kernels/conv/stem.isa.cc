// Stem kernels for one ISA level.
#include "stem.h"

#include "../../simd/vec.h"
#include "finish.h"

namespace edgeort {
namespace {

constexpr int kS = kStemStride, kC = kStemPlanes;
constexpr int kVectorsPerPanel = static_cast<int>(kPanel) / kLanes;

// The floats of a row that P outputs of a kernel of width K read.
template <int K, int P>
constexpr int kReads = (P - 1) * kS + K;

#if defined(__ARM_NEON)
// In registers: fmla takes its multiplier from any lane.
template <int K, int P>
struct Row {
  vf v[(kReads<K, P> + kLanes - 1) / kLanes];

  EDGEORT_INLINE explicit Row(const f32* p) {
#pragma clang loop unroll(full)
    for (int i = 0; i < kReads<K, P>; i += kLanes) v[i / kLanes] = load_n(p + i, kReads<K, P> - i < kLanes ? kReads<K, P> - i : kLanes);
  }
  EDGEORT_INLINE vf at(int i, bool) const { return splat(v[i / kLanes][i % kLanes]); }
};
#else
// In memory: an operand of the fma with AVX-512, else read once for the vectors of a tap.
template <int, int>
struct Row {
  const f32* p;

  EDGEORT_INLINE explicit Row(const f32* from) : p(from) {}
  EDGEORT_INLINE vf at(int i, bool first) {
    if (first || kLanes == 16) asm("" : "+r"(p));  // else values would wait on the stack for the taps that read them again
    return splat(p[i]);
  }
};
#endif

// The products of one kernel row.
template <int K, int P, int V>
EDGEORT_INLINE void add(vf (&sum)[P][V], const f32* const* rows, const f32* const (&panels)[V], i64 x, bool first) {
  Row<K, P> row[kC] = {Row<K, P>(rows[0] + x), Row<K, P>(rows[1] + x), Row<K, P>(rows[2] + x)};
#pragma clang loop unroll(full)
  for (int k = 0; k < K * kC; ++k) {
    if (kLanes == 8) asm volatile("" ::: "memory");  // else the next tap's weights would take a register from the sums
    vf weights[V];
#pragma clang loop unroll(full)
    for (int v = 0; v < V; ++v) weights[v] = load(panels[v] + k * kPanel);
#pragma clang loop unroll(full)
    for (int p = 0; p < P; ++p) {
#pragma clang loop unroll(full)
      for (int v = 0; v < V; ++v) {
        const vf value = row[k % kC].at(p * kS + k / kC, p + v == 0);
        sum[p][v] = first && k == 0 ? value * weights[v] : fma(value, weights[v], sum[p][v]);
      }
    }
  }
}

template <int P, int V>
EDGEORT_INLINE void save(const vf (&y)[P][V], f32* out, i64 stride) {
#pragma clang loop unroll(full)
  for (int p = 0; p < P; ++p) {
#pragma clang loop unroll(full)
    for (int v = 0; v < V; ++v) store(out + p * stride + v * kLanes, y[p][v]);
  }
}

template <int K, int P, int V>
void tile(const StemArgs& a) {
  constexpr int kAtOnce = K == 3 ? K : 1;  // kernel rows in a turn of the loop
  for (i64 x = 0; x < a.pixels; x += P) {
    vf sum[P][V];
    const f32* panels[V];
#pragma clang loop unroll(full)
    for (int v = 0; v < V; ++v) panels[v] = a.panels + v / kVectorsPerPanel * a.panel_stride + v % kVectorsPerPanel * kLanes;
    add<K, P, V>(sum, a.rows, panels, x * kS, true);
#pragma clang loop unroll_count(kAtOnce)
    for (int r = 1; r < K; ++r) {
#pragma clang loop unroll(full)
      for (int v = 0; v < V; ++v) panels[v] += K * kC * kPanel;
      add<K, P, V>(sum, a.rows + r * kC, panels, x * kS, false);
    }
    const Finish finish = {splat(a.lo), splat(a.hi), a.swish};  // here, so that no limit takes a register from the sums
#pragma clang loop unroll(full)
    for (int v = 0; v < V; ++v) {
      const vf bias = load(a.bias + v * kLanes);
      vf column[P];
#pragma clang loop unroll(full)
      for (int p = 0; p < P; ++p) column[p] = sum[p][v];
      finish(column, bias);
#pragma clang loop unroll(full)
      for (int p = 0; p < P; ++p) sum[p][v] = column[p];
    }
    f32* out = a.out + x * a.out_stride;
    const i64 left = a.pixels - x;
    if (left >= P && a.columns == V * kLanes) {
      save<P, V>(sum, out, a.out_stride);
      continue;
    }
    f32 all[P * V * kLanes];
    save<P, V>(sum, all, V * kLanes);
    for (i64 p = 0; p < P && p < left; ++p) {
      for (i64 i = 0; i < a.columns; ++i) out[p * a.out_stride + i] = all[p * V * kLanes + i];
    }
  }
}

// The rows of kernels.inc that are of this level.
struct Table {
  StemTile tiles[2];
  int count;
};

template <bool kHere, int K, int P, int V>
constexpr void append(Table& table) {
  if constexpr (kHere) table.tiles[table.count++] = {P, V * kLanes, kReads<K, P>, tile<K, P, V>};
}

template <int K>
constexpr Table tiles() {
  Table table = {};
#define DEPTHWISE(kernel, stride, pixels)
#define STEM(level, pixels, vectors) append<kIsa_##level == EDGEORT_PASTE(kIsa, EDGEORT_ISA), K, pixels, vectors>(table);
#include "kernels.inc"
#undef STEM
#undef DEPTHWISE
  return table;
}

constexpr Table kSmall = tiles<3>(), kLarge = tiles<7>();

}  // namespace

EDGEORT_KERNEL(StemKernels, stem, {{kSmall.tiles, kSmall.count}, {kLarge.tiles, kLarge.count}})

}  // namespace edgeort
