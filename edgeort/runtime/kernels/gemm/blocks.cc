#include "blocks.h"

namespace edgeort {

// Bytes of packed weights that a task's blocks share before the next ones: about half a small core's L2.
static constexpr i64 kChunkBytes = 128 * 1024;
// Where rows must be split too, a thread has all columns of its rows, and the next operator finds those in its cache; unless weights
// are so many times more that no thread should read them all. (Measured with two threads: MiniLM's 16 rows of 384 by 384 gain an
// eighth; with 1 here, EfficientNet-Lite0 loses 4 %.)
static constexpr i64 kManyWeights = 8;
// Multiply-adds below which a task is not worth a thread's attention.
static constexpr i64 kLeastWork = 16 * 1024;

void Blocks::cut(i64 all_rows, i64 taps, int threads, i64 tile_rows, i64 tile_columns, i64 element) {
  rows = all_rows;
  max_taps = taps;
  width = max_of(kPanel, tile_columns);
  block = max_of(1, min_of(rows, tile_rows));
  const i64 blocks = ceil_div(rows, block), k = panel_stride / kPanel;
  // Tasks of equal size, several a thread: cores may differ, or have other work.
  const i64 wanted = threads > 1 ? max_of(1, min_of(4 * threads, rows * n / max_of(1, kLeastWork / max_of(1, k)))) : 1;
  // Tasks of the same columns all read those weights; tasks of the same rows all read those rows, most of which another thread made,
  // and leave a result that the next operator finds in several caches. The larger of the two is what threads should share least.
  const i64 shared = rows * (k + n / max_of(threads, 1));
  const bool by_columns = k * n > shared;
  columns_first = k * n > kManyWeights * shared;
  const i64 most_splits = max_of(1, n / (4 * kPanel));
  const i64 row_tasks = by_columns ? ceil_div(wanted, most_splits) : wanted;
  row_parts = max_of(1, min_of(blocks, max_of(row_tasks, ceil_div(blocks, kMaxGroup))));
  column_parts = row_parts >= wanted ? 1 : max_of(1, min_of(min_of(most_splits, ceil_div(n, width)), ceil_div(wanted, row_parts)));
  group = min_of(kMaxGroup, ceil_div(ceil_div(rows, row_parts), block));
  chunk = max_of(1, kChunkBytes / (max_of(1, k * element) * width)) * width;
}

}  // namespace edgeort
