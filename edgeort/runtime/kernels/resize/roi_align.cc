// RoiAlign, channels first: the mean or the maximum of bilinear samples in each cell of a region (He et al. 2017, section 3).
#include "roi_align.h"

#include <string.h>

#include "../../core/op.h"

namespace edgeort {

EDGEORT_KERNELS(RoiAlignFn, resize_roi_align)

namespace {

constexpr i64 kMostElements = 0x7fffffff;
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
  if (x.dims[2] * x.dims[3] > kMostElements) return p.fail("its images have more than 2^31 elements");
  auto* isa = p.state<int>();
  if (!isa) return p.out_of_memory();
  *isa = p.isa();
  p.thread_scratch(sizeof(RoiSamples));
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

// Where a sample of a region is, as entry k of cell `lane` of a group.
void put(RoiSamples& to, i64 k, i64 lane, const Taps& v, const Taps& h, i64 width) {
  const bool inside = v.inside && h.inside;
  const i64 place[4] = {v.low * width + h.low, v.low * width + h.high, v.high * width + h.low, v.high * width + h.high};
  const f32 weight[4] = {v.low_weight * h.low_weight, v.low_weight * h.high_weight, v.high_weight * h.low_weight,
                         v.high_weight * h.high_weight};
  for (int c = 0; c < 4; ++c) {
    to.index[k][c][lane] = inside ? static_cast<i32>(place[c]) : -1;
    to.weight[k][c][lane] = inside ? weight[c] : 0.0f;
  }
}

// What all groups of cells of a region share.
struct Region {
  const Tensor& image;
  Axis rows, columns;
  i64 width;  // cells of a line
};

// All channels of the group's cells, of which the first is `cell`.
void run_group(const Region& region, RoiGroup& group, RoiSamples& samples, i64 cell, RoiAlignFn align) {
  const i64 across = region.columns.samples, all = region.rows.samples * across, height = region.image.dims[2],
            width = region.image.dims[3];
  i64 done = 0;
  do {
    group.samples = min_of(all - done, kSamples);
    for (i64 lane = 0; lane < group.n; ++lane) {
      const i64 i = (cell + lane) / region.width, j = (cell + lane) % region.width;
      for (i64 k = 0; k < group.samples; ++k) {
        const i64 sample = done + k;
        put(samples, k, lane, taps_of(region.rows.at(i, sample / across), height), taps_of(region.columns.at(j, sample % across), width),
            width);
      }
    }
    group.first = done == 0;
    done += group.samples;
    group.divisor = done == all && !group.maximum ? static_cast<f32>(max_of(1, all)) : 0.0f;
    align(group);
  } while (done < all);
}

void run(Run& r) {
  const auto& params = r.params<RoiAlignParams>();
  const Tensor& x = r.in(0);
  const Tensor& y = r.out(0);
  if (count(y) == 0) return;
  const i64 cells = params.height * params.width, channels = x.dims[1], image = x.dims[2] * x.dims[3], groups = ceil_div(cells, kMostCells);
  r.parallel(y.dims[0] * groups, [&](i64 task, int thread) {
    const i64 i = task / groups, cell = task % groups * kMostCells;
    const f32* roi = r.in(1).as<const f32>() + i * 4;
    const i64 batch = min_of(max_of(r.in(2).as<const i64>()[i], 0), x.dims[0] - 1);
    const Region region = {x, axis_of(params, roi[1], roi[3], params.height), axis_of(params, roi[0], roi[2], params.width), params.width};
    auto& samples = *static_cast<RoiSamples*>(r.thread_scratch(thread));
    memset(samples.index, -1, sizeof(samples.index));  // of lanes without a cell
    RoiGroup group = {&samples,
                      x.as<const f32>() + batch * channels * image,
                      y.as<f32>() + i * channels * cells + cell,
                      image,
                      channels,
                      cells,
                      min_of(kMostCells, cells - cell),
                      0,
                      params.maximum != 0,
                      true,
                      0};
    run_group(region, group, samples, cell, resize_roi_align(r.state<int>()));
  });
}

}  // namespace

extern const OpDef kRoiAlign;
const OpDef kRoiAlign = {"RoiAlign", sizeof(RoiAlignParams), prepare, run};

}  // namespace edgeort
