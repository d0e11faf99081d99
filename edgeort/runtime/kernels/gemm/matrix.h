// The loops around register tiles: blocks of output rows, chunks of columns, then the epilogue while they are in cache.
#pragma once
#include "../../core/op.h"
#include "../elementwise/bound.h"
#include "gemm.h"

namespace edgeort {

struct Matrix {
  const GemmKernels* kernels;
  BoundProgram epilogue;  // over the space [rows..., n]
  i64 n, panel_stride;    // columns, and floats between panels
  f32 lo, hi;             // a clamp done in registers; else -inf, inf
  bool program;           // the epilogue is more than that clamp
  i64 rows, block;        // rows in all, and of a block (the last may be smaller)
  i64 rows_per_task, columns_per_task;
  i64 group, chunk;  // so many blocks share so many columns of weights before the next ones
  i64 max_taps;
  i64 row_step;  // between neighbouring rows in the epilogue's space
  bool even;     // rows are evenly spaced in memory: equal blocks are one entry of Rows

  using Rows = TapRows<f32>;

  // Binds the epilogue behind the params struct of `params_bytes` to the output space and picks the kernels.
  Status bind(Prepare& p, const Program& code, size_t params_bytes, const i64* dims, int rank, i64 columns, i64 k);
  // Cuts the work for `rows` rows whose sums have up to `taps` taps.
  void partition(i64 all_rows, i64 taps, int threads);
  u64 scratch_bytes() const;

  // Computes all rows on all threads. `fill(first_row, &rows)` sets a block's pointers, offsets, taps, kc and step. `out` is row 0,
  // column 0; its first row is row `epilogue_row` (and its first column `epilogue_column`) of the epilogue's space.
  template <class Fill>
  void multiply(const Run& r, const f32* panels, const f32* bias, f32* out, i64 out_stride, i64 epilogue_row, i64 epilogue_column,
                const Fill& fill) const {
    const i64 row_tasks = ceil_div(rows, rows_per_task), column_tasks = ceil_div(n, columns_per_task);
    r.parallel(row_tasks * column_tasks, [&](i64 task, int thread) {
      const i64 first = task / column_tasks * rows_per_task, begin = task % column_tasks * columns_per_task;
      const Part part = {first, min_of(rows, first + rows_per_task), begin, min_of(n, begin + columns_per_task)};
      range(r, panels, bias, out, out_stride, epilogue_row, epilogue_column, part, r.thread_scratch(thread), fill);
    });
  }

  struct Part {
    i64 first, last;  // rows
    i64 begin, end;   // columns
  };
  // The same for a part, on this thread; `scratch` has scratch_bytes(). `out` is still row 0, column 0.
  template <class Fill>
  void range(const Run& r, const f32* panels, const f32* bias, f32* out, i64 out_stride, i64 epilogue_row, i64 epilogue_column,
             const Part& part, void* scratch, const Fill& fill) const {
    // Blocks as equal as tiles allow: 49 rows are 10 + 10 + 10 + 10 + 9 rather than 4 * 12 + 1. The first `larger` have a row more.
    const i64 all = part.last - part.first, blocks = ceil_div(all, block), size = all / max_of(blocks, 1), larger = all - blocks * size;
    i64 row = part.first;
    for (i64 first = 0; first < blocks; first += group) {
      const i64 last = min_of(blocks, first + group);
      Rows entries[kMaxGroup];
      u8* rest = static_cast<u8*>(scratch);
      i64 count = 0, to = row;
      for (i64 i = first; i < last; i += entries[count++].repeat) {
        Rows& entry = entries[count];
        entry.rows = static_cast<int>(size + (i < larger));
        entry.repeat = !even ? 1 : min_of(last, i < larger ? larger : last) - i;
        rest = place(&entry, rest);
        fill(to, &entry);
        to += entry.rows * entry.repeat;
      }
      for (i64 column = part.begin; column < part.end; column += chunk) {
        f32* at = out + row * out_stride;
        for (i64 i = 0; i < count; at += entries[i].rows * entries[i].repeat * out_stride, ++i) {
          columns(entries[i], panels, bias, column, min_of(part.end, column + chunk), at, out_stride);
        }
      }
      if (program)
        finish(r, epilogue_row + row * row_step, epilogue_column, to - row, part.begin, part.end, out + row * out_stride, out_stride, rest);
      row = to;
    }
  }

  // The parts of multiply, for callers with loops of their own: columns [begin, end) of a block of rows, and the program
  // over columns [begin, end) of `count` rows that start at `row`, `column` of its space.
  void columns(const Rows& block_rows, const f32* panels, const f32* bias, i64 begin, i64 end, f32* out, i64 out_stride) const;
  void finish(const Run& r, i64 row, i64 column, i64 count, i64 begin, i64 end, f32* out, i64 out_stride, void* scratch) const;
  // The tile that suits n columns best.
  const TileRow& main_tile() const;

 private:
  static constexpr int kMaxGroup = 16;
  // The columns that tiles for `left` more may cover: whole narrowest tiles.
  i64 reach(i64 left) const;
  u8* place(Rows* rows, u8* scratch) const;
};

}  // namespace edgeort
