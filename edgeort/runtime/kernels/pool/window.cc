#include "window.h"

namespace edgeort {
namespace {

enum AutoPad { kExplicit, kSameUpper, kSameLower, kValid };

// Output size along axis d; sets the pads of the automatic modes.
i64 out_size(Window* w, int d, const PoolParams& params) {
  const i64 reach = (w->kernel[d] - 1) * w->dilation[d] + 1, stride = w->stride[d], size = w->in[d];
  if (params.auto_pad == kSameUpper || params.auto_pad == kSameLower) {
    const i64 out = ceil_div(size, stride);
    const i64 pad = max_of(0, (out - 1) * stride + reach - size);
    w->begin[d] = params.auto_pad == kSameUpper ? pad / 2 : pad - pad / 2;
    w->end[d] = pad - w->begin[d];
    return out;
  }
  if (params.auto_pad == kValid) w->begin[d] = w->end[d] = 0;
  const i64 room = size + w->begin[d] + w->end[d] - reach;
  if (room < 0) return 0;
  if (!params.ceil_mode) return room / stride + 1;
  const i64 out = ceil_div(room, stride) + 1;
  // A window that would start in the end pad does not exist.
  return (out - 1) * stride >= size + w->begin[d] ? out - 1 : out;
}

}  // namespace

Status Window::bind(Prepare& p, const PoolParams& params, DType to) {
  const Tensor& x = p.in(0);
  const int spatial = params.spatial;
  if (spatial < 1 || spatial > 3) return p.fail("kernels exist for 1 to 3 spatial dimensions, not %d", spatial);
  if (x.rank != spatial + 2) return p.fail("its input has rank %d, not %d", x.rank, spatial + 2);
  const int first = params.channels_first ? 2 : 1;
  channels_last = !params.channels_first;
  batch = params.channels_first ? x.dims[0] * x.dims[1] : x.dims[0];
  channels = params.channels_first ? 1 : x.dims[x.rank - 1];
  Tensor y = x;
  for (int d = 0; d < 3; ++d) {
    kernel[d] = params.kernel[d];
    stride[d] = params.stride[d];
    dilation[d] = params.dilation[d];
    begin[d] = params.pad_begin[d];
    end[d] = params.pad_end[d];
    if (kernel[d] < 1 || stride[d] < 1 || dilation[d] < 1 || begin[d] < 0 || end[d] < 0) return p.fail("its window is malformed");
    const int own = d - (3 - spatial);
    in[d] = own < 0 ? 1 : x.dims[first + own];
    out[d] = out_size(this, d, params);
    if (own >= 0) y.dims[first + own] = out[d];
    if (own < 0 && out[d] != 1) return p.fail("its window is malformed");
  }
  return p.set(0, to, y.dims, y.rank);
}

i64 Window::taps() const {
  i64 n = 1;
  for (int d = 0; d < 3; ++d) n *= max_of(1, min_of(kernel[d], in[d]));  // an empty axis: room for the lines of the others
  return n;
}

Window::Range Window::range(int d, i64 o) const {
  const i64 start = o * stride[d] - begin[d];
  const i64 first = start < 0 ? ceil_div(-start, dilation[d]) : 0;
  const i64 last = in[d] > start ? min_of(kernel[d], ceil_div(in[d] - start, dilation[d])) : 0;
  return {start, first, max_of(first, last)};
}

void Window::whole(int d, i64* first, i64* last) const {
  const i64 most = in[d] - 1 - (kernel[d] - 1) * dilation[d] + begin[d];  // where the last output's first tap may be, from the pads on
  *first = min_of(out[d], ceil_div(max_of(0, begin[d]), stride[d]));
  *last = most < 0 ? *first : max_of(*first, min_of(out[d], most / stride[d] + 1));
}

i64 Window::padded(int d, i64 o) const {
  const i64 left = in[d] + end[d] - (o * stride[d] - begin[d]);
  return left > 0 ? min_of(kernel[d], ceil_div(left, dilation[d])) : 0;
}

}  // namespace edgeort
