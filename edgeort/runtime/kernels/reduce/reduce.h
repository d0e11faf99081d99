// Reductions of float32 over 16 virtual lanes (NUMERICS.md), and soft maximum.
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

// What becomes of the tree's result.
enum class Finish : u8 { none, mean, sqrt, log, log_shifted };

// One way to reduce. `shift` is subtracted first by exp alone.
struct FoldKernels {
  // The next n elements of a sequence enter its 16 lanes; n is a multiple of 16 but at the sequence's end.
  void (*row)(f32* lanes, const f32* x, i64 n, f32 shift);
  f32 (*tree)(f32* lanes);
  // y[i] = the reduction of x[i * n, (i + 1) * n) for i in [0, count). Null for exp.
  void (*rows)(f32* y, const f32* x, i64 n, i64 count);
  // out[i] = the reduction of x[r * stride + i] over r in [0, n), for i in [0, columns). shift[i] is read by exp alone.
  void (*columns)(f32* out, const f32* x, i64 n, i64 stride, i64 columns, const f32* shift);
  f32 start;  // of each lane
};

// y[i] = finish(y[i]) for i in [0, n), of sequences of `length` elements.
using FinishFn = void (*)(f32* y, i64 n, Finish finish, i64 length, const f32* shift);

struct SoftmaxKernels {
  // y = softmax(x) of `count` rows of n elements, one behind the other; y may be x.
  void (*rows)(f32* y, const f32* x, i64 n, i64 count);
  // The same in place, rows `stride` apart, but for the division: sums[i] = what row i is to be divided by. With a mask, of
  // x + mask, its rows `mask_stride` apart; 0: all the same.
  void (*weights)(f32* x, i64 n, i64 count, i64 stride, const f32* mask, i64 mask_stride, f32* sums);
  // Rows of n elements, `stride` apart, each by its sum.
  void (*divide)(f32* x, i64 n, i64 count, i64 stride, const f32* sums);
  // y = log(softmax(x)) of n contiguous elements; y may be x.
  void (*log_row)(f32* y, const f32* x, i64 n);
  // softmax, or its logarithm, of each of `columns` sequences: element r of sequence i is x[r * stride + i].
  void (*columns)(f32* y, const f32* x, i64 n, i64 stride, i64 columns, bool log);
};

}  // namespace edgeort
