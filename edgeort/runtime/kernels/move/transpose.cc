// Transpose: rows where the last axis stays, blocks of 2-D transposes where it moves.
#include "../../core/stream.h"
#include "args.h"
#include "move.h"
#include "strided.h"

namespace edgeort {

EDGEORT_KERNELS(MoveKernels, move)

namespace {

struct State {
  bool to_last;  // [n, c, h, w] -> [n, h, w, c] of float32
  Strided copy;
  TransposeFn block;  // null: the last axis stays
  int column_axis;    // of the output: the input's last axis
  i64 tile_rows, tile_columns;
};

constexpr i64 kTile = 64;  // elements a side: both sides of a tile stay in L1

Status permutation(Prepare& p, int rank, int* perm) {
  const auto& params = p.params<ListParams>();
  if (params.count != 0 && params.count != rank) return p.fail("its permutation has %lld axes, not %d", (long long)params.count, rank);
  u32 seen = 0;
  for (int i = 0; i < rank; ++i) {
    perm[i] = rank - 1 - i;
    if (params.count) EDGEORT_TRY(axis_of(p, params.values[i], rank, &perm[i]));
    if (seen & (1u << perm[i])) return p.fail("its permutation names axis %d twice", perm[i]);
    seen |= 1u << perm[i];
  }
  return Status::ok;
}

void choose_tiles(Prepare& p, State& s) {
  const Strided& c = s.copy;
  const int last = c.rank - 1;
  s.block = nullptr;
  if (c.in[last] == c.size || c.size > 8) return;
  s.block = move(p.isa()).transpose[c.size == 1 ? 0 : c.size == 2 ? 1 : c.size == 4 ? 2 : 3];
  for (int i = 0; i < last; ++i) {
    if (c.in[i] == c.size) s.column_axis = i;
  }
  const i64 rows = c.dims[last], columns = c.dims[s.column_axis];
  // A narrow side leaves its share of the tile to the other.
  s.tile_rows = min_of(rows, max_of(kTile, kTile * kTile / columns / 16 * 16));
  s.tile_columns = min_of(columns, max_of(kTile, kTile * kTile / rows / 16 * 16));
}

Status prepare(Prepare& p) {
  EDGEORT_TRY(need(p, 1, 1));
  const Tensor& in = p.in(0);
  int perm[kMaxRank];
  EDGEORT_TRY(permutation(p, in.rank, perm));
  i64 dims[kMaxRank];
  for (int i = 0; i < in.rank; ++i) dims[i] = in.dims[perm[i]];
  EDGEORT_TRY(p.set(0, in.dtype, dims, in.rank));
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  i64 strides[kMaxRank], out_strides[kMaxRank];
  strides_of(in, strides);
  strides_of(p.out(0), out_strides);
  Strided& c = s->copy;
  c.start(size_of(in.dtype));
  for (int i = 0; i < in.rank; ++i) c.add(dims[i], strides[perm[i]], out_strides[i]);
  c.finish();
  // A view of a state shows whole matrices of it.
  const bool shown = !in.capacity || (perm[in.rank - 1] == in.rank - 1 && perm[in.rank - 2] == in.rank - 2);
  if (shown && (count(in) == 0 || (c.rank == 1 && c.in[0] == c.size))) {
    p.alias(0, 0);
    return Status::ok;
  }
  p.reads_state(0);
  if (count(in) == 0) return Status::ok;
  s->to_last = in.dtype == DType::f32 && in.rank == 4 && perm[0] == 0 && perm[1] == 2 && perm[2] == 3 && perm[3] == 1;
  choose_tiles(p, *s);
  return Status::ok;
}

void run(Run& r) {
  const State& s = r.state<State>();
  const Strided& c = s.copy;
  const u8* in = r.in(0).as<const u8>();
  u8* out = r.out(0).as<u8>();
  if (count(r.out(0)) == 0) return;
  if (!s.block) return c.run(r, out, in);
  const int last = c.rank - 1, axis = s.column_axis;
  const i64 rows = c.dims[last], columns = c.dims[axis];
  const i64 row_tiles = ceil_div(rows, s.tile_rows), column_tiles = ceil_div(columns, s.tile_columns);
  const i64 tasks = c.rows() / columns * row_tiles * column_tiles;
  r.ranges(tasks, max_of(1, 2 * kTile * kTile / (s.tile_rows * s.tile_columns)), [&](i64 begin, i64 end, int) {
    for (i64 task = begin; task < end; ++task) {
      const i64 column = task / row_tiles % column_tiles * s.tile_columns, row = task % row_tiles * s.tile_rows;
      i64 source = row * c.in[last] + column * c.size, target = row * c.size + column * c.out[axis];
      i64 rest = task / (row_tiles * column_tiles);
      for (int d = last - 1; d >= 0; --d) {
        if (d == axis) continue;
        source += rest % c.dims[d] * c.in[d];
        target += rest % c.dims[d] * c.out[d];
        rest /= c.dims[d];
      }
      s.block(out + target, c.out[axis] / c.size, in + source, c.in[last] / c.size, min_of(s.tile_rows, rows - row),
              min_of(s.tile_columns, columns - column));
    }
  });
}

bool can_stream(const void* state) { return static_cast<const State*>(state)->to_last && static_cast<const State*>(state)->block; }

u64 stream_scratch(const void*, i64) { return 0; }

void run_lines(const Run& r, const Lines&, const Lines& out, i64 n, Span lines, void*) {
  const State& s = r.state<State>();
  const Tensor& x = r.in(0);
  const i64 channels = x.dims[1], height = x.dims[2], width = x.dims[3];
  for (i64 y = lines.first; y < lines.last; ++y) {
    s.block(out.line(y), channels, x.as<const f32>() + (n * channels * height + y) * width, height * width, channels, width);
  }
}

constexpr StreamOps kStream = {can_stream, nullptr, nullptr, stream_scratch, run_lines};

}  // namespace

extern const OpDef kTranspose;
const OpDef kTranspose = {"Transpose", sizeof(ListParams), prepare, run, &kStream};

}  // namespace edgeort
