#include "blocks.h"

namespace edgeort {

// Bytes of packed weights that a task's blocks share before the next ones: about half a small core's L2.
static constexpr i64 kChunkBytes = 128 * 1024;

void Blocks::cut(i64 all_rows, i64 taps, int threads, i64 tile_rows, i64 width, i64 element) {
  rows = all_rows;
  max_taps = taps;
  block = max_of(1, min_of(rows, tile_rows));
  const i64 blocks = ceil_div(rows, block), panels = ceil_div(n, kPanel);
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
  const i64 column_bytes = max_of(1, panel_stride / kPanel * element);
  chunk = max_of(1, kChunkBytes / (column_bytes * width)) * width;
}

}  // namespace edgeort
