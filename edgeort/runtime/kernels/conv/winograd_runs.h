// What a Winograd convolution knows of its node, and how it cuts the tiles into runs: for winograd.cc.
#pragma once
#include "../elementwise/bound.h"
#include "geometry.h"
#include "winograd.h"
#include "winograd_tiles.h"

namespace edgeort {

EDGEORT_KERNELS(WinogradTransforms, winograd_transforms)
EDGEORT_KERNELS(WinogradWeightTransforms, winograd_weights)
EDGEORT_KERNELS(WinogradMultiply, winograd_multiply)

namespace {

constexpr i64 kFloats = i64{sizeof(f32)};
// What the transformed input of a run may take: more than half of a small core's level 2. A run has at least kLeastTiles, which
// share a transform of the weights, and no more than kMostTiles, which hide it.
constexpr i64 kRunBytes = 640 * 1024, kLeastTiles = 12, kMostTiles = 48;
// Of lines in a stream: fewer make too little of a transform of the weights.
constexpr i64 kEnoughTiles = 28;
// Floats of a share of transformed weights, where few and where many tiles use them.
constexpr i64 kManyTiles = 24, kFewWeights = 6144, kManyWeights = 24576;
// Strips have fewer tiles for a transform of the weights: worth it where what lies between two layers would go out to memory and back.
#if defined(__aarch64__) || defined(__arm__)
constexpr bool kLargeCaches = false;
#else
constexpr bool kLargeCaches = true;
#endif
// Steps between positions are an odd number of these, so that the positions of one tile fall into different cache sets.
constexpr i64 kLine = 16;
constexpr i64 kInputChunk = 32;  // channels of a task that transforms the input of a shared run

// How many tiles a run has, and where its values lie.
struct RunLayout {
  i64 per_run;
  i64 depth[kWinogradPhases];                                // channels whose weights are transformed at a time
  i64 in_channel_step, in_position_step, out_position_step;  // of a run
  i64 input, weights, products;                              // floats: its transformed input, and two parts of a thread's scratch
};

struct State {
  Geometry g;
  BoundProgram epilogue;
  f32 lo, hi;    // a clamp done on the way; else -inf, inf
  bool adds;     // before the clamp: operand `addend` of the epilogue
  bool program;  // the epilogue is more than these
  u32 addend;
  const WinogradTransforms* transforms;
  const WinogradWeightTransforms* weight_transforms;
  const WinogradMultiply* multiply;
  int stride, first_phase, last_phase;
  i64 in_positions, out_positions;  // along a dimension: of a patch, of sums
  WinogradTiles tiles;
  RunLayout layout;
  bool shared;  // few tiles: one run, whose columns the threads share; otherwise each thread has a run
  i64 columns_per_task;
  i64 outside;  // floats of a line of zeros

  int addend_input() const { return static_cast<int>(epilogue.first_operand + addend); }
  u64 program_bytes() const { return program ? epilogue.scratch_bytes(g.out[2] * g.c_out) : 0; }
  // Of a thread: what Scratch cuts, without the transformed input.
  u64 scratch_bytes(const RunLayout& l) const { return static_cast<u64>((outside + l.weights + l.products) * kFloats) + program_bytes(); }
};

constexpr i64 square(i64 value) { return value * value; }
i64 odd_lines(i64 floats) { return ceil_div(floats, kLine) / 2 * 2 * kLine + kLine; }

// The most tiles of a run whose transformed input stays in level 2.
i64 most_tiles(const State& s) {
  const i64 channels = round_up(s.g.c_in, s.multiply->lanes);
  return min_of(kMostTiles, max_of(kLeastTiles, kRunBytes / (square(s.in_positions) * channels * kFloats)));
}

RunLayout layout_of(const State& s, i64 per_run) {
  RunLayout l = {};
  const i64 lanes = s.multiply->lanes, channels = round_up(s.g.c_in, lanes), wide = s.multiply->wide;
  l.per_run = per_run;
  l.in_channel_step = per_run * lanes;
  l.in_position_step = odd_lines(per_run * channels);
  l.out_position_step = odd_lines(per_run * wide);
  // Transformed weights stay in level 1 where few tiles use them, and in level 2 where many do: longer sums are stored less often.
  for (int i = s.first_phase; i <= s.last_phase; ++i) {
    const i64 row = kWinogradPhase[i].share * kWinogradPhase[i].columns * wide;
    const i64 most_channels = (per_run < kManyTiles ? kFewWeights : kManyWeights) / row;
    l.depth[i] = min_of(channels, most_channels / lanes * lanes);
    l.weights = max_of(l.weights, row * l.depth[i]);
  }
  l.input = square(s.in_positions) * l.in_position_step;
  l.products = square(s.out_positions) * l.out_position_step + kWinogradOut * kWinogradOut * wide;
  return l;
}

// Chooses the kernels, and how the work is cut.
void arrange(Prepare& p, State* s) {
  const Geometry& g = s->g;
  s->transforms = &winograd_transforms(p.isa());
  s->weight_transforms = &winograd_weights(p.isa());
  s->multiply = &winograd_multiply(p.isa());
  s->stride = static_cast<int>(g.stride[1]);
  s->first_phase = s->stride == 1 ? 0 : 1;
  s->last_phase = s->stride == 1 ? 0 : kWinogradPhases - 1;
  s->in_positions = winograd_in(s->stride);
  s->out_positions = winograd_sums(s->stride);
  s->tiles.number(g.batch, g.out[1], g.out[2]);
  const i64 threads = p.threads(), most = most_tiles(*s), tiles = s->tiles.count();
  s->shared = threads > 1 && tiles < 16 * threads;
  // Runs of equal size, as many for each thread.
  s->layout = layout_of(*s, max_of(1, s->shared ? tiles : ceil_div(tiles, max_of(1, threads * ceil_div(tiles, threads * most)))));
  const i64 groups = ceil_div(g.c_out, s->multiply->wide);
  s->columns_per_task = (s->shared ? ceil_div(groups, 4 * threads) : groups) * s->multiply->wide;
  s->outside = g.in[2] * pitch_of(p.in(0));
}

// A thread's scratch.
struct Scratch {
  f32 *outside, *weights, *products, *pixels;
  void* program;

  Scratch(const State& s, const RunLayout& l, f32* from) {
    outside = from;
    weights = outside + s.outside;
    products = weights + l.weights;
    pixels = products + square(s.out_positions) * l.out_position_step;
    program = products + l.products;
  }
};

}  // namespace
}  // namespace edgeort
