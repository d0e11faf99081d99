// The loops around register tiles of int8, as gemm/matrix.h has them for float32; and what products of q8 check and fold.
#pragma once
#include "../../core/op.h"
#include "../elementwise/bound.h"
#include "../gemm/gemm.h"
#include "qgemm.h"
#include "rows.h"

namespace edgeort {

struct QMatrix {
  enum Input { kX, kWeights, kBias, kSums, kScale, kOperands };

  const QTileRow* tiles;
  int tile_count;
  const RowKernels* row_kernels;  // of rows that are quantised as the model runs
  BoundProgram epilogue;          // over the space [rows..., columns]
  QResult result;                 // of tiles: float32 where a program follows; at column 0
  bool quantised;                 // the output is
  i64 n, panel_stride;            // columns of one product, and bytes between panels
  const u8* chains;               // of QTile, of all products
  q8 outside;                     // what padding reads
  i64 rows, block;                // rows in all, and of a block (the last may be smaller)
  i64 rows_per_task, columns_per_task;
  i64 group, chunk;  // so many blocks share so many columns of weights before the next ones
  i64 max_taps;
  bool even;  // rows are evenly spaced in memory: equal blocks are one entry of Rows

  using Rows = TapRows<q8>;

  // Checks the inputs behind x for `products` products of `n` columns each, whose panels have `quads` quads, folds zero points
  // into the bias, and binds the epilogue behind the params struct of `params_bytes` to the space of output 0.
  Status bind(Prepare& p, const Quantisation& q, const Program& code, size_t params_bytes, i64 products, i64 columns, i64 quads);
  // The same for one product of rows that are quantised as the model runs; input kBias is absent. wide: some weight is -128.
  Status bind_rows(Prepare& p, bool wide, const Program& code, size_t params_bytes, i64 columns, i64 quads);
  // Cuts the work for `all_rows` rows whose sums have up to `taps` taps.
  void partition(i64 all_rows, i64 taps, int threads);
  u64 scratch_bytes() const;

  bool program() const { return !epilogue.empty(); }
  i64 element() const { return static_cast<i64>(quantised ? sizeof(q8) : sizeof(f32)); }
  i64 padded() const { return ceil_div(n, kPanel) * kPanel; }

  // Where a product's rows, or some of them, go: column 0 of row 0, which is row `row` of the epilogue's space; its columns
  // begin at `column` there. `product`: which of them it is. `scales`: of all rows, where each has its own.
  struct Place {
    char* out;
    i64 stride;  // elements between rows
    i64 product, row, column;
    const RowScale* scales = nullptr;
  };
  struct Part {
    i64 first, last;  // rows
    i64 begin, end;   // columns
  };

  // Computes all rows on all threads. `fill(first_row, &rows)` sets a block's pointers, taps, kc and step.
  template <class Fill>
  void multiply(const Run& r, const Place& to, const Fill& fill) const {
    const i64 row_tasks = ceil_div(rows, rows_per_task), column_tasks = ceil_div(n, columns_per_task);
    r.parallel(row_tasks * column_tasks, [&](i64 task, int thread) {
      const i64 first = task / column_tasks * rows_per_task, begin = task % column_tasks * columns_per_task;
      const Part part = {first, min_of(rows, first + rows_per_task), begin, min_of(n, begin + columns_per_task)};
      range(r, to, part, r.thread_scratch(thread), fill);
    });
  }

  // The same for a part, on this thread; `scratch` has scratch_bytes().
  template <class Fill>
  void range(const Run& r, const Place& to, const Part& part, void* scratch, const Fill& fill) const {
    const i64 all = part.last - part.first, blocks = ceil_div(all, block), size = all / max_of(blocks, 1), larger = all - blocks * size;
    i64 row = part.first;
    for (i64 first = 0; first < blocks; first += group) {
      const i64 last = min_of(blocks, first + group);
      Rows entries[kMaxGroup];
      u8* rest = static_cast<u8*>(scratch);
      i64 count = 0, next = row;
      for (i64 i = first; i < last; i += entries[count++].repeat) {
        Rows& entry = entries[count];
        entry.rows = static_cast<int>(size + (i < larger));
        entry.repeat = !even ? 1 : min_of(last, i < larger ? larger : last) - i;
        rest = place(&entry, rest);
        fill(next, &entry);
        next += entry.rows * entry.repeat;
      }
      compute(r, to, entries, count, {row, next, part.begin, part.end}, rest);
      row = next;
    }
  }

 private:
  static constexpr int kMaxGroup = 16;
  Status check(Prepare& p, i64 products, i64 quads, bool biased);
  Status bind_program(Prepare& p, const Program& code, size_t params_bytes);
  void pick(const Prepare& p, bool wide);
  Status chain(Prepare& p, i64 products, bool wide);
  Status fold(Prepare& p, const Quantisation& q, i64 columns);
  const QTileRow& main_tile() const;
  u8* place(Rows* rows, u8* scratch) const;
  bool between() const { return program() && quantised; }
  void compute(const Run& r, const Place& to, const Rows* entries, i64 count, const Part& part, u8* scratch) const;
  void restore(const Run& r, const Place& to, const Part& part, f32* out) const;
  void columns(const Rows& in, const QTile& tile, const i8* panels, i64 begin, i64 end, char* out) const;
  void finish(const Run& r, const Place& to, const Part& part, f32* values, i64 stride, void* scratch) const;
};

}  // namespace edgeort
