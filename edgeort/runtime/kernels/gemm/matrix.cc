#include "matrix.h"

namespace edgeort {

EDGEORT_KERNELS(GemmKernels, gemm)

Status Matrix::bind(Prepare& p, const Program& code, size_t params_bytes, const i64* dims, int rank, i64 all_columns, i64 k) {
  kernels = &gemm(p.isa());
  n = all_columns;
  panel_stride = k * kPanel;
  row_step = 1;
  block = kMaxTileRows;  // of programs, where the caller cuts the rows
  lo = -__builtin_inff();
  hi = __builtin_inff();
  EDGEORT_TRY(epilogue.bind(p, code, params_bytes, dims, rank, all_columns, true));
  program = !epilogue.empty() && !epilogue.clamp(&lo, &hi);
  return Status::ok;
}

void Matrix::partition(i64 all_rows, i64 taps, int threads) {
  const TileRow& tile = main_tile();
  few = compression.kernels && taps == 1 && all_rows <= kFewRows;
  if (few) {  // nothing is read twice, so that a chunk is all there is
    cut(all_rows, taps, threads, kFewRows, kFewPanels * kPanel, 0);
  } else {
    cut(all_rows, taps, threads, tile.rows, compression.kernels ? round_up(tile.columns, kPanel) : tile.columns, sizeof(f32));
  }
}

Weights Matrix::weights(const Run& r, i64 panel) const {
  return compression.kernels ? compression.weights(r, panel) : Weights(r.in(1).as<const f32>() + panel * panel_stride);
}

const TileRow& Matrix::main_tile() const {
  return largest_tile(kernels->tiles, kernels->count, round_up(max_of(n, 1), kernels->tiles[kernels->count - 1].columns));
}

u64 Matrix::scratch_bytes() const { return static_cast<u64>(group_bytes() + widened_bytes()) + epilogue_bytes(); }

void Matrix::compressed_columns(const Rows& in, const Weights& weights, bool first, f32* wide, const f32* bias, i64 begin, i64 end,
                                f32* out, i64 out_stride) const {
  if (few) return compression.multiply(weights, in.pointers, in.rows, bias, lo, hi, begin, end, out, out_stride);
  if (first) compression.widen(weights, begin, end, wide);
  columns(in, wide, bias ? bias + begin : nullptr, 0, end - begin, out + begin, out_stride);
}

void Matrix::columns(const Rows& in, const f32* panels, const f32* bias, i64 begin, i64 end, f32* out, i64 out_stride) const {
  Tile tile = {in.pointers, in.offsets, in.taps, in.kc,      nullptr, panel_stride, nullptr, clips(),
               lo,          hi,         nullptr, out_stride, 0,       in.repeat,    in.step};
  cover(kernels->tiles, kernels->count, in.rows, begin, end, [&](const TileRow& row, i64 column, i64 left) {
    const i64 whole = row.columns < kPanel ? 1 : left / row.columns;
    tile.panels = panels + column / kPanel * panel_stride + column % kPanel;
    tile.bias = bias ? bias + column : nullptr;
    tile.out = out + column;
    tile.columns = min_of(left, max_of(1, whole) * row.columns);
    row.fn[in.rows - 1](tile);
    return tile.columns;
  });
}

void Matrix::finish(const Run& r, i64 row, i64 column, i64 count, i64 begin, i64 end, f32* out, i64 out_stride, void* scratch) const {
  const i64 width = end - begin;
  const bool flat = epilogue.flat && out_stride == width && epilogue.columns == width;
  const i64 rows_at_once = flat ? block : 1;
  for (i64 m = 0; m < count; m += rows_at_once) {
    epilogue.run(r, out + m * out_stride + begin, row + m * row_step, column + begin, min_of(rows_at_once, count - m) * width, scratch);
  }
}

}  // namespace edgeort
