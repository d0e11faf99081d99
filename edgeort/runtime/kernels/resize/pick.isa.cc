// Elements from places that a table gives, for one ISA level.
#include "pick.h"

#include "../../simd/gather.h"

namespace edgeort {
namespace {

void pick(const f32* x, const i32* places, i64 n, f32* y) {
  i64 i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, gather(x, load(places + i)));
  for (; i < n; ++i) y[i] = x[places[i]];
}

}  // namespace

EDGEORT_KERNEL(PickFn, resize_pick, pick)

}  // namespace edgeort
