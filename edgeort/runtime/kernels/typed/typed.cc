// Preparing and running every operator of ops.h.
#include "broadcast.h"
#include "ops.h"

namespace edgeort {
namespace {

struct State {
  Broadcast space;
  TypedFn fn;
};

}  // namespace

Status prepare_typed(Prepare& p, const TypedOp& op) {
  const int n = p.inputs();
  if (n < 1 || !p.has(0) || (op.binary ? n < 2 || (op.to_boolean && n > 2) : n > 1)) return p.fail("cannot have %d operands", n);
  const DType dtype = p.in(0).dtype;
  for (int i = 1; i < n; ++i) {
    if (!p.has(i) || p.in(i).dtype != dtype) return p.fail("operand %d must have the element type of operand 0", i);
  }
  auto* s = static_cast<State*>(p.state(sizeof(State) + sizeof(Broadcast::Operand) * static_cast<u64>(n)));
  if (!s) return p.out_of_memory();
  s->space.operand = reinterpret_cast<Broadcast::Operand*>(s + 1);
  s->fn = op.fn[static_cast<u8>(dtype)];
  if (!s->fn) return p.fail("has no kernel for element type %d", static_cast<int>(dtype));
  EDGEORT_TRY(s->space.bind(p, op.to_boolean ? DType::boolean : dtype));
  if (!p.wants(0)) return Status::ok;
  // With more operands, the first two would be overwritten while others, perhaps the same tensor, are still to come.
  for (int i = 0; i < n && n <= 2; ++i) {
    if (size_of(p.out(0).dtype) == size_of(dtype) && count(p.in(i)) == count(p.out(0))) p.overwrite(0, i);
  }
  p.thread_scratch(s->space.scratch_bytes());
  return Status::ok;
}

void run_typed(Run& r) {
  if (!r.wants(0)) return;
  const State& s = r.state<State>();
  const Tensor& out = r.out(0);
  s.space.pieces(r, [&](i64 row, i64 column, i64 n, int thread) {
    void* scratch = r.thread_scratch(thread);
    u8* to = out.as<u8>() + static_cast<size_t>(row * s.space.columns + column) * size_of(out.dtype);
    const void* a = s.space.read(r.in(0), 0, row, column, n, scratch);
    if (s.space.operands == 1) s.fn(to, a, nullptr, n);
    for (int i = 1; i < s.space.operands; ++i, a = to) s.fn(to, a, s.space.read(r.in(i), i, row, column, n, scratch), n);
  });
}

}  // namespace edgeort
