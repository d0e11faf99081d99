#include "geometry.h"

#include <string.h>

namespace edgeort {
namespace {

enum AutoPad : i32 { kExplicit, kSameUpper, kSameLower, kValid };
constexpr i64 kLargest = i64{1} << 31;

Status common(Prepare& p, const ConvParams& c, Geometry* g, DType dtype, bool planes = false) {
  const Tensor& x = p.in(0);
  if (p.inputs() < 3 || !p.has(0) || !p.has(1) || !p.has(2)) return p.fail("needs an input, weights and a bias");
  if (x.dtype != dtype) return p.fail("the input must be %s", dtype == DType::q8 ? "quantised" : "float32");
  if (c.spatial < 1 || c.spatial > 3) return p.fail("has %d spatial dimensions", c.spatial);
  if (x.rank != c.spatial + 2) return p.fail("the input has rank %d, not %d", x.rank, c.spatial + 2);
  if (c.group < 1 || c.channels_in < 1 || c.channels_out < 1 || c.channels_in % c.group || c.channels_out % c.group) {
    return p.fail("channels %d -> %d do not divide into %d groups", c.channels_in, c.channels_out, c.group);
  }
  g->batch = x.dims[0];
  g->c_in = c.channels_in;
  g->c_out = c.channels_out;
  g->groups = c.group;
  const i64 channels = x.dims[planes ? 1 : x.rank - 1];
  if (channels != g->c_in) return p.fail("the input has %lld channels, not %lld", (long long)channels, (long long)g->c_in);
  g->taps = 1;
  for (int d = 0; d < 3; ++d) {
    const int axis = d - (3 - c.spatial);
    g->in[d] = axis < 0 ? 1 : x.dims[(planes ? 2 : 1) + axis];
    g->kernel[d] = c.kernel[d];
    g->stride[d] = c.stride[d];
    g->dilation[d] = c.dilation[d];
    g->pad[d] = c.pad_begin[d];
    g->taps *= c.kernel[d];
    if (c.kernel[d] < 1 || c.stride[d] < 1 || c.dilation[d] < 1 || g->taps > 1 << 20)
      return p.fail("a kernel, stride or dilation is out of range");
    if (i64{c.kernel[d]} * c.dilation[d] > kLargest || g->in[d] > kLargest) return p.fail("a dimension is out of range");
  }
  return Status::ok;
}

Status declare(Prepare& p, const ConvParams& c, Geometry* g, DType dtype) {
  i64 dims[5];
  int rank = 0;
  dims[rank++] = g->batch;
  for (int d = 0; d < 3 - c.spatial; ++d) {
    if (g->out[d] != 1) return p.fail("an unused dimension has a kernel, stride or pads");
  }
  for (int d = 3 - c.spatial; d < 3; ++d) dims[rank++] = g->out[d];
  dims[rank++] = g->c_out;
  EDGEORT_TRY(p.set(0, dtype, dims, rank));
  g->out_rows = g->batch * g->out[0] * g->out[1] * g->out[2];
  return Status::ok;
}

}  // namespace

Status conv_geometry(Prepare& p, const ConvParams& c, Geometry* g, bool planes, DType x, DType y) {
  EDGEORT_TRY(common(p, c, g, x, planes));
  for (int d = 0; d < 3; ++d) {
    const i64 reach = (g->kernel[d] - 1) * g->dilation[d] + 1;
    i64 total = i64{c.pad_begin[d]} + c.pad_end[d];
    if (c.auto_pad == kSameUpper || c.auto_pad == kSameLower) {
      const i64 wanted = ceil_div(g->in[d], g->stride[d]);
      total = max_of(0, (wanted - 1) * g->stride[d] + reach - g->in[d]);
      g->pad[d] = c.auto_pad == kSameUpper ? total / 2 : total - total / 2;
    } else if (c.auto_pad == kValid) {
      total = g->pad[d] = 0;
    }
    const i64 room = g->in[d] + total - reach;
    if (room < 0)
      return p.fail("the kernel is larger than the padded input (%lld < %lld)", (long long)(g->in[d] + total), (long long)reach);
    g->out[d] = room / g->stride[d] + 1;
  }
  return declare(p, c, g, y);
}

// ONNX ConvTranspose: output = stride * (input - 1) + output_padding + reach - pads, or pads from a given output shape.
Status conv_transpose_geometry(Prepare& p, const ConvParams& c, Geometry* g) {
  EDGEORT_TRY(common(p, c, g, DType::f32));
  for (int d = 0; d < 3; ++d) {
    const i64 reach = (g->kernel[d] - 1) * g->dilation[d] + 1;
    const i64 full = g->stride[d] * (g->in[d] - 1) + c.output_padding[d] + reach;
    const bool same = c.auto_pad == kSameUpper || c.auto_pad == kSameLower;
    i64 total = c.auto_pad == kValid ? 0 : i64{c.pad_begin[d]} + c.pad_end[d];
    if (c.output_shape[d] >= 0 || same) {
      const i64 wanted = c.output_shape[d] >= 0 ? c.output_shape[d] : g->in[d] * g->stride[d];
      total = full - wanted;
      const i64 cut = max_of(total, 0);  // what is missing lies at the end
      g->pad[d] = c.auto_pad == kSameUpper ? cut / 2 : cut - cut / 2;
    } else if (c.auto_pad == kValid) {
      g->pad[d] = 0;
    }
    g->out[d] = full - total;
    if (g->out[d] < 0 || g->out[d] > kLargest) return p.fail("an output dimension would be %lld", (long long)g->out[d]);
  }
  return declare(p, c, g, DType::f32);
}

static Status check_floats(Prepare& p, int input, const char* name, i64 want) {
  const Tensor& t = p.in(input);
  if (t.dtype == DType::f32 && t.rank == 1 && t.dims[0] == want) return Status::ok;
  return p.fail("its packed %s must have %lld values", name, (long long)want);
}

Status check_bias(Prepare& p, i64 bias) { return check_floats(p, 2, "bias", bias); }

Status check_weights(Prepare& p, i64 weights, i64 bias) {
  EDGEORT_TRY(check_floats(p, 1, "weights", weights));
  return check_bias(p, bias);
}

Lines widen(const Run& r, const Geometry& g, const f32* x, f32* to) {
  const i64 left = g.pad[2] * g.c_in, right = g.beside() * g.c_in, width = g.in[2] * g.c_in, whole = left + width + right;
  r.ranges(g.batch * g.in[0] * g.in[1], max_of(1, 8192 / (whole + 1)), [&](i64 begin, i64 end, int) {
    for (i64 y = begin; y < end; ++y) {
      memset(to + y * whole, 0, static_cast<size_t>(left) * sizeof(f32));
      memcpy(to + y * whole + left, x + y * width, static_cast<size_t>(width) * sizeof(f32));
      memset(to + y * whole + left + width, 0, static_cast<size_t>(right) * sizeof(f32));
    }
  });
  constexpr i64 kFloat = sizeof(f32);
  return {reinterpret_cast<char*>(to + left), whole * kFloat, Lines::kWhole, g.c_in * kFloat, g.pad[2], g.beside()};
}

}  // namespace edgeort
