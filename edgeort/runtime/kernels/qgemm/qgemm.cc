// QGemm: q8 [..., k] by int8 [k, n].
#include <string.h>

#include "matrix.h"

namespace edgeort {
namespace {

struct State {
  QMatrix matrix;
};

Status prepare(Prepare& p) {
  const auto& g = p.params<QGemmParams>();
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  if (!p.has(0) || p.in(0).dtype != DType::q8 || p.in(0).rank < 1) return p.fail("the input must be quantised, and no scalar");
  const Tensor& x = p.in(0);
  const i64 k = x.dims[x.rank - 1];
  if (k != g.k) return p.fail("inner dimensions disagree: %lld and %lld", (long long)k, (long long)g.k);
  if (k < 1 || k > i64{1} << 27 || g.n < 1 || g.n > i64{1} << 31) return p.fail("a dimension is out of range");
  i64 dims[kMaxRank];
  memcpy(dims, x.dims, sizeof(dims));
  dims[x.rank - 1] = g.n;
  EDGEORT_TRY(p.set(0, g.quantisation.quantised ? DType::q8 : DType::f32, dims, x.rank));
  QMatrix& m = s->matrix;
  EDGEORT_TRY(m.bind(p, g.quantisation, g.epilogue, sizeof(g), 1, g.n, ceil_div(k, kDepth)));
  EDGEORT_TRY(m.read_steps(p, k));
  m.even = true;
  m.partition(count(x, 0, x.rank - 1), 1, p.threads());
  EDGEORT_TRY(m.put_in_order(p, 1, ceil_div(k, kDepth), k % kDepth != 0));
  p.thread_scratch(m.scratch_bytes());
  p.reads_slice(0);
  p.writes_slice(0);
  if (m.rows == 0 || g.quantisation.quantised) return Status::ok;
  if (!m.count_ended(p)) return p.out_of_memory();
  p.ends_rows(static_cast<int>(max_of(kOperands, g.epilogue.first_operand)));
  return Status::ok;
}

void run(Run& r) {
  const QMatrix& m = r.state<State>().matrix;
  if (m.rows == 0) return;
  const q8* x = r.in(0).as<const q8>();
  const i64 stride = pitch_of(r.in(0)), k = r.params<QGemmParams>().k;
  m.multiply(r, {r.out(0).as<char>(), pitch_of(r.out(0)), 0, 0, 0}, [&](i64 row, QMatrix::Rows* block) {
    for (int i = 0; i < block->rows; ++i) block->pointers[i] = x + (row + i) * stride;
    block->taps = 1;
    block->kc = k;
    block->step = block->rows * stride;
  });
}

}  // namespace

extern const OpDef kQGemm;
const OpDef kQGemm = {"QGemm", sizeof(QGemmParams), prepare, run};

}  // namespace edgeort
