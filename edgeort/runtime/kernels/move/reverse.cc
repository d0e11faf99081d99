// ReverseSequence: the first elements of each sequence, in reverse; the others stay.
#include <string.h>

#include "args.h"

namespace edgeort {
namespace {

// axis: of time; flag: of the batch. One of them is 0, the other 1.
Status prepare(Prepare& p) {
  EDGEORT_TRY(need(p, 2, 1));
  const Tensor& in = p.in(0);
  const auto& params = p.params<AxisParams>();
  const bool ordered = (params.axis == 0 && params.flag == 1) || (params.axis == 1 && params.flag == 0);
  if (in.rank < 2 || !ordered) return p.fail("its axes must be 0 and 1");
  if (p.in(1).dtype != DType::i64 || p.in(1).rank != 1 || p.in(1).dims[0] != in.dims[params.flag]) {
    return p.fail("its lengths must be one int64 a sequence");
  }
  return p.same(0, 0);
}

void run(Run& r) {
  const Tensor& in = r.in(0);
  const int time = static_cast<int>(r.params<AxisParams>().axis);
  if (count(in) == 0) return;
  const size_t inner = static_cast<size_t>(count(in, 2, in.rank)) * size_of(in.dtype);
  r.ranges(in.dims[0] * in.dims[1], 64, [&](i64 begin, i64 end, int) {
    for (i64 i = begin; i < end; ++i) {
      const i64 at[2] = {i / in.dims[1], i % in.dims[1]};
      const i64 length = max_of(0, min_of(in.dims[time], r.in(1).as<const i64>()[at[1 - time]]));
      i64 from[2] = {at[0], at[1]};
      if (at[time] < length) from[time] = length - 1 - at[time];
      memcpy(r.out(0).as<u8>() + static_cast<size_t>(i) * inner,
             in.as<const u8>() + static_cast<size_t>(from[0] * in.dims[1] + from[1]) * inner, inner);
    }
  });
}

}  // namespace

extern const OpDef kReverseSequence;
const OpDef kReverseSequence = {"ReverseSequence", sizeof(AxisParams), prepare, run};

}  // namespace edgeort
