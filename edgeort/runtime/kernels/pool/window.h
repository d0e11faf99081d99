// The geometry of pooling: an input seen as [batch, d0, d1, d2, channels], and which taps each output reads.
#pragma once
#include "../../core/op.h"

namespace edgeort {

struct Window {
  bool channels_last;
  i64 batch, channels;  // channels first: batch is N * C and channels is 1
  i64 in[3], out[3];
  i64 kernel[3], stride[3], dilation[3], begin[3], end[3];  // begin, end: pads

  // Checks the parameters against the input and declares output 0, of type `to`.
  Status bind(Prepare& p, const PoolParams& params, DType to);
  i64 in_pixels() const { return in[0] * in[1] * in[2]; }
  i64 out_pixels() const { return out[0] * out[1] * out[2]; }
  // The most taps inside the input that one output can have.
  i64 taps() const;

  // Taps [first, last) of output o along axis d lie inside the input; tap k is at position `start` + k * dilation.
  struct Range {
    i64 start, first, last;
  };
  Range range(int d, i64 o) const;
  // Outputs along axis d all of whose taps lie inside the input.
  void whole(int d, i64* first, i64* last) const;
  // Taps of output o along axis d that lie inside the input or its pads.
  i64 padded(int d, i64 o) const;
};

}  // namespace edgeort
