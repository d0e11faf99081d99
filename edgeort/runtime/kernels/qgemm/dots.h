// How each ISA level multiplies M rows by C columns: sums in registers, and their loop over the quads of a tap.
//
// struct Dots<M, C, kWide> has
//   begin(bias)                  sums that hold the bias, kBiasLanes int32 a column: it, and zeros
//   quads(rows, n, panels, once)  adds n whole quads of each row; steps both. once: caches should not keep the panels
//   quad(values, panels)         adds one, of which each row's bytes are given
//   stepped(rows, n, panels, steps)  quads, as steps say, of a level where kStepped: words of the tile's columns
//   follow(order, column)        where kOrdered: quads are those of the columns' lists, and panels stay where they are
//   get(m, i)                    sums of row m: columns i * kLanes...
// kWide: some weight is -128.
#pragma once
#include "../../simd/vec.h"
#include "qgemm.h"

namespace edgeort {
namespace {

constexpr int panels_of(int columns) { return (columns + static_cast<int>(kPanel) - 1) / static_cast<int>(kPanel); }

// Four values of each of M rows.
template <int M>
struct Quads {
  u32 of[M];
};

// A quad of each row, and steps over it.
template <int M>
EDGEORT_INLINE Quads<M> load_quads(const q8* (&rows)[M]) {
  Quads<M> x;
#pragma clang loop unroll(full)
  for (int m = 0; m < M; ++m) x.of[m] = load_as<u32>(rows[m]), rows[m] += kDepth;
  return x;
}

// The last kc % kDepth values of a row of kc. Nothing behind them is read; the quad's other weights are zero.
EDGEORT_INLINE u32 last_quad(const q8* row, i64 kc) {
  const i64 n = kc % kDepth;
  if (kc > kDepth) return load_as<u32>(row + kc - kDepth) >> (8 * (kDepth - n));
  u32 x = static_cast<u8>(row[0]);
  if (n > 1) x |= static_cast<u32>(static_cast<u8>(row[1])) << 8;
  if (n > 2) x |= static_cast<u32>(static_cast<u8>(row[2])) << 16;
  return x;
}

}  // namespace
}  // namespace edgeort

#if defined(__ARM_FEATURE_DOTPROD)
#include "dots_arm.h"
#elif defined(__ARM_NEON)
#include "dots_neon.h"
#elif defined(__ARM_FEATURE_SIMD32)
#include "dots_dsp.h"
#elif EDGEORT_PAIRS
#include "dots_pairs.h"
#else
#include "dots_lanes.h"
#endif
