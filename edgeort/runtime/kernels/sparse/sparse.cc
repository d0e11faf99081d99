// SparseGemm: [..., k] by a constant [k, n] of which a mask says what is not zero; 1x1 convolutions among them.
#include "sparse.h"

#include <string.h>

#include "../../core/stream.h"
#include "../gemm/matrix.h"

namespace edgeort {

EDGEORT_KERNELS(SparseKernels, sparse)

namespace {

constexpr i64 kColumnsAtOnce = 64;        // whose results lie transposed before they are written
constexpr i64 kTileBytes = i64{1} << 18;  // of a transposed tile: it stays in level 2
constexpr i64 kFewVectors = 4;            // of rows: with fewer, a task's weights are used too rarely

struct State {
  Matrix matrix;  // its program
  const SparseKernels* kernels;
  i64 k, n, rows;
  i64 most_vectors;  // of a tile
  i64 rows_per_task, columns_per_task;
  u32* starts;  // [n + 1]
  u16* at;      // of each weight: its k
  bool image;   // x has rank 4

  i64 width() const { return most_vectors * kernels->lanes; }
  i64 tile_bytes() const { return (round_up(k, kPanel) + kColumnsAtOnce) * width() * i64{sizeof(f32)}; }
  u64 scratch_bytes() const { return static_cast<u64>(tile_bytes()) + matrix.epilogue_bytes(); }
};

// Rows of x and of the result, and where the first of them is in the epilogue's space.
struct Place {
  const f32* x;
  i64 x_pitch;
  f32* out;
  i64 out_pitch, row;
};

// Reads the mask [n, ceil(k / 64)]: bit k % 64 of word k / 64 of a column is set where its weight k is not zero.
Status read_mask(Prepare& p, State* s) {
  const Tensor &weights = p.in(1), &mask = p.in(2);
  const i64 words = ceil_div(s->k, 64);
  if (mask.dtype != DType::u64 || mask.rank != 2 || mask.dims[0] != s->n || mask.dims[1] != words)
    return p.fail("the mask has the wrong shape");
  if (weights.dtype != DType::f32 || weights.rank != 1 || weights.dims[0] >= i64{1} << 32)
    return p.fail("the weights must be a float32 vector");
  const auto* bits = static_cast<const u64*>(p.value(2));
  if (!bits) return p.wait();
  s->starts = static_cast<u32*>(p.keep(static_cast<u64>(s->n + 1) * sizeof(u32)));
  s->at = static_cast<u16*>(p.keep(static_cast<u64>(weights.dims[0]) * sizeof(u16)));
  if (!s->starts || !s->at) return p.out_of_memory();
  i64 found = 0;
  for (i64 n = 0; n < s->n; ++n) {
    s->starts[n] = static_cast<u32>(found);
    for (i64 word = 0; word < words; ++word) {
      u64 left = *bits++;
      if (found + __builtin_popcountll(left) > weights.dims[0]) return p.fail("the mask has more entries than there are weights");
      for (; left; left &= left - 1) {
        const i64 k = word * 64 + __builtin_ctzll(left);
        if (k >= s->k) return p.fail("the mask has an entry behind the last row");
        s->at[found++] = static_cast<u16>(k);
      }
    }
  }
  s->starts[s->n] = static_cast<u32>(found);
  return found == weights.dims[0] ? Status::ok : p.fail("the mask has fewer entries than there are weights");
}

// Tasks of whole vectors of rows; of columns only where there are few rows, since each task transposes its rows.
void partition(State* s, int threads) {
  const i64 wanted = threads > 1 ? 4 * threads : 1, lanes = s->kernels->lanes;
  const i64 row_tasks = max_of(1, min_of(wanted, s->rows / (kFewVectors * lanes)));
  s->rows_per_task = max_of(lanes, round_up(ceil_div(s->rows, row_tasks), lanes));
  s->columns_per_task = round_up(ceil_div(s->n, ceil_div(threads, row_tasks)), kPanel);
}

Status prepare(Prepare& p) {
  const auto& g = p.params<SparseGemmParams>();
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  if (!p.has(0) || !p.has(1) || !p.has(2) || !p.has(3)) return p.fail("an operand is missing");
  const Tensor &x = p.in(0), &bias = p.in(3);
  if (x.dtype != DType::f32 || x.rank < 1) return p.fail("the input must be float32, and no scalar");
  s->k = x.dims[x.rank - 1];
  s->n = g.n;
  if (s->k != g.k) return p.fail("inner dimensions disagree: %lld and %lld", (long long)s->k, (long long)g.k);
  if (g.k < 1 || g.k > i64{1} << 16 || g.n < 1 || g.n > i64{1} << 31) return p.fail("a dimension is out of range");
  if (bias.dtype != DType::f32 || bias.rank != 1 || bias.dims[0] != round_up(g.n, kPanel)) return p.fail("the bias has the wrong size");
  EDGEORT_TRY(read_mask(p, s));
  i64 dims[kMaxRank];
  memcpy(dims, x.dims, sizeof(dims));
  dims[x.rank - 1] = g.n;
  EDGEORT_TRY(p.set(0, DType::f32, dims, x.rank));
  EDGEORT_TRY(s->matrix.bind(p, g.epilogue, sizeof(g), dims, x.rank - 1, g.n, g.k));
  s->kernels = &sparse(p.isa());
  s->rows = count(x, 0, x.rank - 1);
  s->image = x.rank == 4;
  const i64 vector_bytes = round_up(s->k, kPanel) * s->kernels->lanes * i64{sizeof(f32)};
  s->most_vectors = max_of(1, min_of(kMostVectors, kTileBytes / vector_bytes));
  partition(s, p.threads());
  p.thread_scratch(s->scratch_bytes());
  p.reads_slice(0);
  p.writes_slice(0);
  return Status::ok;
}

// Columns [begin, end) of a tile of `rows` rows, which fill `vectors` vectors.
void tile(const Run& r, const State& s, const Place& at, i64 rows, i64 vectors, i64 begin, i64 end, f32* scratch) {
  const i64 width = vectors * s.kernels->lanes;
  f32* y = scratch + round_up(s.k, kPanel) * width;
  s.kernels->side_by_side(at.x, at.x_pitch, rows, s.k, scratch, width);
  SparseTile t = {scratch, nullptr, s.at, r.in(1).as<const f32>(), nullptr, 0, s.matrix.clips(), s.matrix.lo, s.matrix.hi, y};
  for (i64 column = begin; column < end; column += t.columns) {
    t.starts = s.starts + column;
    t.bias = r.in(3).as<const f32>() + column;
    t.columns = min_of(kColumnsAtOnce, end - column);
    s.kernels->fn[vectors - 1](t);
    s.kernels->apart(y, width, rows, t.columns, at.out + column, at.out_pitch);
  }
}

// Columns [begin, end) of `rows` rows, in tiles as equal as vectors allow.
void range(const Run& r, const State& s, Place at, i64 rows, i64 begin, i64 end, void* scratch) {
  const i64 vectors = ceil_div(rows, s.kernels->lanes), each = ceil_div(vectors, max_of(1, ceil_div(vectors, s.most_vectors)));
  const i64 step = each * s.kernels->lanes;
  for (i64 left = rows; left > 0; left -= step) {
    const i64 here = min_of(step, left);
    tile(r, s, at, here, ceil_div(here, s.kernels->lanes), begin, end, static_cast<f32*>(scratch));
    if (s.matrix.program) {
      s.matrix.finish(r, at.row, 0, here, begin, end, at.out, at.out_pitch, static_cast<u8*>(scratch) + s.tile_bytes());
    }
    at = {at.x + step * at.x_pitch, at.x_pitch, at.out + step * at.out_pitch, at.out_pitch, at.row + step};
  }
}

void run(Run& r) {
  const State& s = r.state<State>();
  const i64 column_tasks = ceil_div(s.n, s.columns_per_task), x_pitch = pitch_of(r.in(0)), out_pitch = pitch_of(r.out(0));
  r.parallel(ceil_div(s.rows, s.rows_per_task) * column_tasks, [&](i64 task, int thread) {
    const i64 row = task / column_tasks * s.rows_per_task, column = task % column_tasks * s.columns_per_task;
    const Place at = {r.in(0).as<const f32>() + row * x_pitch, x_pitch, r.out(0).as<f32>() + row * out_pitch, out_pitch, row};
    range(r, s, at, min_of(s.rows_per_task, s.rows - row), column, min_of(s.n, column + s.columns_per_task), r.thread_scratch(thread));
  });
}

bool can_stream(const void* state) { return static_cast<const State*>(state)->image; }

Span reach(const void*, Span out) { return out; }

void beside(const void*, i64*, i64*, u8*) {}

u64 stream_scratch(const void* state, i64) { return static_cast<const State*>(state)->scratch_bytes(); }

void run_lines(const Run& r, const Lines& in, const Lines& out, i64 n, Span lines, void* scratch) {
  const State& s = r.state<State>();
  const Tensor& y = r.out(0);
  const i64 width = y.dims[2], in_pixel = in.pixel / i64{sizeof(f32)}, out_pixel = out.pixel / i64{sizeof(f32)};
  const bool joined = out.stride == width * out.pixel && in.stride == width * in.pixel;
  for (i64 line = lines.first, step; line < lines.last; line += step) {
    // Lines that follow one another are one range, up to the ends of their rings.
    step = !joined ? 1 : min_of(lines.last - line, min_of(in.ring - line % in.ring, out.ring - line % out.ring));
    const Place at = {in.line(line), in_pixel, out.line(line), out_pixel, (n * y.dims[1] + line) * width};
    range(r, s, at, step * width, 0, s.n, scratch);
  }
}

constexpr StreamOps kStream = {can_stream, reach, beside, stream_scratch, run_lines};

}  // namespace

extern const OpDef kSparseGemm;
const OpDef kSparseGemm = {"SparseGemm", sizeof(SparseGemmParams), prepare, run, &kStream};

}  // namespace edgeort
