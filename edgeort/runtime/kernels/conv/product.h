// Convolutions that are a matrix product for each group: what Conv and ConvTranspose share.
#pragma once
#include "../gemm/matrix.h"
#include "geometry.h"

namespace edgeort {

struct Product {
  Geometry g;
  Matrix matrix;                    // of one group
  i64 per_group_in, per_group_out;  // channels
  i64 k, padded_out;                // rows and columns of a group's packed weights
  const f32* zeros;                 // what padding reads

  // Reads the shapes by `geometry`, checks weights, which are compressed where there are kernels for that, and bias, and binds the
  // epilogue.
  Status bind(Prepare& p, Status (*geometry)(Prepare&, const ConvParams&, Geometry*), const CompressedKernels* compressed = nullptr);
  // Memory for `zeros`: as much as one tap reads.
  Status keep_zeros(Prepare& p, i64 floats);

  Weights weights(const Run& r, i64 group) const { return matrix.weights(r, group * (padded_out / kPanel)); }
  const f32* bias(const Run& r, i64 group) const { return r.in(2).as<const f32>() + group * padded_out; }
  // The group's first output channel.
  i64 column(i64 group) const { return group * per_group_out; }
};

}  // namespace edgeort
