// The products of Winograd convolution for one ISA level: sums that go on where the last block of channels left them.
#include "winograd_shares.h"

namespace edgeort {
namespace {

// sum[m][v] += a[m] * a row of the weights, two vectors at a time.
template <int M, int V>
EDGEORT_INLINE void step(vf (&sum)[M][V], const f32* weights, const float (&a)[M]) {
  constexpr int kAtOnce = V % 2 == 0 ? 2 : 1;
#pragma clang loop unroll(full)
  for (int v = 0; v < V; v += kAtOnce) {
    vf row[kAtOnce];
#pragma clang loop unroll(full)
    for (int i = 0; i < kAtOnce; ++i) row[i] = load(weights + (v + i) * kLanes);
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) {
#pragma clang loop unroll(full)
      for (int i = 0; i < kAtOnce; ++i) sum[m][v + i] = fma(splat(a[m]), row[i], sum[m][v + i]);
    }
  }
}

const f32 kZeros[kRows * kWide * kLanes] = {};

// M tiles, V vectors of columns, one position; kRow floats are a row of weights and of sums.
template <int M, int V, i64 kRow>
EDGEORT_INLINE void block(const f32* in, i64 in_step, i64 channels, const f32* weights, f32* out, bool first) {
  const f32* from = first ? kZeros : out;
  vf sum[M][V];
#pragma clang loop unroll(full)
  for (int i = 0; i < M * V; ++i) sum[i / V][i % V] = load(from + i / V * kRow + i % V * kLanes);
  for (; channels > 0; channels -= kLanes, in += in_step, weights += kShare * kLanes * kRow) {
#if defined(__ARM_NEON)
    // Four channels of a tile at once: fmla takes its multiplier from any lane.
    vf rows[M];
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) rows[m] = load(in + m * kLanes);
#pragma clang loop unroll(full)
    for (int lane = 0; lane < kLanes; ++lane) {
      float a[M];
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) a[m] = rows[m][lane];
      step<M, V>(sum, weights + lane * kRow, a);
    }
#else
    const i64 lanes = channels < kLanes ? channels : kLanes;
    for (i64 lane = 0; lane < lanes; ++lane) {
      float a[M];
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) a[m] = in[m * kLanes + lane];
      step<M, V>(sum, weights + lane * kRow, a);
    }
#endif
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < M * V; ++i) store(out + i / V * kRow + i % V * kLanes, sum[i / V][i % V]);
}

// All positions of a share for M tiles from `tile` on.
template <int M, int V, i64 kRow>
void positions(const WinogradProducts& p, int share, i64 tile) {
  const i64 in_step = p.in_position_step, out_step = p.out_position_step, channel_step = p.in_channel_step, channels = p.channels;
  const bool first = p.first;
  const f32* weights = p.weights;
  const i64 lines = tile == 0 ? p.ahead_lines : 0;
  const f32* ahead = p.ahead + share * kShare * lines * kPanel;
  for (int y = 0; y < kShareRows; ++y) {
    const i64 row = kRowOrder[share * kShareRows + y] * kIn;
    const f32* in = p.in + row * in_step + tile * kLanes;
    f32* out = p.out + row * out_step + tile * kRow;
    for (int x = 0; x < kIn; ++x, in += in_step, out += out_step, weights += kLanes * kRow) {
      for (i64 line = 0; line < lines; ++line, ahead += kPanel) {
#pragma clang loop unroll(full)
        for (i64 panel = 0; panel < kRow / kPanel; ++panel) __builtin_prefetch(ahead + panel * p.panel_step, 0, 3);
      }
#pragma clang loop unroll(full)
      for (i64 column = 0; column < kRow; column += V * kLanes) {
        block<M, V, kRow>(in, channel_step, channels, weights + column, out + column, first);
      }
    }
  }
}

using PositionsFn = void (*)(const WinogradProducts&, int share, i64 tile);
struct Table {
  PositionsFn fn[kRows];  // fn[m - 1]
};
template <int M, int V, i64 kRow>
constexpr void fill(Table& table) {
  table.fn[M - 1] = positions<M, V, kRow>;
  if constexpr (M > 1) fill<M - 1, V, kRow>(table);
}
template <int V, i64 kRow>
constexpr Table table_of() {
  Table table = {};
  fill<kRows, V, kRow>(table);
  return table;
}

// Tiles in pieces as equal as registers allow.
template <int V, i64 kRow>
void multiply(const WinogradProducts& p, int share) {
  static constexpr Table kTable = table_of<V, kRow>();
  const i64 pieces = (p.tiles + kRows - 1) / kRows;
  for (i64 i = 0; i < pieces; ++i) {
    const i64 begin = i * p.tiles / pieces, end = (i + 1) * p.tiles / pieces;
    kTable.fn[end - begin - 1](p, share, begin);
  }
}

constexpr int kNarrow = kVectors < kPanelVectors ? kVectors : kPanelVectors;  // vectors of a register tile in one panel

}  // namespace

EDGEORT_KERNEL(WinogradMultiply, winograd_multiply,
               {kLanes, kWide * kLanes, {multiply<kNarrow, kPanel>, multiply<kVectors, i64{kWide} * kLanes>}})

}  // namespace edgeort
