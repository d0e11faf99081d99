// The axes of a reduction: which there are, and how its sequences lie in memory.
#pragma once
#include "../../core/op.h"

namespace edgeort {

// Dimensions of a tensor, neighbours of one kind joined.
struct Walk {
  int rank;
  i64 dims[kMaxRank], strides[kMaxRank];  // elements

  i64 count() const;
  // The offset of the element of that index, row-major.
  i64 offset(i64 index) const;
};

struct Axes {
  Walk kept, reduced;

  // Reads the axes (ListParams: the axes as attribute, flag: 1 keepdims, 2 no axes means none; or input 1), and declares
  // output 0. Waits for the value of input 1.
  Status bind(Prepare& p);
  // Every sequence is contiguous.
  bool rows() const { return reduced.rank == 1 && reduced.strides[0] == 1; }
  // Neighbouring sequences lie side by side: the kept elements [outer, inner] with `reduced` between them.
  bool columns() const { return reduced.rank <= 1 && !rows(); }
  // Elements [begin, begin + n) of the sequence at `base`, of `size` bytes each: themselves if contiguous, else copied to `out`.
  const void* read(const void* base, i64 begin, i64 n, size_t size, void* out) const;
};

}  // namespace edgeort
