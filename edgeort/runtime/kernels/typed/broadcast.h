// Operands of any element size that broadcast together (numpy's rule), read in contiguous pieces of one row.
#pragma once
#include "../../core/op.h"

namespace edgeort {

static constexpr i64 kTypedTile = 1024;  // elements a kernel is called for at most

struct Broadcast {
  static constexpr int kMaxOperands = 64;
  struct Operand {
    i64 strides[kMaxRank];  // elements, of each leading dimension
    i64 step;               // between columns: 0 or 1
  };

  int rank;  // leading dimensions
  int operands;
  i64 dims[kMaxRank];
  i64 rows, columns;
  size_t element_bytes;  // of the widest operand, in the work space
  Operand* operand;

  // Declares output 0 with `dtype` and the operands' common shape: all inputs of the node, each of which must be there.
  Status bind(Prepare& p, DType dtype);
  // Work space of one thread.
  u64 scratch_bytes() const { return static_cast<u64>(operands) * kTypedTile * element_bytes; }
  // Columns [column, column + n) of `row` of an input; copied to its part of `scratch` when the row holds one value.
  const void* read(const Tensor& t, int input, i64 row, i64 column, i64 n, void* scratch) const;

  // Calls body(row, column, n, thread) for pieces that cover the space.
  template <class F>
  void pieces(const Run& r, const F& body) const {
    if (rows * columns == 0) return;
    const i64 tiles = ceil_div(columns, kTypedTile);
    r.ranges(rows * tiles, max_of(1, 16384 / min_of(columns, kTypedTile)), [&](i64 begin, i64 end, int thread) {
      for (i64 i = begin; i < end; ++i) {
        const i64 column = i % tiles * kTypedTile;
        body(i / tiles, column, min_of(kTypedTile, columns - column), thread);
      }
    });
  }

 private:
  Status shape(Prepare& p, i64* dims, int* rank);
  void join();
};

}  // namespace edgeort
