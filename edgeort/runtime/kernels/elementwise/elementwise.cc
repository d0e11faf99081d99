// Elementwise: a program over operands that broadcast together.
#include "bound.h"

namespace edgeort {
namespace {

struct State {
  BoundProgram program;
};

// The broadcast shape of the operands (numpy's rule).
Status broadcast(Prepare& p, i64* dims, int* rank) {
  *rank = 0;
  for (int i = 0; i < p.inputs(); ++i) {
    if (!p.has(i)) return p.fail("operand %d is missing", i);
    if (p.in(i).rank > *rank) *rank = p.in(i).rank;
  }
  for (int d = 0; d < *rank; ++d) dims[d] = 1;
  for (int i = 0; i < p.inputs(); ++i) {
    const Tensor& t = p.in(i);
    for (int d = 0; d < t.rank; ++d) {
      i64& dim = dims[*rank - t.rank + d];
      if (t.dims[d] == 1 || t.dims[d] == dim) continue;
      if (dim != 1) return p.fail("operands do not broadcast: dimension %d is %lld and %lld", d, (long long)dim, (long long)t.dims[d]);
      dim = t.dims[d];
    }
  }
  return Status::ok;
}

Status prepare(Prepare& p) {
  const auto& params = p.params<ElementwiseParams>();
  i64 dims[kMaxRank];
  int rank;
  EDGEORT_TRY(broadcast(p, dims, &rank));
  EDGEORT_TRY(p.set(0, DType::f32, dims, rank));
  auto* state = p.state<State>();
  if (!state) return p.fail("out of memory");
  if (params.program.count == 0) return p.fail("its program is empty");
  EDGEORT_TRY(state->program.bind(p, params.program, sizeof(params), dims, rank > 0 ? rank - 1 : 0, rank > 0 ? dims[rank - 1] : 1, false));
  p.writes_slice(0);
  for (int i = 0; i < p.inputs(); ++i) {
    if (count(p.in(i)) == count(p.out(0)) && !p.in(i).pitch && !p.out(0).pitch) p.overwrite(0, i);
  }
  p.thread_scratch(state->program.scratch_bytes(kProgramTile));
  return Status::ok;
}

void run(Run& r) {
  const BoundProgram& program = r.state<State>().program;
  f32* out = r.out(0).as<f32>();
  if (program.rows * program.columns == 0) return;
  const i64 columns = program.columns, rows = program.rows, step = r.out(0).pitch ? r.out(0).pitch : columns;
  const i64 tiles = ceil_div(columns, kProgramTile);
  r.ranges(rows * tiles, max_of(1, 16384 / min_of(columns, kProgramTile)), [&](i64 begin, i64 end, int thread) {
    for (i64 i = begin; i < end; ++i) {
      const i64 row = i / tiles, column = i % tiles * kProgramTile;
      const i64 n = min_of(kProgramTile, columns - column);
      program.run(r, out + row * step + column, row, column, n, r.thread_scratch(thread));
    }
  });
}

}  // namespace

extern const OpDef kElementwise;
const OpDef kElementwise = {"Elementwise", sizeof(ElementwiseParams), prepare, run};

}  // namespace edgeort
