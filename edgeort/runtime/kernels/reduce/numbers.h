// Reductions of other numbers than float32: one accumulator of the element's own type, in the sequence's order.
#pragma once
#include "../../core/plan_layout.h"

namespace edgeort {

// The accumulator is the output element. A null `take`: no kernel for that element type.
struct NumberFold {
  void (*start)(void* total);
  void (*take)(void* total, const void* x, i64 n);
  void (*finish)(void* total, i64 length);  // may be null
};

extern const NumberFold kSumOf[kDTypes], kMeanOf[kDTypes], kMaxOf[kDTypes], kMinOf[kDTypes], kProdOf[kDTypes], kL1Of[kDTypes],
    kL2Of[kDTypes], kSumSquareOf[kDTypes], kNoneOf[kDTypes];

}  // namespace edgeort
