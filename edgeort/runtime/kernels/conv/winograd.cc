// WinogradConv: 3x3, stride 1 or 2, chosen where shapes say that it pays (edgeort/lowering/winograd.py).
//
// A run of tiles is transformed into memory that stays in level 2. Then, for each group of output columns, blocks of input
// channels: their weights are transformed, a share of the positions at a time, and multiplied with all tiles of the run.
#include <string.h>

#include "winograd_runs.h"

namespace edgeort {
namespace {

// Each element of the addend is read right before that of the output is written. Not so those of the input.
void overwrite_addend(Prepare& p, const State& s) {
  const int addend = s.addend_input();
  const Tensor &from = p.in(addend), &y = p.out(0);
  if (count(from) == count(y) && !from.pitch && !y.pitch && &from != &p.in(0)) p.overwrite(0, addend);
}

Status prepare(Prepare& p) {
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  const auto& params = p.params<ConvParams>();
  const Geometry& g = s->g;
  EDGEORT_TRY(conv_geometry(p, params, &s->g));
  const bool fits = g.kernel[0] == 1 && g.in[0] == 1 && g.out[0] == 1 && g.kernel[1] == 3 && g.kernel[2] == 3 && g.groups == 1;
  if (!fits || g.stride[1] > 2 || g.stride[2] != g.stride[1] || g.dilation[1] != 1 || g.dilation[2] != 1)
    return p.fail("needs a 3x3 kernel of stride 1 or 2");
  if (g.c_in > i64{1} << 24) return p.fail("has too many channels");
  const i64 padded_out = round_up(g.c_out, kPanel);
  EDGEORT_TRY(check_weights(p, 9 * g.c_in * padded_out, padded_out));
  const Tensor& y = p.out(0);
  EDGEORT_TRY(s->epilogue.bind(p, params.epilogue, sizeof(params), y.dims, y.rank - 1, g.c_out, true));
  s->lo = -__builtin_inff();
  s->hi = __builtin_inff();
  s->adds = g.c_out % kPanel == 0 && s->epilogue.adds_one(&s->lo, &s->hi, &s->addend);
  s->program = !s->epilogue.empty() && !s->adds && !s->epilogue.clamp(&s->lo, &s->hi);
  if (s->adds) overwrite_addend(p, *s);
  arrange(p, s);
  p.reads_slice(0);
  p.writes_slice(0);
  const u64 input = static_cast<u64>(s->layout.input * kFloats);
  if (s->shared) p.scratch(input);
  p.thread_scratch((s->shared ? 0 : input) + s->scratch_bytes(s->layout));
  return Status::ok;
}

// What is computed: all images, or lines of one, which `tiles` cover.
struct Job {
  const Run& r;
  const State& s;
  const RunLayout& layout;
  const WinogradTiles& tiles;
  Lines in, out;
  i64 image, top;  // that of the first tile, and its line

  i64 row(const WinogradTiles::Place& at, i64 y) const { return ((image + at.n) * s.g.out[1] + top + y) * s.g.out[2] + at.left; }
  f32* to(const WinogradTiles::Place& at, i64 y) const { return out.line(at.n * s.g.out[1] + top + y) + at.left * out_pitch(); }
  i64 in_pitch() const { return in.pixel / kFloats; }
  i64 out_pitch() const { return out.pixel / kFloats; }
};

// Transforms channels [begin, end) of `count` tiles of a run that begins at tile `first`.
void transform_in(const Job& job, i64 first, i64 count, i64 begin, i64 end, f32* outside, f32* to) {
  const State& s = job.s;
  const Geometry& g = s.g;
  bool cleared = false;
  for (i64 i = 0; i < count;) {
    const WinogradTiles::Place at = job.tiles.place(first + i);
    const i64 top = (job.top + at.top) * s.stride - g.pad[1];
    WinogradPatches p;
    p.tiles = min_of(count - i, at.along);
    p.out_height = at.height;
    p.out_width = at.width;
    for (int y = 0; y < s.in_positions; ++y) {
      const bool inside = top + y >= 0 && top + y < g.in[1];
      if (!inside && !cleared) memset(outside, 0, static_cast<size_t>(s.outside * kFloats));
      cleared |= !inside;
      p.lines[y] = (inside ? job.in.line<const f32>(at.n * g.in[1] + top + y) : outside) + begin;
    }
    p.left = at.left * s.stride - g.pad[2];
    p.width = g.in[2];
    p.pixel_step = job.in_pitch();
    p.channels = end - begin;
    p.to = to + begin / s.multiply->lanes * job.layout.in_channel_step + i * s.multiply->lanes;
    p.position_step = job.layout.in_position_step;
    p.channel_step = job.layout.in_channel_step;
    s.transforms->input[s.stride - 1](p);
    i += p.tiles;
  }
}

// What all products of a run and a group of columns have in common.
WinogradProducts products_of(const Job& job, i64 first, i64 count, const Scratch& scratch) {
  const State& s = job.s;
  WinogradProducts p = {};
  p.in_positions = s.in_positions;
  p.in_position_step = job.layout.in_position_step;
  p.in_channel_step = job.layout.in_channel_step;
  p.weights = scratch.weights;
  for (int i = 0; i < kTileKinds; ++i) p.tiles[i] = job.tiles.count(i, first, count);
  p.edge_height = job.tiles.kinds[kCornerTile].height;
  p.edge_width = job.tiles.kinds[kCornerTile].width;
  p.out = scratch.products;
  p.out_positions = s.out_positions;
  p.out_position_step = job.layout.out_position_step;
  p.first = true;
  p.panel_step = 9 * s.g.c_in * kPanel;
  return p;
}

// The products of all tiles of a run with the weights of one group of columns. Those of column `next` are wanted after it.
void multiply(const Job& job, i64 column, i64 columns, i64 next, const f32* in, i64 first, i64 count, const Scratch& scratch) {
  const State& s = job.s;
  const RunLayout& l = job.layout;
  const Geometry& g = s.g;
  const i64 lanes = s.multiply->lanes;
  const bool wide = columns > kPanel;
  const f32* panels = job.r.in(1).as<const f32>() + column * 9 * g.c_in;
  WinogradProducts p = products_of(job, first, count, scratch);
  for (int i = s.first_phase; i <= s.last_phase; ++i) {
    const WinogradPhase& phase = kWinogradPhase[i];
    p.left = phase.left();
    p.weights_position_step = phase.columns > 1 ? lanes * columns : 0;
    p.weights_row_step = phase.rows > 1 ? lanes * columns * phase.columns : 0;
    for (i64 c = 0; c < g.c_in; c += l.depth[i], p.first = false) {
      p.channels = min_of(l.depth[i], g.c_in - c);
      p.in = in + phase.in * l.in_position_step + c / lanes * l.in_channel_step;
      const WinogradWeights weights = {panels, p.panel_step, p.channels, scratch.weights};
      panels += p.channels * phase.taps() * kPanel;
      if (i == s.last_phase && c + p.channels == g.c_in) panels = job.r.in(1).as<const f32>() + next * 9 * g.c_in;
      const i64 across = s.out_positions - phase.left();
      p.ahead_lines = ceil_div(l.depth[i] * phase.taps(), across * (s.out_positions - phase.top()));
      for (int row = 0; row < phase.rows; row += phase.share) {
        const i64 rows = min_of(phase.share, phase.rows - row);
        p.top = phase.rows > 1 ? row : 1;
        p.bottom = phase.rows > 1 ? row + rows : s.out_positions;
        p.ahead = panels + row * across * p.ahead_lines * kPanel;
        p.weights_channel_step = lanes * columns * rows * phase.columns;
        s.weight_transforms->share[wide][i](weights, row);
        s.multiply->multiply[wide](p);
      }
    }
  }
}

// Transforms products back into columns [column, column + columns) of the output.
void transform_out(const Job& job, i64 first, i64 count, i64 column, i64 group_columns, const Scratch& scratch) {
  const State& s = job.s;
  const Geometry& g = s.g;
  const i64 columns = min_of(group_columns, g.c_out - column);
  WinogradTile t = {};
  t.position_step = job.layout.out_position_step;
  t.bias = job.r.in(2).as<const f32>() + column;
  t.lo = s.lo;
  t.hi = s.hi;
  t.columns = columns;
  const f32* addend = nullptr;
  if (s.adds) {
    addend = job.r.in(s.addend_input()).as<const f32>() + column;
    t.addend_pixel_step = s.epilogue.operand[s.addend].row_step;
    t.addend_line_step = t.addend_pixel_step * g.out[2];
  }
  const bool whole = columns % s.multiply->lanes == 0;  // vectors
  const i64 line_step = job.out.stride / kFloats;
  for (i64 i = 0; i < count; ++i) {
    const WinogradTiles::Place at = job.tiles.place(first + i);
    f32* to = job.to(at, at.top) + column;
    t.addend = addend ? addend + job.row(at, at.top) * t.addend_pixel_step : nullptr;
    t.from = scratch.products + i * group_columns;
    t.to = whole ? to : scratch.pixels;
    t.pixel_step = whole ? job.out_pitch() : group_columns;
    t.line_step = whole ? line_step : kWinogradOut * group_columns;
    t.out_height = at.height;
    t.out_width = at.width;
    s.transforms->output[s.stride - 1](t);
    for (i64 y = 0; y < at.height && !whole; ++y) {
      for (i64 x = 0; x < at.width; ++x) {
        memcpy(to + y * line_step + x * job.out_pitch(), scratch.pixels + (y * kWinogradOut + x) * group_columns,
               static_cast<size_t>(columns * kFloats));
      }
    }
  }
}

// Runs the epilogue's program over columns [begin, end) of the outputs of a run, line by line.
void finish(const Job& job, i64 first, i64 count, i64 begin, i64 end, void* scratch) {
  const State& s = job.s;
  const bool flat = s.epilogue.flat && job.out_pitch() == s.g.c_out && end - begin == s.g.c_out;  // a line as one row
  for (i64 i = 0; i < count;) {
    const WinogradTiles::Place at = job.tiles.place(first + i);
    const i64 tiles = min_of(count - i, at.along), width = (tiles - 1) * kWinogradOut + at.width, step = flat ? width : 1;
    for (i64 y = at.top; y < at.top + at.height; ++y) {
      f32* to = job.to(at, y) + begin;
      for (i64 x = 0; x < width; x += step) {
        s.epilogue.run(job.r, to + x * job.out_pitch(), job.row(at, y) + x, begin, step * (end - begin), scratch);
      }
    }
    i += tiles;
  }
}

// Columns [begin, end) of the outputs of a run whose transformed input is `in`, the last group first where the run before has
// just read the weights of that.
void run_columns(const Job& job, const f32* in, i64 first, i64 count, i64 begin, i64 end, bool backwards, const Scratch& scratch) {
  const State& s = job.s;
  const i64 wide = s.multiply->wide, groups = ceil_div(end - begin, wide);
  for (i64 i = 0; i < groups; ++i) {
    const i64 column = begin + (backwards ? groups - 1 - i : i) * wide, columns = end - column > kPanel ? wide : kPanel;
    const i64 next = i + 1 == groups ? column : backwards ? column - wide : column + wide;
    multiply(job, column, columns, next, in, first, count, scratch);
    transform_out(job, first, count, column, columns, scratch);
  }
  if (s.program) finish(job, first, count, begin, min_of(end, s.g.c_out), scratch.program);
}

// All of a run, by one thread, whose scratch begins with the transformed input.
void run_tiles(const Job& job, i64 first, i64 count, bool backwards, f32* in) {
  const Scratch scratch(job.s, job.layout, in + job.layout.input);
  transform_in(job, first, count, 0, job.s.g.c_in, scratch.outside, in);
  run_columns(job, in, first, count, 0, job.s.g.c_out, backwards, scratch);
}

void run(Run& r) {
  const State& s = r.state<State>();
  const Geometry& g = s.g;
  const i64 tiles = s.tiles.count(), per_run = s.layout.per_run;
  if (tiles == 0) return;
  const Job job = {r, s, s.layout, s.tiles, Lines::of(r.in(0)), Lines::of(r.out(0)), 0, 0};
  if (!s.shared) {
    const i64 runs = ceil_div(tiles, per_run);
    r.parallel(runs, [&](i64 task, int thread) {
      const i64 first = (r.backwards() ? runs - 1 - task : task) * per_run;
      run_tiles(job, first, min_of(per_run, tiles - first), task % 2 != 0, static_cast<f32*>(r.thread_scratch(thread)));
    });
    return;
  }
  f32* in = static_cast<f32*>(r.scratch());
  r.parallel(ceil_div(g.c_in, kInputChunk), [&](i64 task, int thread) {
    const i64 begin = task * kInputChunk;
    transform_in(job, 0, tiles, begin, min_of(g.c_in, begin + kInputChunk), static_cast<f32*>(r.thread_scratch(thread)), in);
  });
  r.parallel(ceil_div(g.c_out, s.columns_per_task), [&](i64 task, int thread) {
    const i64 begin = task * s.columns_per_task;
    const Scratch scratch(s, s.layout, static_cast<f32*>(r.thread_scratch(thread)));
    run_columns(job, in, 0, tiles, begin, min_of(g.c_out, begin + s.columns_per_task), false, scratch);
  });
}

bool can_stream(const void* state) { return static_cast<const State*>(state)->g.streams(); }

// Lines come as they are: the transform knows where they end.
void beside(const void*, i64*, i64*, u8*) {}

// Tiles of the longest run that lines may be cut into.
i64 longest(const State& s, i64 lines) { return min_of(most_tiles(s), ceil_div(lines, kWinogradOut) * ceil_div(s.g.out[2], kWinogradOut)); }

u64 stream_scratch(const void* state, i64 lines) {
  const State& s = *static_cast<const State*>(state);
  const RunLayout layout = layout_of(s, longest(s, lines));
  return static_cast<u64>(layout.input * kFloats) + s.scratch_bytes(layout);
}

void run_lines(const Run& r, const Lines& in, const Lines& out, i64 n, Span lines, void* scratch) {
  const State& s = r.state<State>();
  WinogradTiles tiles;
  tiles.number(1, lines.last - lines.first, s.g.out[2]);
  const i64 all = tiles.count(), runs = ceil_div(all, most_tiles(s)), per_run = ceil_div(all, runs);
  const RunLayout layout = layout_of(s, per_run);
  const Job job = {r, s, layout, tiles, in, out, n, lines.first};
  const i64 strip = lines.first / kWinogradOut;
  for (i64 first = 0; first < all; first += per_run) {
    run_tiles(job, first, min_of(per_run, all - first), (strip + first / per_run) % 2 != 0, static_cast<f32*>(scratch));
  }
}

constexpr StreamOps kStream = {
    can_stream, conv_reach<State>, beside, stream_scratch, run_lines, kWinogradOut, kEnoughTiles * square(kWinogradOut), kLargeCaches};

}  // namespace

extern const OpDef kWinogradConv;
const OpDef kWinogradConv = {"WinogradConv", sizeof(ConvParams), prepare, run, &kStream, nullptr, 0, false, true};

}  // namespace edgeort
