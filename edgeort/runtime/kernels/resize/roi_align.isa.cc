// RoiAlign for one ISA level. Multiplications and additions are rounded one by one, in the order written here.
#include "roi_align.h"

#include "../../simd/gather.h"
#include "../../simd/vec.h"

namespace edgeort {
namespace {

template <bool kMaximum>
EDGEORT_INLINE vf sample(const RoiGroup& g, const f32* x, i64 k, i64 lane, vf result) {
  vf corner[4];
#pragma clang loop unroll(full)
  for (int c = 0; c < 4; ++c) corner[c] = load(g.at->weight[k][c] + lane) * gather(x, load(g.at->index[k][c] + lane));
  if constexpr (!kMaximum) return result + (((corner[0] + corner[1]) + corner[2]) + corner[3]);
#pragma clang loop unroll(full)
  for (int c = 0; c < 4; ++c) result = k == 0 && c == 0 && g.first ? corner[c] : vmax(result, corner[c]);
  return result;
}

template <bool kMaximum>
void channels(const RoiGroup& g) {
  const f32* x = g.x;
  f32* y = g.y;
  for (i64 c = 0; c < g.channels; ++c, x += g.image, y += g.cells) {
    for (i64 lane = 0; lane < g.n; lane += kLanes) {
      const int n = static_cast<int>(g.n - lane < kLanes ? g.n - lane : kLanes);
      vf result = g.first ? splat(0.0f) : load_n(y + lane, n);
      for (i64 k = 0; k < g.samples; ++k) result = sample<kMaximum>(g, x, k, lane, result);
      if (g.divisor > 0) result = result / g.divisor;
      store_n(y + lane, result, n);
    }
  }
}

void roi_align(const RoiGroup& g) { (g.maximum ? channels<true> : channels<false>)(g); }

}  // namespace

EDGEORT_KERNEL(RoiAlignFn, resize_roi_align, roi_align)

}  // namespace edgeort
