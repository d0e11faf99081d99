#include "matrix.h"

#include <string.h>

namespace edgeort {

EDGEORT_KERNELS(QGemmKernels, qgemm)
EDGEORT_KERNELS(RowKernels, qgemm_rows)

namespace {

// Of the float32 values that a program turns into bytes.
constexpr i64 kBetweenBytes = 32 * 1024;
// Values that a program takes at once, if they have no gaps: enough that its steps, not its calls, count.
constexpr i64 kProgramValues = 2048;

}  // namespace

Status QMatrix::bind_program(Prepare& p, const Program& code, size_t params_bytes) {
  const Tensor& y = p.out(0);
  EDGEORT_TRY(epilogue.bind(p, code, params_bytes, y.dims, y.rank - 1, y.dims[y.rank - 1], true));
  return program() && epilogue.quantises() != quantised ? p.fail("its program does not make the type of its result") : Status::ok;
}

void QMatrix::pick(const Prepare& p, bool wide) {
  const QGemmKernels& kernels = qgemm(p.isa());
  tiles = wide && kernels.wide ? kernels.wide : kernels.tiles;
  tile_count = wide && kernels.wide ? 1 : kernels.count;
  bias_lanes = kernels.bias_lanes;
}

Status QMatrix::read_steps(Prepare& p, i64 kc) {
  const int input = kOperands + static_cast<int>(program() ? epilogue.operands : 0);
  if (!p.has(input)) return Status::ok;
  if (kc % kDepth) return p.fail("its steps leave a part of a quad");
  const Tensor& t = p.in(input);
  const i64 products = p.in(kScale).dims[0] / kStepColumns, all = t.rank == 1 ? t.dims[0] : 0;
  const auto* words = static_cast<const u64*>(p.value(input));
  if (t.dtype != DType::u64 || all < products || all % products || !words) return p.fail("its steps must be constant words of all columns");
  steps = {words, all / products, false};
  // Kernels follow them without a look at where the quads end.
  for (i64 i = 0; i < products; ++i) {
    i64 left = kc / kDepth;
    for (i64 k = 0; k < steps.count && left >= 0; ++k) {
      const u64 word = *words++;
      if (!word) return p.fail("a word of its steps has no end");
      const i64 pairs = __builtin_popcountll(word) - 1, triples = 63 - __builtin_ctzll(word) - pairs;
      left -= 2 * pairs + 3 * triples;
    }
    if (i == 0) steps.single = left == 1;
    if (left != steps.single) return p.fail("its steps do not add all quads");
  }
  return Status::ok;
}

// Takes the input's zero point into the bias.
Status QMatrix::fold(Prepare& p, const Quantisation& q, const QConstants& c, i64 all) {
  EDGEORT_TRY(q_result(p, q, quantised && !program(), &result));
  auto* folded = static_cast<i32*>(p.keep(static_cast<u64>(all * bias_lanes) * sizeof(i32)));
  if (!folded) return p.out_of_memory();
  const i32 zero_point = q.x_zero_point + kQ8Bias;
  bool finite = true;
  for (i64 i = 0; i < all; ++i) {
    folded[i * bias_lanes] = c.folded(i, zero_point);
    finite &= __builtin_isfinite(c.scale[i]);
  }
  if (!finite) return p.fail("a scale is not finite");
  outside = static_cast<q8>(zero_point);
  result.bias = folded;
  result.scale = c.scale;
  return Status::ok;
}

Status QMatrix::bind(Prepare& p, const Quantisation& q, const Program& code, size_t params_bytes, i64 products, i64 columns, i64 quads) {
  n = columns;
  panel_stride = quads * kQuad;
  steps = {};
  order = nullptr;
  quantised = q.quantised != 0;
  const i64 all = products * padded();
  QConstants c;
  EDGEORT_TRY(q_constants(p, all * quads * kDepth, all, true, &c));
  EDGEORT_TRY(bind_program(p, code, params_bytes));
  pick(p, q.wide != 0);
  return fold(p, q, c, all);
}

Status QMatrix::bind_rows(Prepare& p, bool wide, const Program& code, size_t params_bytes, i64 columns, i64 quads) {
  n = columns;
  panel_stride = quads * kQuad;
  steps = {};
  order = nullptr;
  quantised = false;
  QConstants c;
  EDGEORT_TRY(q_constants(p, padded() * quads * kDepth, padded(), false, &c));
  EDGEORT_TRY(bind_program(p, code, params_bytes));
  pick(p, wide);
  row_kernels = &qgemm_rows(p.isa());
  once = p.outgrows_caches();
  const auto* zeros = static_cast<const i32*>(p.keep(static_cast<u64>(padded() * bias_lanes) * sizeof(i32)));
  if (!zeros) return p.out_of_memory();
  result = {zeros, c.scale, 0, 0, 0, false, false};
  by_row = {nullptr, c.sums, nullptr};
  if (!p.has(kBias)) return Status::ok;
  by_row.offset = static_cast<const f32*>(p.value(kBias));
  if (!fits(p.in(kBias), DType::f32, padded()) || !by_row.offset) return p.fail("its bias must be %lld constants", (long long)padded());
  return Status::ok;
}

void QMatrix::partition(i64 all_rows, i64 taps, int threads) {
  const QTileRow& main = largest_tile(tiles, tile_count, max_of(padded(), kPanel));
  cut(all_rows, taps, threads, main.rows, main.columns, sizeof(i8));
  if (between()) group = max_of(1, min_of(group, kBetweenBytes / (block * most_columns() * i64{sizeof(f32)} + 1)));
}

u64 QMatrix::scratch_bytes() const {
  const i64 values = between() ? group * block * most_columns() * i64{sizeof(f32)} : 0;
  return static_cast<u64>(group_bytes() + values + kAlignment) +
         (program() ? epilogue.scratch_bytes(max_of(n * block, kProgramValues)) : 0);
}

// The rows of `part`, which `entries` are.
void QMatrix::compute(const Run& r, const Place& to, const Rows* entries, i64 count, const Part& part, u8* scratch) const {
  const i64 width = part.end - part.begin, products = to.product * padded();
  f32* values = reinterpret_cast<f32*>((reinterpret_cast<uintptr_t>(scratch) + 7) & ~uintptr_t{7});
  const i8* panels = r.in(kWeights).as<const i8>() + products / kPanel * panel_stride;
  QTile tile = {};
  tile.result = result;
  tile.result.bias += products * bias_lanes;
  tile.result.scale += products;
  tile.by_row = by_row;
  tile.panel_stride = panel_stride;
  tile.steps = steps;
  if (order) tile.order = order + products / kOrderColumns;
  if (steps.words) tile.steps.words += products / kStepColumns * steps.count;
  tile.out_stride = between() ? width : to.stride;
  tile.once = once && rows == 1;
  const i64 size = between() ? i64{sizeof(f32)} : element();
  char* out = between() ? reinterpret_cast<char*>(values - part.begin) : to.out + part.first * to.stride * size;
  chunks(entries, count, part, out, tile.out_stride * size, [&](const Rows& entry, i64 begin, i64 end, char* at) {
    if (to.scales) tile.by_row.rows = to.scales + part.first + (at - out) / (tile.out_stride * size);
    columns(entry, tile, panels, begin, end, at);
  });
  if (!program()) return;
  if (between()) {
    finish(r, to, part, values, width, values + (part.last - part.first) * width);
  } else {
    finish(r, to, part, reinterpret_cast<f32*>(out) + part.begin, to.stride, values);
  }
}

void QMatrix::columns(const Rows& in, const QTile& common, const i8* panels, i64 begin, i64 end, char* out) const {
  QTile tile = common;
  tile.rows = in.pointers;
  tile.taps = in.taps;
  tile.kc = in.kc;
  tile.repeat = in.repeat;
  tile.step = in.step;
  tile.panels = panels;
  tile.out = out;
  cover(tiles, tile_count, in.rows, begin, end, [&](const QTileRow& row, i64 column, i64 left) {
    tile.begin = column;
    tile.end = column + min_of(left, max_of(row.columns, left / row.columns * row.columns));
    row.fn[in.rows - 1](tile);
    return tile.end - column;
  });
}

// The program over a part whose values lie `stride` apart.
void QMatrix::finish(const Run& r, const Place& to, const Part& part, f32* values, i64 stride, void* scratch) const {
  const i64 width = part.end - part.begin, count = part.last - part.first;
  const i64 at_once = stride == width && epilogue.even ? max_of(block, kProgramValues / max_of(1, width)) : 1;
  for (i64 m = 0; m < count; m += at_once) {
    const BoundProgram::Tile tile = {to.row + part.first + m, to.column + part.begin, width, min_of(at_once, count - m)};
    const bool again = m > 0 && tile.rows == at_once;
    if (quantised) {
      q8* out = reinterpret_cast<q8*>(to.out) + (part.first + m) * to.stride + part.begin;
      epilogue.run(r, values + m * stride, out, to.stride, tile, again, scratch);
    } else {
      epilogue.run(r, values + m * stride, tile, again, scratch);
    }
  }
}

}  // namespace edgeort
