// If. Operands: the plans of the two branches, the condition, what the branches read. Where both branches make results of the
// same shapes, or the condition is known, shapes are inferred as for any operator; else the node waits for its operands and its
// branch runs while it is prepared.
#include "bodies.h"

namespace edgeort {
namespace {

constexpr int kCondition = 2, kFirst = 3;

Status check(Prepare& p) {
  if (p.inputs() < kFirst || !p.has(kCondition)) return p.fail("needs two branches and a condition");
  const Tensor& condition = p.in(kCondition);
  if (condition.dtype != DType::boolean || count(condition) != 1) return p.fail("the condition must be one boolean");
  for (int k = 0; k < 2; ++k) {
    if (p.body(k).inputs() != p.inputs() - kFirst || p.body(k).outputs() != p.outputs())
      return p.fail("a branch has another number of inputs or outputs");
  }
  return Status::ok;
}

bool prepare_branch(const Prepare& p, const Body& branch) {
  return give(p, branch, 0, kFirst, branch.inputs()) && branch.prepare() == Status::ok && branch.is_whole();
}

Status run_branch(Prepare& p, const Body& branch) {
  if (!all_known(p, kFirst, p.inputs())) return p.wait();
  if (!give(p, branch, 0, kFirst, branch.inputs())) return p.fail("a branch reads another element type");
  if (branch.run() != Status::ok) return p.failed(branch);
  for (int k = 0; k < p.outputs(); ++k) EDGEORT_TRY(set_known(p, k, branch.out(k), branch.out(k).data));
  return Status::ok;
}

Status prepare(Prepare& p) {
  EDGEORT_TRY(check(p));
  const auto* condition = static_cast<const u8*>(p.value(kCondition));
  const Body branch = p.body(condition && !*condition ? 1 : 0), other = p.body(1);
  bool ahead = prepare_branch(p, branch) && (condition || prepare_branch(p, other));
  for (int k = 0; ahead && !condition && k < p.outputs(); ++k) ahead = same_shape(branch.out(k), other.out(k));
  if (!ahead) return condition ? run_branch(p, branch) : p.wait();
  for (int k = 0; k < p.outputs(); ++k) EDGEORT_TRY(p.set(k, branch.out(k).dtype, branch.out(k).dims, branch.out(k).rank));
  return Status::ok;
}

void run(Run& r) {
  const Body branch = r.body(*r.in(kCondition).as<const u8>() ? 0 : 1);
  if (!give(r, branch, 0, kFirst, branch.inputs()) || branch.run() != Status::ok) return;  // neither happens: it is whole
  for (int k = 0; k < r.outputs(); ++k) {
    if (r.wants(k)) copy(r.out(k).data, branch.out(k).data, bytes(r.out(k)));
  }
}

}  // namespace

extern const OpDef kIf;
const OpDef kIf = {"If", 0, prepare, run, nullptr, nullptr, 2};

}  // namespace edgeort
