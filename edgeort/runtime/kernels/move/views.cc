// Reshape, Flatten, Squeeze, Unsqueeze, Identity and Dropout: other shapes of the same bytes.
#include <string.h>

#include "args.h"

namespace edgeort {
namespace {

Status view(Prepare& p, const i64* dims, int rank) {
  EDGEORT_TRY(p.set(0, p.in(0).dtype, dims, rank));
  if (count(p.in(0)) != count(p.out(0)))
    return p.fail("%lld elements do not fit the shape of %lld", (long long)count(p.in(0)), (long long)count(p.out(0)));
  p.alias(0, 0);
  return Status::ok;
}

void nothing(Run&) {}

Status prepare_identity(Prepare& p) {
  EDGEORT_TRY(need(p, 1, 1));
  return view(p, p.in(0).dims, p.in(0).rank);
}

// flag: a 0 in the shape is a dimension of 0 elements, not a copy of the input's.
Status prepare_reshape(Prepare& p) {
  EDGEORT_TRY(need(p, 2, 1));
  const Tensor& in = p.in(0);
  Integers shape;
  EDGEORT_TRY(integers_of(p, 1, kMaxRank, &shape));
  i64 dims[kMaxRank], known = 1;
  int unknown = -1;
  for (int i = 0; i < shape.n; ++i) {
    dims[i] = shape[i];
    if (dims[i] == -1) {
      if (unknown >= 0) return p.fail("its shape has two dimensions of -1");
      unknown = i;
      continue;
    }
    if (dims[i] == 0 && !p.params<AxisParams>().flag) {
      if (i >= in.rank) return p.fail("its shape copies dimension %d of an input of rank %d", i, in.rank);
      dims[i] = in.dims[i];
    }
    if (dims[i] < 0 || __builtin_mul_overflow(known, dims[i], &known)) return p.fail("its shape is out of range");
  }
  if (unknown >= 0) {
    if (known == 0 || count(in) % known) return p.fail("%lld elements do not divide by %lld", (long long)count(in), (long long)known);
    dims[unknown] = count(in) / known;
  }
  return view(p, dims, static_cast<int>(shape.n));
}

Status prepare_flatten(Prepare& p) {
  EDGEORT_TRY(need(p, 1, 1));
  const Tensor& in = p.in(0);
  i64 axis = p.params<AxisParams>().axis;
  if (axis < -in.rank || axis > in.rank) return p.fail("axis %lld is out of range for rank %d", (long long)axis, in.rank);
  if (axis < 0) axis += in.rank;
  const i64 dims[2] = {count(in, 0, static_cast<int>(axis)), count(in, static_cast<int>(axis), in.rank)};
  return view(p, dims, 2);
}

// The axes of input 1, as bits, counted in a tensor of that rank.
Status axis_bits(Prepare& p, int rank, u32* bits, int* n) {
  Integers axes;
  EDGEORT_TRY(integers_of(p, 1, kMaxRank, &axes));
  *n = static_cast<int>(axes.n);
  for (i64 i = 0; i < axes.n; ++i) {
    int axis;
    EDGEORT_TRY(axis_of(p, axes[i], rank, &axis));
    if (*bits & (1u << axis)) return p.fail("its axes name %d twice", axis);
    *bits |= 1u << axis;
  }
  return Status::ok;
}

Status prepare_squeeze(Prepare& p) {
  EDGEORT_TRY(need(p, 1, 1));
  const Tensor& in = p.in(0);
  u32 drop = 0;
  int n = 0;
  if (p.has(1)) EDGEORT_TRY(axis_bits(p, in.rank, &drop, &n));
  i64 dims[kMaxRank];
  int rank = 0;
  for (int i = 0; i < in.rank; ++i) {
    const bool dropped = p.has(1) ? drop >> i & 1 : in.dims[i] == 1;
    if (dropped && in.dims[i] != 1) return p.fail("axis %d has %lld elements, not 1", i, (long long)in.dims[i]);
    if (!dropped) dims[rank++] = in.dims[i];
  }
  return view(p, dims, rank);
}

Status prepare_unsqueeze(Prepare& p) {
  EDGEORT_TRY(need(p, 2, 1));
  const Tensor& in = p.in(0);
  const int rank = in.rank + static_cast<int>(min_of(count(p.in(1)), kMaxRank));
  if (rank > kMaxRank) return p.fail("its result would have rank %d; the limit is %d", rank, kMaxRank);
  u32 added = 0;
  int n = 0, from = 0;
  EDGEORT_TRY(axis_bits(p, rank, &added, &n));
  i64 dims[kMaxRank];
  for (int i = 0; i < rank; ++i) dims[i] = added >> i & 1 ? 1 : in.dims[from++];
  return view(p, dims, rank);
}

Status prepare_dropout(Prepare& p) {
  EDGEORT_TRY(need(p, 1, 1));
  EDGEORT_TRY(p.set(1, DType::boolean, p.in(0).dims, p.in(0).rank));
  return view(p, p.in(0).dims, p.in(0).rank);
}

void run_dropout(Run& r) {
  if (r.wants(1)) memset(r.out(1).data, 1, bytes(r.out(1)));
}

}  // namespace

extern const OpDef kIdentity, kReshape, kFlatten, kSqueeze, kUnsqueeze, kDropout;
const OpDef kIdentity = {"Identity", 0, prepare_identity, nothing};
const OpDef kReshape = {"Reshape", sizeof(AxisParams), prepare_reshape, nothing};
const OpDef kFlatten = {"Flatten", sizeof(AxisParams), prepare_flatten, nothing};
const OpDef kSqueeze = {"Squeeze", 0, prepare_squeeze, nothing};
const OpDef kUnsqueeze = {"Unsqueeze", 0, prepare_unsqueeze, nothing};
const OpDef kDropout = {"Dropout", 0, prepare_dropout, run_dropout};

}  // namespace edgeort
