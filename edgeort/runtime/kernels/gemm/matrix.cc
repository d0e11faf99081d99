#include "matrix.h"

namespace edgeort {

EDGEORT_KERNELS(GemmKernels, gemm)

Status Matrix::bind(Prepare& p, const Program& code, size_t params_bytes, const i64* dims, int rank, i64 columns, i64 k) {
  kernels = &gemm(p.isa());
  n = columns;
  panel_stride = k * kPanel;
  lo = -__builtin_inff();
  hi = __builtin_inff();
  EDGEORT_TRY(epilogue.bind(p, code, params_bytes, dims, rank, columns, true));
  program = !epilogue.empty() && !epilogue.clamp(&lo, &hi);
  return Status::ok;
}

int Matrix::tile_rows() const {
  int rows = 1;
  for (int i = 0; i < kernels->count; ++i) rows = kernels->tiles[i].rows > rows ? kernels->tiles[i].rows : rows;
  return rows;
}

void Matrix::columns(const Rows& rows, const f32* panels, const f32* bias, i64 begin, i64 end, f32* out, i64 out_stride) const {
  Tile tile = {rows.pointers, rows.offsets, rows.taps, rows.kc, nullptr, panel_stride, nullptr, lo, hi, nullptr, out_stride, 0};
  for (i64 column = begin; column < end;) {
    const i64 left = end - column, padded = ceil_div(left, kPanel) * kPanel;
    const TileRow* best = nullptr;
    for (int i = 0; i < kernels->count; ++i) {
      const TileRow& candidate = kernels->tiles[i];
      if (candidate.rows < rows.rows || candidate.columns > padded) continue;
      best = &candidate;
      break;
    }
    tile.panels = panels + column / kPanel * panel_stride + column % kPanel;
    tile.bias = bias ? bias + column : nullptr;
    tile.out = out + column;
    tile.columns = left;
    best->fn[rows.rows - 1](tile);
    column += best->columns;
  }
}

void Matrix::finish(const Run& r, i64 row, int rows, f32* out, i64 out_stride, void* scratch) const {
  if (!program) return;
  if (epilogue.flat && out_stride == n) {
    epilogue.run(r, out, row, 0, n * rows, scratch);
    return;
  }
  for (int m = 0; m < rows; ++m) epilogue.run(r, out + m * out_stride, row + m, 0, n, scratch);
}

}  // namespace edgeort
