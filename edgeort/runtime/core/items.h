// Tensors as elements: what sequences and optionals are made of. As with strings, nobody changes one once it is made.
#pragma once
#include "../include/edgeort.h"
#include "op.h"

namespace edgeort {

static_assert(sizeof(edgeort_item) == 8 && kDTypeSize[static_cast<u8>(DType::tensor)] == sizeof(edgeort_item));
static constexpr int kMostNestedItems = 4;  // an optional sequence has two

static inline Tensor tensor_of(const edgeort_tensor& t) {
  Tensor made = {t.data, {}, 0, static_cast<u8>(t.rank), static_cast<DType>(t.dtype), 0};
  for (int d = 0; d < t.rank; ++d) made.dims[d] = t.dims[d];
  return made;
}

// Null, or what is wrong with the tensor of a caller, and with what it holds.
const char* check_item(const edgeort_tensor* tensor, int depth = 0);
// An element with a copy of the tensor, which lasts until the next prepare.
Status make_item(Prepare& p, const Tensor& tensor, edgeort_item* out);

}  // namespace edgeort
