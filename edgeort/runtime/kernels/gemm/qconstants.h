// The constants of products of bytes by int8 weights.
#pragma once
#include "../../core/op.h"
#include "qresult.h"

namespace edgeort {

// The inputs of a quantised product; those of the program follow.
enum QInput { kX, kWeights, kBias, kSums, kScale, kOperands };

struct QConstants {
  const i32 *bias, *sums;
  const f32* scale;
  // Bias i with the input's zero point, of stored bytes, taken into it.
  i32 folded(i64 i, i32 zero_point) const {
    return static_cast<i32>(static_cast<u32>(bias[i]) - static_cast<u32>(zero_point) * static_cast<u32>(sums[i]));
  }
};

inline bool is_byte(i32 x) { return x >= -128 && x <= 127; }
inline bool fits(const Tensor& t, DType dtype, i64 n) { return t.dtype == dtype && t.rank == 1 && t.dims[0] == n; }

// Checks the inputs behind x: `weights` int8, and `columns` each of sums, scales and, if `biased`, biases, which else are the
// caller's. All are constants.
Status q_constants(Prepare& p, i64 weights, i64 columns, bool biased, QConstants* c);
// The result of a kernel but for bias and scale. quantised: it is bytes.
Status q_result(Prepare& p, const Quantisation& q, bool quantised, QResult* r);

}  // namespace edgeort
