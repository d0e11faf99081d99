// Shapes of a convolution, channels last, with its one to three spatial dimensions padded to three.
#pragma once
#include "../../core/op.h"
#include "../../core/stream.h"

namespace edgeort {

struct Geometry {
  i64 batch, c_in, c_out, groups;
  i64 in[3], out[3], kernel[3], stride[3], dilation[3], pad[3];
  i64 taps;      // kernel positions
  i64 out_rows;  // batch * out[0] * out[1] * out[2]

  // Columns right of the image that the last output of a line reads.
  i64 beside() const { return max_of(0, (out[2] - 1) * stride[2] + (kernel[2] - 1) * dilation[2] + 1 - pad[2] - in[2]); }
  // Borders wider than this are no longer small beside the image.
  bool narrow_borders() const { return max_of(0, pad[2]) + beside() <= 64; }
  // Whether its lines may be computed in row streams: there are two dimensions.
  bool streams() const { return kernel[0] == 1 && in[0] == 1 && pad[0] == 0 && stride[0] == 1 && narrow_borders(); }
  // Columns beside the image that lines read.
  void borders(i64* left, i64* right) const {
    *left = max_of(0, pad[2]);
    *right = beside();
  }
  // Whether a copy of the input with zeros beside its lines is possible, wanted, and not much larger.
  bool can_widen() const { return pad[2] >= 0 && pad[2] + beside() > 0 && (narrow_borders() || pad[2] + beside() <= in[2]); }
  u64 widened_bytes() const { return static_cast<u64>(batch * in[0] * in[1] * (in[2] + pad[2] + beside()) * c_in) * sizeof(f32); }

  // The same of a picture one column wide as one line, whose pixels lie where they did: neighbours are then worth what they are in
  // wide pictures. Its lines are no longer those of the tensor.
  Geometry laid_down() const {
    Geometry g = *this;
    if (in[2] != 1 || out[2] != 1 || kernel[2] != 1 || pad[2] != 0) return g;
    i64* const all[] = {g.in, g.out, g.kernel, g.stride, g.dilation, g.pad};
    for (i64* sizes : all) {
      const i64 along = sizes[1];
      sizes[1] = sizes[2];
      sizes[2] = along;
    }
    return g;
  }

  // Where output row `row` (batch, position) is: its batch and its coordinates.
  void locate(i64 row, i64* n, i64 at[3]) const {
    for (int d = 2; d >= 0; --d) {
      at[d] = row % out[d];
      row /= out[d];
    }
    *n = row;
  }
};

// The input lines that output lines of a 2-D convolution read; `S` is a state with a Geometry g.
template <class S>
Span conv_reach(const void* state, Span out) {
  const Geometry& g = static_cast<const S*>(state)->g;
  return {out.first * g.stride[1] - g.pad[1], (out.last - 1) * g.stride[1] - g.pad[1] + (g.kernel[1] - 1) * g.dilation[1] + 1};
}

// Column 0 of the input line that kernel row (k0, k1) of output line i, counted through all images, reads; null outside.
template <class T>
const T* input_line(const Geometry& g, const Lines& in, i64 i, i64 k0, i64 k1) {
  const i64 y = i % g.out[1], z = i / g.out[1] % g.out[0], n = i / g.out[1] / g.out[0];
  const i64 iz = z * g.stride[0] - g.pad[0] + k0 * g.dilation[0], iy = y * g.stride[1] - g.pad[1] + k1 * g.dilation[1];
  if (iz < 0 || iz >= g.in[0] || iy < 0 || iy >= g.in[1]) return nullptr;
  return in.line<const T>((n * g.in[0] + iz) * g.in[1] + iy);
}

// Input lines with the columns of zeros beside them that the kernel reads, so that no output is at a border along x.
Lines widen(const Run& r, const Geometry& g, const f32* x, f32* to);

// Reads and checks the parameters and the shape of input 0, and declares output 0, both of the given types. `planes`: the
// input is channels first.
Status conv_geometry(Prepare& p, const ConvParams& params, Geometry* g, bool planes, DType x = DType::f32, DType y = DType::f32);
static inline Status conv_geometry(Prepare& p, const ConvParams& params, Geometry* g) { return conv_geometry(p, params, g, false); }
Status conv_transpose_geometry(Prepare& p, const ConvParams& params, Geometry* g);
// Fail unless weights (input 1) and bias (input 2), or bias alone, are float32 vectors of these lengths.
Status check_weights(Prepare& p, i64 weights, i64 bias);
Status check_bias(Prepare& p, i64 bias);

}  // namespace edgeort
