// Where: picks by a boolean, whatever the element type.
#include "../../core/texts.h"
#include "broadcast.h"

namespace edgeort {
namespace {

struct State {
  Broadcast space;
  Broadcast::Operand operand[3];
};

template <class T>
void pick(void* out, const u8* condition, const void* a, const void* b, i64 n) {
  T* o = static_cast<T*>(out);
  const T* x = static_cast<const T*>(a);
  const T* y = static_cast<const T*>(b);
#pragma clang loop vectorize(assume_safety)
  for (i64 i = 0; i < n; ++i) o[i] = condition[i] ? x[i] : y[i];
}

Status prepare(Prepare& p) {
  if (p.inputs() != 3 || !p.has(0) || !p.has(1) || !p.has(2)) return p.fail("needs three operands");
  if (p.in(0).dtype != DType::boolean) return p.fail("its condition must be boolean");
  if (p.in(1).dtype != p.in(2).dtype) return p.fail("both choices must have one element type");
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  s->space.operand = s->operand;
  EDGEORT_TRY(s->space.bind(p, p.in(1).dtype));
  p.thread_scratch(s->space.scratch_bytes());
  if (!p.wants(0)) return Status::ok;
  for (int i = 1; i < 3; ++i) {
    if (count(p.in(i)) == count(p.out(0))) p.overwrite(0, i);
  }
  return Status::ok;
}

void run(Run& r) {
  if (!r.wants(0)) return;
  const State& s = r.state<State>();
  const Tensor& out = r.out(0);
  s.space.pieces(r, [&](i64 row, i64 column, i64 n, int thread) {
    const void* in[3];
    for (int i = 0; i < 3; ++i) in[i] = s.space.read(r.in(i), i, row, column, n, r.thread_scratch(thread));
    u8* to = out.as<u8>() + static_cast<size_t>(row * s.space.columns + column) * size_of(out.dtype);
    const u8* condition = static_cast<const u8*>(in[0]);
    switch (size_of(out.dtype)) {
      case 1:
        return pick<u8>(to, condition, in[1], in[2], n);
      case 2:
        return pick<u16>(to, condition, in[1], in[2], n);
      case 4:
        return pick<u32>(to, condition, in[1], in[2], n);
      case 8:
        return pick<u64>(to, condition, in[1], in[2], n);
      default:
        return pick<Text>(to, condition, in[1], in[2], n);
    }
  });
}

}  // namespace

extern const OpDef kWhere;
const OpDef kWhere = {"Where", 0, prepare, run};

}  // namespace edgeort
