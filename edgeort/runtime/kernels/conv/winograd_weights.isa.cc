// The transforms of Winograd's weights for one ISA level: every step is one IEEE operation, so that all levels agree.
#include "winograd_shares.h"

namespace edgeort {
namespace {

// t[i] = the i-th row of G times g, without its factor.
EDGEORT_INLINE void transform(const vf (&g)[3], vf (&t)[6]) {
  const vf s = g[0] + g[2], u = fma(splat(4.0f), g[2], g[0]);
  t[0] = g[2];
  t[1] = g[0];
  t[2] = s + g[1];
  t[3] = s - g[1];
  t[4] = fma(splat(2.0f), g[1], u);
  t[5] = fma(splat(-2.0f), g[1], u);
}
EDGEORT_INLINE void transform(const vf (&g)[2], vf (&t)[5]) {
  t[0] = g[1];
  t[1] = g[0];
  t[2] = g[0] + g[1];
  t[3] = g[0] - g[1];
  t[4] = fma(splat(2.0f), g[1], g[0]);
}
EDGEORT_INLINE void transform(const vf (&g)[1], vf (&t)[1]) { t[0] = g[0]; }

// Rows [kFrom, kTo) of a phase's positions; kPair vectors at once, which Arm stores together.
template <int kPhase, int V, int kFrom, int kTo>
void rows_of(const WinogradWeights& w) {
  constexpr WinogradPhase kP = kWinogradPhase[kPhase];
  constexpr int kShare = (kTo - kFrom) * kP.columns, kNear = 4;
  constexpr i64 kRow = V * kLanes, kPair = V % 2 == 0 && kPanelVectors > 1 ? 2 : 1;
  const i64 channels = w.channels, panel_step = w.panel_step;
  const f32* taps = w.from;
  f32* block = w.to;
  for (i64 c = 0; c < channels; ++c, taps += kP.taps() * kPanel) {
    if (c != 0 && c % kLanes == 0) block += kShare * kLanes * kRow;
    f32* to[(kShare + kNear - 1) / kNear];
#pragma clang loop unroll(full)
    for (int i = 0; i * kNear < kShare; ++i) to[i] = anchor(block + (i * kNear * kLanes + c % kLanes) * kRow);
#pragma clang loop unroll(full)
    for (int v = 0; v < V; v += kPair) {
      const f32* from = taps + v / kPanelVectors * panel_step + v % kPanelVectors * kLanes;
      vf rows[kPair][kTo - kFrom][kP.taps_x];
#pragma clang loop unroll(full)
      for (int i = 0; i < kPair; ++i) {
#pragma clang loop unroll(full)
        for (int x = 0; x < kP.taps_x; ++x) {
          vf g[kP.taps_y], t[kP.rows];
#pragma clang loop unroll(full)
          for (int y = 0; y < kP.taps_y; ++y) g[y] = load(from + (y * kP.taps_x + x) * kPanel + i * kLanes);
          transform(g, t);
#pragma clang loop unroll(full)
          for (int y = kFrom; y < kTo; ++y) rows[i][y - kFrom][x] = t[y];
        }
      }
#pragma clang loop unroll(full)
      for (int y = 0; y < kTo - kFrom; ++y) {
        vf t[kPair][kP.columns];
#pragma clang loop unroll(full)
        for (int i = 0; i < kPair; ++i) transform(rows[i][y], t[i]);
#pragma clang loop unroll(full)
        for (int x = 0; x < kP.columns; ++x) {
#pragma clang loop unroll(full)
          for (int i = 0; i < kPair; ++i) {
            const int position = y * kP.columns + x;
            store(to[position / kNear] + position % kNear * kLanes * kRow + (v + i) * kLanes, t[i][x]);
          }
        }
      }
    }
  }
#if defined(__ARM_NEON)
  // The product takes whole vectors of channels.
  for (i64 c = channels; c % kLanes != 0; ++c) {
    for (i64 i = 0; i < kShare; ++i) {
      for (i64 column = 0; column < kRow; column += kLanes) store(block + (i * kLanes + c % kLanes) * kRow + column, splat(0.0f));
    }
  }
#endif
}

template <int kPhase, int V, int kFrom = 0>
void share(const WinogradWeights& w, int row) {
  constexpr int kRows = kWinogradPhase[kPhase].rows, kNext = kFrom + kWinogradPhase[kPhase].share;
  if (row == kFrom) return rows_of < kPhase, V, kFrom, kNext<kRows ? kNext : kRows>(w);
  if constexpr (kNext < kRows) share<kPhase, V, kNext>(w, row);
}

}  // namespace

EDGEORT_KERNEL(WinogradWeightTransforms, winograd_weights,
               {{{share<0, kPanelVectors>, share<1, kPanelVectors>, share<2, kPanelVectors>, share<3, kPanelVectors>,
                  share<4, kPanelVectors>},
                 {share<0, kWide>, share<1, kWide>, share<2, kWide>, share<3, kWide>, share<4, kWide>}}})

}  // namespace edgeort
