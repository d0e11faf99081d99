// Slices: tensors that are columns of a wider one, so that Concat and Split along the last axis copy nothing.
#pragma once
#include "op.h"

namespace edgeort {

struct Segment;

// The tensor that holds a slice's memory, and the first column of the slice there; the tensor itself when it is no slice.
struct Slice {
  i32 root;
  i64 column;
};
Slice slice_of(const Model& model, i32 tensor);

// Chooses the slices of a segment whose nodes are prepared, and prepares the nodes that they concern once more.
Status plan_slices(Model& model, const Segment& segment);

}  // namespace edgeort
