// QuantisedBytes: 8-bit integers as ONNX has them to and from q8, which holds an int8 itself and an uint8 less 128.
#include <string.h>

#include "../../core/op.h"

namespace edgeort {
namespace {

struct State {
  u8 flip;  // the bits in which the two forms differ
};

// How a form's bytes differ from canonical int8.
u8 bias_of(DType dtype) { return dtype == DType::u8 ? 128 : dtype == DType::q8 ? static_cast<u8>(kQ8Bias) : 0; }

bool is_byte(DType dtype) { return dtype == DType::u8 || dtype == DType::i8 || dtype == DType::q8; }

Status prepare(Prepare& p) {
  const i64 to = p.params<AxisParams>().flag;
  if (!p.has(0) || to < 0 || to >= i64{kDTypes}) return p.fail("it needs an input and the type of its output");
  const DType from = p.in(0).dtype, type = static_cast<DType>(to);
  if (!is_byte(from) || !is_byte(type) || (from == DType::q8) == (type == DType::q8)) return p.fail("it converts to or from q8");
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  s->flip = bias_of(from) ^ bias_of(type);
  EDGEORT_TRY(p.set(0, type, p.in(0).dims, p.in(0).rank));
  if (s->flip == 0) p.alias(0, 0);
  return Status::ok;
}

void run(Run& r) {
  const u8 flip = r.state<State>().flip;
  const u8* x = r.in(0).as<const u8>();
  u8* y = r.out(0).as<u8>();
  if (x == y) return;
  r.ranges(count(r.out(0)), 1 << 16, [=](i64 begin, i64 end, int) {
    const u8* __restrict from = x;  // which y is not: else bytes go one by one
    u8* __restrict to = y;
    for (i64 i = begin; i < end; ++i) to[i] = from[i] ^ flip;
  });
}

}  // namespace

extern const OpDef kQuantisedBytes;
const OpDef kQuantisedBytes = {"QuantisedBytes", sizeof(AxisParams), prepare, run};

}  // namespace edgeort
