// RoiAlign, channels first: the mean or the maximum of bilinear samples in each cell of a region (He et al. 2017, section 3).
#include "../../core/op.h"

namespace edgeort {
namespace {

constexpr f32 kMostSamples = 1024;  // along an axis of a cell, whatever the data says

Status prepare(Prepare& p) {
  const auto& params = p.params<RoiAlignParams>();
  if (!p.has(0) || !p.has(1) || !p.has(2) || !p.wants(0)) return p.fail("it needs data, regions, batch indices and an output");
  const Tensor& x = p.in(0);
  const Tensor& rois = p.in(1);
  if (x.dtype != DType::f32 || rois.dtype != DType::f32 || p.in(2).dtype != DType::i64) return p.fail("its inputs' types do not fit");
  if (x.rank != 4 || rois.rank != 2 || rois.dims[1] != 4 || count(p.in(2)) != rois.dims[0]) return p.fail("its inputs' shapes do not fit");
  if (params.height < 1 || params.width < 1) return p.fail("its output is empty");
  if (count(x) == 0 && rois.dims[0] > 0) return p.fail("its data is empty");
  const i64 dims[] = {rois.dims[0], x.dims[1], params.height, params.width};
  return p.set(0, DType::f32, dims, 4);
}

// The two taps of a coordinate; none when it lies more than a pixel outside.
struct Taps {
  i64 low, high;
  f32 low_weight, high_weight;
  bool inside;
};

Taps taps_of(f32 x, i64 size) {
  if (!(x >= -1.0f && x <= static_cast<f32>(size))) return {0, 0, 0, 0, false};
  if (x < 0) x = 0;
  const i64 low = static_cast<i64>(x);
  if (low >= size - 1) return {size - 1, size - 1, 1.0f, 0.0f, true};
  const f32 rest = x - static_cast<f32>(low);
  return {low, low + 1, 1 - rest, rest, true};
}

// One axis of a region: where cell `cell` takes sample `k` of `samples`.
struct Axis {
  f32 start, cell_size;
  i64 samples;

  f32 at(i64 cell, i64 k) const {
    return start + static_cast<f32>(cell) * cell_size + (static_cast<f32>(k) + 0.5f) * cell_size / static_cast<f32>(samples);
  }
};

Axis axis_of(const RoiAlignParams& params, f32 from, f32 to, i64 cells) {
  const f32 start = from * params.scale - params.offset;
  f32 size = to * params.scale - params.offset - start;
  if (params.offset == 0.0f && !(size > 1)) size = 1;
  const f32 cell = size / static_cast<f32>(cells);
  if (params.samples > 0) return {start, cell, min_of(params.samples, static_cast<i64>(kMostSamples))};
  const f32 bounded = !(cell > 0) ? 0 : cell < kMostSamples ? cell : kMostSamples;
  const i64 whole = static_cast<i64>(bounded);
  return {start, cell, whole + (static_cast<f32>(whole) < bounded)};
}

f32 cell_value(const f32* x, const Tensor& image, const Axis& rows, const Axis& columns, i64 i, i64 j, bool maximum) {
  const i64 width = image.dims[3], samples = rows.samples * columns.samples;
  f32 sum = 0, best = 0;
  for (i64 k = 0; k < samples; ++k) {
    const Taps v = taps_of(rows.at(i, k / columns.samples), image.dims[2]), h = taps_of(columns.at(j, k % columns.samples), width);
    f32 corner[4] = {};
    if (v.inside && h.inside) {
      corner[0] = v.low_weight * h.low_weight * x[v.low * width + h.low];
      corner[1] = v.low_weight * h.high_weight * x[v.low * width + h.high];
      corner[2] = v.high_weight * h.low_weight * x[v.high * width + h.low];
      corner[3] = v.high_weight * h.high_weight * x[v.high * width + h.high];
    }
    sum += corner[0] + corner[1] + corner[2] + corner[3];
    for (int c = 0; c < 4; ++c) best = (k == 0 && c == 0) || best < corner[c] ? corner[c] : best;
  }
  return maximum ? best : sum / static_cast<f32>(max_of(1, samples));
}

void run(Run& r) {
  const auto& params = r.params<RoiAlignParams>();
  const Tensor& x = r.in(0);
  const Tensor& y = r.out(0);
  if (count(y) == 0) return;
  const i64 cells = params.height * params.width, channels = x.dims[1];
  r.ranges(y.dims[0] * channels, 1, [&](i64 begin, i64 end, int) {
    for (i64 i = begin; i < end; ++i) {
      const f32* roi = r.in(1).as<const f32>() + i / channels * 4;
      const i64 asked = r.in(2).as<const i64>()[i / channels];
      const i64 batch = min_of(max_of(asked, 0), x.dims[0] - 1);
      const Axis rows = axis_of(params, roi[1], roi[3], params.height), columns = axis_of(params, roi[0], roi[2], params.width);
      const f32* image = x.as<const f32>() + (batch * channels + i % channels) * x.dims[2] * x.dims[3];
      for (i64 k = 0; k < cells; ++k) {
        y.as<f32>()[i * cells + k] = cell_value(image, x, rows, columns, k / params.width, k % params.width, params.maximum);
      }
    }
  });
}

}  // namespace

extern const OpDef kRoiAlign;
const OpDef kRoiAlign = {"RoiAlign", sizeof(RoiAlignParams), prepare, run};

}  // namespace edgeort
