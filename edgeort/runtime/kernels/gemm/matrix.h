// The loop around register tiles: one block of output rows, all its columns, then the epilogue while they are in L1.
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

  // Binds the epilogue behind the params struct of `params_bytes` to the output space and picks the kernels.
  Status bind(Prepare& p, const Program& program, size_t params_bytes, const i64* dims, int rank, i64 n, i64 k);
  size_t scratch_bytes() const { return epilogue.scratch_bytes(kMaxTileRows * n); }
  // The largest number of rows a tile may have.
  int tile_rows() const;
  // Splits `rows` into blocks as equal as tiles allow: rows of each block but the last.
  i64 block_rows(i64 rows) const { return ceil_div(rows, ceil_div(rows, tile_rows())); }

  struct Rows {
    const f32* const* pointers;  // [taps][rows]
    const i64* offsets;          // [taps]
    i64 taps, kc;
    int rows;
  };
  // Columns [begin, end) (begin a multiple of kPanel) of a block of rows. out points at row 0, column 0 of the block.
  void columns(const Rows& rows, const f32* panels, const f32* bias, i64 begin, i64 end, f32* out, i64 out_stride) const;
  // The program over all columns of rows [row, row + rows).
  void finish(const Run& r, i64 row, int rows, f32* out, i64 out_stride, void* scratch) const;
};

}  // namespace edgeort
