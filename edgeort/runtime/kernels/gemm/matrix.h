// The loops around register tiles: blocks of output rows, chunks of columns, then the epilogue while they are in cache.
#pragma once
#include "../../core/op.h"
#include "../elementwise/bound.h"
#include "gemm.h"

namespace edgeort {

struct Matrix {
  const GemmKernels* kernels;
  BoundProgram epilogue;                         // over the space [rows..., n]
  i64 n, panel_stride;                           // columns, and floats between panels
  f32 lo, hi;                                    // a clamp done in registers; else -inf, inf
  bool program;                                  // the epilogue is more than that clamp
  i64 rows, block;                               // rows in all, and of a block (the last may be smaller)
  i64 blocks_per_task, columns_per_task, chunk;  // chunk: columns of all blocks of a task before the next ones
  i64 max_taps;
  i64 row_step;  // between neighbouring rows in the epilogue's space

  // The rows of one block: pointers[tap * rows + m] is where row m reads tap `tap`, whose first row of panels is offsets[tap].
  struct Rows {
    const f32** pointers;
    i64* offsets;
    i64 taps, kc;
    int rows;
  };

  // Binds the epilogue behind the params struct of `params_bytes` to the output space and picks the kernels.
  Status bind(Prepare& p, const Program& code, size_t params_bytes, const i64* dims, int rank, i64 columns, i64 k);
  // Cuts the work for `rows` rows whose sums have up to `taps` taps.
  void partition(i64 all_rows, i64 taps, int threads);
  size_t scratch_bytes() const;

  // Computes all rows. `fill(first_row, &rows)` sets a block's pointers, offsets, taps and kc. `out` is row 0, column 0;
  // its first row is row `epilogue_row` (and its first column `epilogue_column`) of the epilogue's space.
  template <class Fill>
  void multiply(const Run& r, const f32* panels, const f32* bias, f32* out, i64 out_stride, i64 epilogue_row, i64 epilogue_column,
                const Fill& fill) const {
    const i64 row_tasks = ceil_div(ceil_div(rows, block), blocks_per_task), column_tasks = ceil_div(n, columns_per_task);
    r.parallel(row_tasks * column_tasks, [&](i64 task, int thread) {
      Rows blocks[kMaxBlocks];
      u8* scratch = static_cast<u8*>(r.thread_scratch(thread));
      const i64 first = task / column_tasks * blocks_per_task * block, begin = task % column_tasks * columns_per_task;
      const i64 end = min_of(n, begin + columns_per_task);
      int count = 0;
      for (i64 row = first; row < min_of(rows, first + blocks_per_task * block); row += block, ++count) {
        blocks[count].rows = static_cast<int>(min_of(block, rows - row));
        scratch = place(&blocks[count], scratch);
        fill(row, &blocks[count]);
      }
      for (i64 column = begin; column < end; column += chunk) {
        for (int i = 0; i < count; ++i) {
          const i64 row = first + i * block;
          columns(blocks[i], panels, bias, column, min_of(end, column + chunk), out + row * out_stride, out_stride);
          if (program && column + chunk >= end) {
            finish(r, epilogue_row + row * row_step, epilogue_column, blocks[i].rows, begin, end, out + row * out_stride, out_stride,
                   scratch);
          }
        }
      }
    });
  }

  // The parts of multiply, for callers with loops of their own: columns [begin, end) of a block of rows, and the program
  // over columns [begin, end) of `count` rows that start at `row`, `column` of its space.
  void columns(const Rows& block_rows, const f32* panels, const f32* bias, i64 begin, i64 end, f32* out, i64 out_stride) const;
  void finish(const Run& r, i64 row, i64 column, int count, i64 begin, i64 end, f32* out, i64 out_stride, void* scratch) const;
  // Rows of the largest tile.
  int tile_rows() const;

 private:
  static constexpr int kMaxBlocks = 8;
  u8* place(Rows* rows, u8* scratch) const;
};

}  // namespace edgeort
