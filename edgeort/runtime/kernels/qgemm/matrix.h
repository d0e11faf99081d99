// Blocks of register tiles of int8, as gemm/matrix.h has them of float32; and what products of q8 check and fold.
#pragma once
#include "../../core/op.h"
#include "../elementwise/bound.h"
#include "../gemm/blocks.h"
#include "../gemm/qconstants.h"
#include "qgemm.h"
#include "rows.h"

namespace edgeort {

struct QMatrix : Blocks {
  const QTileRow* tiles;
  int tile_count;
  int bias_lanes;                 // of `tiles`
  const RowKernels* row_kernels;  // of rows that are quantised as the model runs
  ByRow by_row;                   // of them, but for the rows
  BoundProgram epilogue;          // over the space [rows..., columns]
  QResult result;                 // of tiles: float32 where a program follows; at column 0
  bool quantised;                 // the output is
  bool once;                      // QTile::once, of one row
  q8 outside;                     // what padding reads
  QSteps steps;                   // of all products
  const QOrder* order;            // of all products; null: none

  using Rows = TapRows<q8>;

  // Checks the inputs behind x for `products` products of `n` columns each, whose panels have `quads` quads, folds zero points
  // into the bias, and binds the epilogue behind the params struct of `params_bytes` to the space of output 0.
  Status bind(Prepare& p, const Quantisation& q, const Program& code, size_t params_bytes, i64 products, i64 columns, i64 quads);
  // The same for one product of rows that are quantised as the model runs; input kBias is float32, or absent. wide: some weight
  // is -128.
  Status bind_rows(Prepare& p, bool wide, const Program& code, size_t params_bytes, i64 columns, i64 quads);
  // Reads the steps, an input behind the program's operands, of sums of kc values of one tap: whole quads.
  Status read_steps(Prepare& p, i64 kc);
  // Finds the order of the quads of `products` products with so many columns each, a tap of which has `quads`; ragged: the last of a
  // tap's is a part of one. Of levels that need none, nothing. Behind partition.
  Status put_in_order(Prepare& p, i64 products, i64 quads, bool ragged);
  // Cuts the work for `all_rows` rows whose sums have up to `taps` taps.
  void partition(i64 all_rows, i64 taps, int threads);
  u64 scratch_bytes() const;

  bool program() const { return !epilogue.empty(); }
  i64 element() const { return static_cast<i64>(quantised ? sizeof(q8) : sizeof(f32)); }
  i64 padded() const { return round_up(n, kPanel); }
  // The first quad of the `group`-th kOrderColumns columns of all products.
  const i8* columns_of(const i8* weights, i64 group) const {
    const i64 column = group * kOrderColumns;
    return weights + column / kPanel * panel_stride + column % kPanel * kDepth;
  }

  // Where a product's rows, or some of them, go: column 0 of row 0, which is row `row` of the epilogue's space; its columns
  // begin at `column` there. `product`: which of them it is. `scales`: of all rows, where each has its own.
  struct Place {
    char* out;
    i64 stride;  // elements between rows
    i64 product, row, column;
    const RowScale* scales = nullptr;
  };

  // Computes all rows on all threads. `fill(first_row, &rows)` sets a block's pointers, taps, kc and step.
  template <class Fill>
  void multiply(const Run& r, const Place& to, const Fill& fill) const {
    r.parallel(tasks(), [&](i64 task, int thread) {
      const Part part = this->part(task);
      range(r, to, part, r.thread_scratch(thread), fill);
      if (ended && r.has_row_epilogue() && is_last(task)) r.end_rows(part.first, part.last);
    });
  }

  // The same for a part, on this thread; `scratch` has scratch_bytes().
  template <class Fill>
  void range(const Run& r, const Place& to, const Part& part, void* scratch, const Fill& fill) const {
    groups<q8>(part, scratch, fill,
               [&](const Rows* entries, i64 count, const Part& at, u8* rest) { compute(r, to, entries, count, at, rest); });
  }

 private:
  Status bind_program(Prepare& p, const Program& code, size_t params_bytes);
  void pick(const Prepare& p, bool wide);
  Status fold(Prepare& p, const Quantisation& q, const QConstants& c, i64 columns);
  bool between() const { return program() && quantised; }
  void compute(const Run& r, const Place& to, const Rows* entries, i64 count, const Part& part, u8* scratch) const;
  void columns(const Rows& in, const QTile& tile, const i8* panels, i64 begin, i64 end, char* out) const;
  void finish(const Run& r, const Place& to, const Part& part, f32* values, i64 stride, void* scratch) const;
};

}  // namespace edgeort
