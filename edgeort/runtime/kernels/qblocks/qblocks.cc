// BlockQGemm: float32 rows by constant weights of 4 or 8 bits in blocks; the rows become bytes, a scale for each block.
#include "qblocks.h"

#include <string.h>

#include "../../core/op.h"
#include "../elementwise/bound.h"
#include "../gemm/blocks.h"

namespace edgeort {

EDGEORT_KERNELS(BlockKernels, qblocks)

namespace {

enum Input { kX, kWeights, kBias, kScale, kZero, kOperands };

struct State : Blocks {
  const BlockKernels* kernels;
  BoundProgram epilogue;
  i64 k, blocks, quads;  // of a row, and of a block
  bool pairs;            // weights of 4 bits
  bool once;             // BlockTile::once

  i64 row_bytes() const { return blocks * quads * kQuadRows; }
  i64 panel_bytes() const { return row_bytes() * kPanel / (pairs ? 2 : 1); }
  u64 all_bytes() const { return (static_cast<u64>(rows * row_bytes()) + kAlignment - 1) & ~(kAlignment - 1); }
};

Status bind_weights(Prepare& p, const BlockQGemmParams& g, State* s) {
  if (g.k < 1 || g.n < 1 || g.n > i64{1} << 31 || g.k > (i64{1} << 40) / g.n) return p.fail("its weights are too large");
  if (!p.has(kWeights) || !p.has(kScale)) return p.fail("needs weights and scales");
  const i64 panels = ceil_div(g.n, kPanel);
  const Tensor& w = p.in(kWeights);
  s->pairs = w.dtype == DType::u8;
  if ((!s->pairs && w.dtype != DType::i8) || w.rank != 4 || w.dims[0] != panels || w.dims[3] != kQuadBytes)
    return p.fail("its weights must be %lld panels of int8 or pairs of 4 bits", (long long)panels);
  s->k = g.k;
  s->blocks = w.dims[1];
  s->quads = w.dims[2] * (s->pairs ? 2 : 1);
  // A sum of int32 holds the products of a block, and rows become bytes in vectors of up to four quads.
  if (s->quads < 4 || s->quads % 4 || s->quads > 4096 || s->blocks != ceil_div(s->k, s->quads * kQuadRows))
    return p.fail("its weights must have %lld rows in blocks", (long long)s->k);
  for (int i = kScale; i <= kZero; ++i) {
    if (!p.has(i)) continue;
    const Tensor& t = p.in(i);
    if (t.dtype != (i == kScale ? DType::f32 : DType::i8) || t.rank != 3 || t.dims[0] != panels || t.dims[1] != s->blocks ||
        t.dims[2] != kPanel) {
      return p.fail("scales and zero points must be one for each column of a block");
    }
  }
  if (p.has(kBias) && (p.in(kBias).dtype != DType::f32 || p.in(kBias).rank != 1 || p.in(kBias).dims[0] != panels * kPanel))
    return p.fail("the bias must have %lld values", (long long)(panels * kPanel));
  return Status::ok;
}

Status prepare(Prepare& p) {
  const auto& g = p.params<BlockQGemmParams>();
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  if (!p.has(kX) || p.in(kX).dtype != DType::f32 || p.in(kX).rank < 1) return p.fail("the input must be float32, and no scalar");
  const Tensor& x = p.in(kX);
  if (x.dims[x.rank - 1] != g.k) return p.fail("inner dimensions disagree: %lld and %lld", (long long)x.dims[x.rank - 1], (long long)g.k);
  EDGEORT_TRY(bind_weights(p, g, s));
  i64 dims[kMaxRank];
  memcpy(dims, x.dims, sizeof(dims));
  dims[x.rank - 1] = g.n;
  EDGEORT_TRY(p.set(0, DType::f32, dims, x.rank));
  EDGEORT_TRY(s->epilogue.bind(p, g.epilogue, sizeof(g), dims, x.rank - 1, g.n, true));
  s->kernels = &qblocks(p.isa());
  s->once = p.outgrows_caches();
  s->n = g.n;
  s->panel_stride = s->row_bytes() * kPanel;
  s->cut(count(x, 0, x.rank - 1), 1, p.threads(), s->kernels->rows, kPanel, 1);
  p.scratch(s->all_bytes() + static_cast<u64>(s->rows * s->blocks) * sizeof(BlockScale));
  p.thread_scratch(s->epilogue.empty() ? 0 : s->epilogue.scratch_bytes(s->n));
  p.reads_slice(kX);
  p.writes_slice(0);
  if (s->rows == 0) return Status::ok;
  if (!s->count_ended(p)) return p.out_of_memory();
  // x, which may be an operand of the epilogue as well, is bytes before.
  p.ends_rows(static_cast<int>(max_of(kOperands, g.epilogue.first_operand)));
  return Status::ok;
}

// A task's rows and columns: chunks of columns whose weights stay in cache, all rows of each.
void multiply(const Run& r, const State& s, const Blocks::Part& part, const i8* bytes, const BlockScale* scales) {
  BlockTile tile = {};
  tile.blocks = s.blocks;
  tile.quads = s.quads;
  tile.once = s.once && s.rows <= s.block;
  tile.out_stride = pitch_of(r.out(0));
  const BlockTileFn* kernels = s.kernels->multiply[s.pairs][r.has(kZero)];
  const i64 tiles = ceil_div(part.last - part.first, s.block), size = ceil_div(part.last - part.first, max_of(tiles, 1));
  for (i64 column = part.begin, end; column < part.end; column = end) {
    end = min_of(part.end, column + s.chunk);
    const i64 panel = column / kPanel, place = panel * s.blocks * kPanel;
    tile.weights = r.in(kWeights).as<const u8>() + panel * s.panel_bytes();
    tile.scale = r.in(kScale).as<const f32>() + place;
    tile.zero = r.has(kZero) ? r.in(kZero).as<const i8>() + place : nullptr;
    tile.bias = r.has(kBias) ? r.in(kBias).as<const f32>() + column : nullptr;
    tile.columns = end - column;
    for (i64 row = part.first; row < part.last; row += size) {
      tile.rows = bytes + row * s.row_bytes();
      tile.scales = scales + row * s.blocks;
      tile.out = r.out(0).as<f32>() + row * tile.out_stride + column;
      kernels[min_of(size, part.last - row) - 1](tile);
    }
  }
}

void run(Run& r) {
  const State& s = r.state<State>();
  if (s.rows == 0) return;
  const f32* x = r.in(kX).as<const f32>();
  const i64 stride = pitch_of(r.in(kX)), out_stride = pitch_of(r.out(0));
  i8* bytes = static_cast<i8*>(r.scratch());
  auto* scales = reinterpret_cast<BlockScale*>(bytes + s.all_bytes());
  r.ranges(s.rows, max_of(1, 16384 / s.k), [&](i64 begin, i64 end, int) {
    for (i64 i = begin; i < end; ++i)
      s.kernels->quantise(x + i * stride, s.k, s.quads * kQuadRows, bytes + i * s.row_bytes(), scales + i * s.blocks);
  });
  r.parallel(s.tasks(), [&](i64 task, int thread) {
    const Blocks::Part part = s.part(task);
    multiply(r, s, part, bytes, scales);
    for (i64 row = part.first; row < part.last && !s.epilogue.empty(); ++row) {
      f32* out = r.out(0).as<f32>() + row * out_stride + part.begin;
      s.epilogue.run(r, out, row, part.begin, part.end - part.begin, r.thread_scratch(thread));
    }
    if (r.has_row_epilogue() && s.is_last(task)) r.end_rows(part.first, part.last);
  });
}

}  // namespace

extern const OpDef kBlockQGemm;
const OpDef kBlockQGemm = {"BlockQGemm", sizeof(BlockQGemmParams), prepare, run};

}  // namespace edgeort
