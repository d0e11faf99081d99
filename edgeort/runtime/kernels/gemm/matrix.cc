#include "matrix.h"

namespace edgeort {

EDGEORT_KERNELS(GemmKernels, gemm)

namespace {

// Bytes of packed weights that a task's blocks share before the next ones: about half a small core's L2.
constexpr i64 kChunkBytes = 128 * 1024;

i64 round_up(i64 value, i64 multiple) { return ceil_div(value, multiple) * multiple; }

}  // namespace

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
  rows = all_rows;
  max_taps = taps;
  block = max_of(1, min_of(rows, main_tile().rows));
  const i64 blocks = ceil_div(rows, block), panels = ceil_div(n, kPanel);
  const i64 width = main_tile().columns;
  // Tasks of equal size, several a thread: cores may differ, or have other work.
  const i64 wanted = threads > 1 ? 4 * threads : 1, least = ceil_div(blocks, kMaxGroup);
  // Each task reads the weights of its columns, and its rows: the larger of the two is what tasks should share least.
  const i64 most_splits = max_of(1, ceil_div(panels, 4));
  i64 row_tasks = n > rows ? ceil_div(wanted, most_splits) : wanted;
  row_tasks = max_of(1, min_of(blocks, max_of(row_tasks, least)));
  const i64 splits = row_tasks >= wanted ? 1 : min_of(most_splits, ceil_div(wanted, row_tasks));
  rows_per_task = max_of(1, ceil_div(rows, row_tasks));
  group = min_of(kMaxGroup, ceil_div(rows_per_task, block));
  columns_per_task = max_of(kPanel, round_up(ceil_div(n, splits), max_of(kPanel, width)));
  const i64 column_bytes = max_of(1, panel_stride / kPanel * i64{sizeof(f32)});
  chunk = max_of(1, kChunkBytes / (column_bytes * width)) * width;
}

i64 Matrix::reach(i64 left) const {
  const i64 narrowest = kernels->tiles[kernels->count - 1].columns;
  return round_up(left, narrowest);
}

const TileRow& Matrix::main_tile() const {
  // The most sums in registers; among equals more rows, which read the weights less often.
  const TileRow* best = nullptr;
  for (const TileRow* row = kernels->tiles; row < kernels->tiles + kernels->count; ++row) {
    if (row->columns <= reach(max_of(n, 1)) && (!best || row->rows * row->columns >= best->rows * best->columns)) best = row;
  }
  return *best;
}

u64 Matrix::scratch_bytes() const {
  const i64 pointers = round_up(max_taps * block * i64{sizeof(void*)}, 8) + max_taps * i64{sizeof(i64)};
  return static_cast<u64>(group * pointers) + (program ? epilogue.scratch_bytes(n * block) : 0);
}

u8* Matrix::place(Rows* out, u8* scratch) const {
  out->pointers = reinterpret_cast<const f32**>(scratch);
  scratch += round_up(max_taps * block * i64{sizeof(void*)}, 8);
  out->offsets = reinterpret_cast<i64*>(scratch);
  return scratch + max_taps * i64{sizeof(i64)};
}

void Matrix::columns(const Rows& in, const f32* panels, const f32* bias, i64 begin, i64 end, f32* out, i64 out_stride) const {
  const bool clips = lo > -__builtin_inff() || hi < __builtin_inff();
  Tile tile = {in.pointers, in.offsets, in.taps, in.kc,      nullptr, panel_stride, nullptr, clips,
               lo,          hi,         nullptr, out_stride, 0,       in.repeat,    in.step};
  const TileRow* row = kernels->tiles;
  for (i64 column = begin; column < end; column += tile.columns) {
    // Rows are sorted from wide to narrow: what fits now is at or behind what fitted before.
    const i64 left = end - column, most = reach(left);
    while (row->rows < in.rows || row->columns > most) ++row;
    const i64 whole = row->columns < kPanel ? 1 : left / row->columns;
    tile.panels = panels + column / kPanel * panel_stride + column % kPanel;
    tile.bias = bias ? bias + column : nullptr;
    tile.out = out + column;
    tile.columns = min_of(left, max_of(1, whole) * row->columns);
    row->fn[in.rows - 1](tile);
  }
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
