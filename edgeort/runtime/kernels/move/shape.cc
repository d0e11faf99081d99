// Shape and Size: known as soon as the input's shape is.
#include "args.h"

namespace edgeort {
namespace {

// values: the first axis and the one behind the last, as Slice counts them.
Status prepare_shape(Prepare& p) {
  EDGEORT_TRY(need(p, 1, 1));
  p.reads_state(0);
  const Tensor& in = p.in(0);
  const auto& params = p.params<ListParams>();
  const auto clamp = [&](i64 at) { return at < 0 ? max_of(0, at < -in.rank ? 0 : at + in.rank) : min_of(at, in.rank); };
  const i64 start = clamp(params.values[0]), n = max_of(0, clamp(params.values[1]) - start);
  EDGEORT_TRY(p.set(0, DType::i64, &n, 1));
  auto* out = static_cast<i64*>(p.known(0));
  if (!out) return p.out_of_memory();
  for (i64 i = 0; i < n; ++i) out[i] = in.dims[start + i];
  return Status::ok;
}

Status prepare_size(Prepare& p) {
  EDGEORT_TRY(need(p, 1, 1));
  p.reads_state(0);
  EDGEORT_TRY(p.set(0, DType::i64, nullptr, 0));
  auto* out = static_cast<i64*>(p.known(0));
  if (!out) return p.out_of_memory();
  *out = count(p.in(0));
  return Status::ok;
}

void nothing(Run&) {}

}  // namespace

extern const OpDef kShape, kSize;
const OpDef kShape = {"Shape", sizeof(ListParams), prepare_shape, nothing};
const OpDef kSize = {"Size", 0, prepare_size, nothing};

}  // namespace edgeort
