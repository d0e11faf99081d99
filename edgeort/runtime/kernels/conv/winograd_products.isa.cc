// The products of Winograd convolution for one ISA level: sums that go on where the last block of channels left them.
#include "../../simd/several.h"
#include "winograd_shares.h"

namespace edgeort {
namespace {

// sum[m][v] += a[m] * a row of the weights, as many vectors at a time as one load brings.
template <int M, int V>
EDGEORT_INLINE void step(vf (&sum)[M][V], const f32* weights, const float (&a)[M]) {
#if defined(__aarch64__)
  constexpr int kAtOnce = V;
#else
  constexpr int kAtOnce = V % 2 == 0 ? 2 : 1;
#endif
#pragma clang loop unroll(full)
  for (int v = 0; v < V; v += kAtOnce) {
    vf row[kAtOnce];
    load_all<kAtOnce>(weights + v * kLanes, row);
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) {
#pragma clang loop unroll(full)
      for (int i = 0; i < kAtOnce; ++i) sum[m][v + i] = settled(fma(splat(a[m]), row[i], sum[m][v + i]));
    }
  }
}

const f32 kZeros[kRows * kWide * kLanes] = {};

// M tiles, V vectors of columns, one position; kRow floats are a row of weights and of sums.
template <int M, int V, i64 kRow>
EDGEORT_INLINE void block(const f32* in, i64 in_step, i64 channels, const f32* weights, i64 weights_step, f32* out, bool first) {
  const f32* from = first ? kZeros : out;
  vf sum[M][V];
#pragma clang loop unroll(full)
  for (int i = 0; i < M * V; ++i) sum[i / V][i % V] = load(from + i / V * kRow + i % V * kLanes);
#if defined(__ARM_NEON)
  const i64 next = anchor((weights_step - kLanes * kRow) * kBytes);
  for (i64 turns = (channels + kLanes - 1) / kLanes; turns != 0; --turns, in += in_step, weights = at(weights, next)) {
    // Four channels of a tile at once: fmla takes its multiplier from any lane.
    vf rows[M];
    load_all<M>(in, rows);
#pragma clang loop unroll(full)
    for (int lane = 0; lane < kLanes; ++lane, weights = opaque(weights + kRow)) {
      float a[M];
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) a[m] = rows[m][lane];
      step<M, V>(sum, weights, a);
    }
  }
#else
  for (; channels > 0; channels -= kLanes, in += in_step, weights += weights_step) {
    const i64 lanes = channels < kLanes ? channels : kLanes;
    for (i64 lane = 0; lane < lanes; ++lane) {
      float a[M];
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) a[m] = in[m * kLanes + lane];
      step<M, V>(sum, weights + lane * kRow, a);
    }
  }
#endif
#pragma clang loop unroll(full)
  for (int i = 0; i < M * V; ++i) store(out + i / V * kRow + i % V * kLanes, sum[i / V][i % V]);
}

// `count` neighbouring positions for M tiles; on the way, as many parts of what is wanted next.
template <int M, int V, i64 kRow>
void positions(const WinogradProducts& p, i64 count, i64 lines, const f32* ahead, const f32* in, const f32* weights, f32* out) {
  const i64 in_step = p.in_position_step, out_step = p.out_position_step, channel_step = p.in_channel_step, channels = p.channels;
  const i64 weights_step = p.weights_position_step, weights_channel_step = p.weights_channel_step;
  const bool first = p.first;
  for (i64 i = 0; i < count; ++i, in += in_step, weights += weights_step, out += out_step) {
    for (i64 line = 0; line < lines; ++line, ahead += kPanel) {
#pragma clang loop unroll(full)
      for (i64 panel = 0; panel < kRow / kPanel; ++panel) __builtin_prefetch(ahead + panel * p.panel_step, 0, 3);
    }
#pragma clang loop unroll(full)
    for (i64 column = 0; column < kRow; column += V * kLanes) {
      block<M, V, kRow>(in, channel_step, channels, weights + column, weights_channel_step, out + column, first);
    }
  }
}

using PositionsFn = void (*)(const WinogradProducts&, i64 count, i64 lines, const f32* ahead, const f32* in, const f32* weights, f32* out);
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

// Positions [x, end) of row y for tiles [begin, last), in pieces as equal as registers allow.
template <int V, i64 kRow>
EDGEORT_INLINE void run_of_tiles(const WinogradProducts& p, i64 y, i64 x, i64 end, i64 begin, i64 last) {
  static constexpr Table kTable = table_of<V, kRow>();
  if (x == end) return;
  const i64 row = y - p.top, column = x - p.left, pieces = (last - begin + kRows - 1) / kRows;
  const f32* in = p.in + (y * p.in_positions + x) * p.in_position_step;
  const f32* weights = p.weights + row * p.weights_row_step + column * p.weights_position_step;
  f32* out = p.out + (y * p.out_positions + x) * p.out_position_step;
  const f32* ahead = p.ahead + (row * (p.out_positions - p.left) + column) * p.ahead_lines * kPanel;
  for (i64 piece = 0, tile = begin; piece < pieces; ++piece) {
    const i64 next = begin + (piece + 1) * (last - begin) / pieces;
    const i64 lines = piece == 0 ? p.ahead_lines : 0;
    kTable.fn[next - tile - 1](p, end - x, lines, ahead, in + tile * kLanes, weights, out + tile * kRow);
    tile = next;
  }
}

// All positions of a share, for the tiles that have them.
template <int V, i64 kRow>
void multiply(const WinogradProducts& p) {
  const i64 right = p.tiles[kRightTiles], inner = right + p.tiles[kInnerTiles], bottom = inner + p.tiles[kBottomTiles];
  const i64 all = bottom + p.tiles[kCornerTile], across = p.out_positions, more = across - kWinogradOut;
  // The right tiles' positions of a row, then the others; one run of all where no tile lies at the right.
  const i64 cut = right + p.tiles[kCornerTile] ? p.edge_width + more : across;
  for (i64 y = p.top; y < p.bottom; ++y) {
    const bool below = y < p.edge_height + more;
    run_of_tiles<V, kRow>(p, y, p.left, cut, 0, below ? all : inner);
    run_of_tiles<V, kRow>(p, y, cut, across, right, below ? bottom : inner);
  }
}

constexpr int kNarrow = kVectors < kPanelVectors ? kVectors : kPanelVectors;  // vectors of a register tile in one panel

}  // namespace

EDGEORT_KERNEL(WinogradMultiply, winograd_multiply,
               {kLanes, kWide * kLanes, {multiply<kNarrow, kPanel>, multiply<kVectors, i64{kWide} * kLanes>}})

}  // namespace edgeort
