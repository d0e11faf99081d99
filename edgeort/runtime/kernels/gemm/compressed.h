// Weights that a plan holds in 16, 8 or 4 bits, and the float32 that they stand for:
//
//   w[k, n] = float32(h[k, n])                                                       of float16
//   w[k, n] = (q[k, n] - zero[k / block, n]) * scale[k / block, n], one rounding     of integers
//
// They lie as float32 panels do (gemm.h), panel after panel, each of whole blocks: rows of kPanel float16 or of kPanel signed bytes, or
// pairs of rows of 4 bits in kPanel bytes, the first row in the low bits (0..15), the second in the high ones.
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

enum CompressedForm : u8 { kF16, kInt8, kZeroedInt8, kInt4, kZeroedInt4, kCompressedForms };  // zeroed: that have zero points

// From some panel on.
struct Compressed {
  const u8* rows;
  const f32* scale;  // [panel][block][kPanel]; of float16 null
  const i8* zero;    // the same; null: 0 of 8 bits, 8 of 4 bits
  i64 panel_bytes;
  i64 k, block;  // rows of weights, and how many share a column's scale
  bool once;     // caches should not keep them: a run reads all of a model whose weights are more than they hold
};

// out[m, n] = clamp(sum over k of rows[m][k] * w[k, n] + bias[n]), as of gemm.h.
struct CompressedRows {
  Compressed weights;
  const f32* const* rows;
  const f32* bias;  // at the first panel, whole panels; null: none
  f32 lo, hi;
  f32* out;
  i64 out_stride;  // floats between rows
  i64 columns;
};

static constexpr int kFewRows = 4;    // so few read the weights as they are stored
static constexpr i64 kFewPanels = 4;  // the most that are read side by side

struct CompressedKernels {
  // float32 panels of `panels` ones.
  void (*widen[kCompressedForms])(const Compressed&, i64 panels, f32* to);
  void (*multiply[kCompressedForms][kFewRows])(const CompressedRows&);  // [m - 1]
};

}  // namespace edgeort
