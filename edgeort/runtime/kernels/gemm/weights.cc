#include "weights.h"

namespace edgeort {

Status Compression::bind(Prepare& p, const CompressedKernels& from, i64 panels, i64 rows, CompressedInputs places) {
  kernels = &from;
  inputs = places;
  if (!p.has(places.weights)) return p.fail("needs weights");
  const Tensor& w = p.in(places.weights);
  const bool scaled = p.has(places.scale), zeroed = p.has(places.scale + 1);
  if (w.dtype != DType::f16 && w.dtype != DType::i8 && w.dtype != DType::u8) return p.fail("its weights must be float16, int8 or 4 bits");
  const bool pairs = w.dtype == DType::u8;
  form = w.dtype == DType::f16 ? kF16 : pairs ? (zeroed ? kZeroedInt4 : kInt4) : zeroed ? kZeroedInt8 : kInt8;
  if (scaled != (form != kF16) || (zeroed && form == kF16)) return p.fail("integers need scales, and float16 has none");
  if (w.rank != 4 || w.dims[0] != panels || w.dims[3] != kPanel) return p.fail("its weights must be %lld panels", (long long)panels);
  k = rows;
  once = p.outgrows_caches();
  blocks = w.dims[1];
  block = w.dims[2] * (pairs ? 2 : 1);
  panel_bytes = count(w, 1, 4) * static_cast<i64>(size_of(w.dtype));
  if (block < 1 || blocks != ceil_div(k, block)) return p.fail("its weights must have %lld rows in blocks", (long long)k);
  for (int i = places.scale; i <= places.scale + 1; ++i) {
    if (!p.has(i)) continue;
    const Tensor& t = p.in(i);
    if (t.dtype != (i == places.scale ? DType::f32 : DType::i8) || t.rank != 3 || t.dims[0] != panels || t.dims[1] != blocks ||
        t.dims[2] != kPanel) {
      return p.fail("scales and zero points must be one a column of a block");
    }
  }
  return Status::ok;
}

Weights Compression::weights(const Run& r, i64 panel) const {
  Compressed c = {r.in(inputs.weights).as<const u8>(), nullptr, nullptr, panel_bytes, k, block, once};
  if (r.has(inputs.scale)) c.scale = r.in(inputs.scale).as<const f32>();
  if (r.has(inputs.scale + 1)) c.zero = r.in(inputs.scale + 1).as<const i8>();
  return Weights(at(Weights(c), panel * kPanel));
}

Compressed Compression::at(const Weights& w, i64 column) const {
  const i64 panel = column / kPanel, place = panel * blocks * kPanel;
  Compressed c = w.compressed;
  c.rows += panel * panel_bytes;
  if (c.scale) c.scale += place;
  if (c.zero) c.zero += place;
  return c;
}

void Compression::multiply(const Weights& w, const f32* const* rows, int count, const f32* bias, f32 lo, f32 hi, i64 begin, i64 end,
                           f32* out, i64 out_stride) const {
  kernels->multiply[form][count - 1]({at(w, begin), rows, bias ? bias + begin : nullptr, lo, hi, out + begin, out_stride, end - begin});
}

void Compression::widen(const Weights& w, i64 begin, i64 end, f32* to) const {
  kernels->widen[form](at(w, begin), ceil_div(end - begin, kPanel), to);
}

}  // namespace edgeort
