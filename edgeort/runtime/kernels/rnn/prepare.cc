// Checks of recurrent operators, and where everything lies in their scratch.
#include "sequence.h"

namespace edgeort {

EDGEORT_KERNELS(RnnKernels, rnn)

namespace {

// From so many steps on, compressed weights of the state are widened once a run if they then take no more than that: so much stays
// in a cache of level 2, and a step need not widen it again.
constexpr i64 kManySteps = 8, kWidenedBytes = i64{1} << 20;

enum Input { kX, kW, kR, kB, kLengths, kInitialH, kInitialC, kP };

Status check(Prepare& p, int input, DType dtype, const i64* dims, int rank) {
  if (!p.has(input)) return Status::ok;
  const Tensor& t = p.in(input);
  bool same = t.rank == rank && t.dtype == dtype;
  for (int d = 0; same && d < rank; ++d) same = t.dims[d] == dims[d];
  return same ? Status::ok : p.fail("input %d has the wrong shape or element type", input);
}

i64 padded(i64 n) { return ceil_div(n, kPanel) * kPanel; }

// Reads the sizes, from the weights' shapes or, when they are packed, from the params.
Status sizes(Prepare& p, Rnn* s) {
  const RnnParams& params = *s->params;
  const Tensor& x = p.in(kX);
  if (x.rank != 3 || x.dtype != DType::f32) return p.fail("its input must be float32 of rank 3");
  s->steps = x.dims[params.layout ? 1 : 0];
  s->batch = x.dims[params.layout ? 0 : 1];
  s->inputs = x.dims[2];
  if (!params.packed && p.in(kR).rank != 3) return p.fail("its weights must have rank 3");
  s->hidden = params.packed ? params.hidden : p.in(kR).dims[2];
  s->gates = 0;
  for (int g = 0; g < s->cell->groups; ++g) s->gates += s->cell->gates[g];
  constexpr i64 kMost = i64{1} << 31;
  if (s->hidden < 1 || s->hidden > kMost || s->inputs > kMost || s->steps > kMost || s->batch > kMost) return p.fail("is too large");
  const f64 columns = static_cast<f64>(s->gates) * static_cast<f64>(s->hidden) + kPanel;
  const f64 rows = static_cast<f64>(s->steps + 2) * static_cast<f64>(s->batch + 1) + static_cast<f64>(s->inputs + s->hidden + 2);
  return rows * columns < 1e12 ? Status::ok : p.fail("is too large");
}

Status check_operands(Prepare& p, const Rnn& s, bool weights) {
  const i64 directions = s.params->directions, columns = s.gates * s.hidden;
  i64 r_floats = 0;
  for (int g = 0; g < s.cell->groups; ++g) r_floats += padded(s.cell->gates[g] * s.hidden) * s.hidden;
  const i64 w_packed[] = {directions * padded(columns) * s.inputs}, r_packed[] = {directions * r_floats};
  const i64 w[] = {directions, columns, s.inputs}, r[] = {directions, columns, s.hidden};
  const bool packed = s.params->packed;
  if (weights) {
    EDGEORT_TRY(check(p, kW, DType::f32, packed ? w_packed : w, packed ? 1 : 3));
    EDGEORT_TRY(check(p, kR, DType::f32, packed ? r_packed : r, packed ? 1 : 3));
  }
  const i64 bias[] = {directions, 2 * columns}, peephole[] = {directions, 3 * s.hidden};
  EDGEORT_TRY(check(p, kB, DType::f32, bias, 2));
  return check(p, kP, DType::f32, peephole, 2);
}

Status declare(Prepare& p, const Rnn& s) {
  const i64 directions = s.params->directions;
  const i64 state[] = {directions, s.batch, s.hidden}, state_batch_first[] = {s.batch, directions, s.hidden};
  const i64 all[] = {s.steps, directions, s.batch, s.hidden}, all_batch_first[] = {s.batch, s.steps, directions, s.hidden};
  const i64* h = s.params->layout ? state_batch_first : state;
  EDGEORT_TRY(check(p, kLengths, DType::i32, &s.batch, 1));
  EDGEORT_TRY(check(p, kInitialH, DType::f32, h, 3));
  EDGEORT_TRY(check(p, kInitialC, DType::f32, h, 3));
  EDGEORT_TRY(p.set(0, DType::f32, s.params->layout ? all_batch_first : all, 4));
  EDGEORT_TRY(p.set(1, DType::f32, h, 3));
  return p.set(2, DType::f32, h, 3);
}

// A product with weights of k rows; small ones are not worth waking threads for.
Status bind(Prepare& p, Matrix* matrix, i64 rows, i64 n, i64 k) {
  constexpr Program kNone = {};
  EDGEORT_TRY(matrix->bind(p, kNone, sizeof(RnnParams), &rows, 1, n, k));
  matrix->partition(rows, 1, rows * n * k < 1 << 17 ? 1 : p.threads());
  return Status::ok;
}

// Of weights that are compressed; the state's are read at every step.
Status compress(Prepare& p, Rnn* s, const CompressedKernels& kernels) {
  if (!s->params->packed || s->inputs < 1) return p.fail("compressed weights must be packed");
  const i64 directions = s->params->directions;
  EDGEORT_TRY(s->input.compression.bind(p, kernels, directions * padded(s->gates * s->hidden) / kPanel, s->inputs, kCompressedW));
  i64 panels = 0;
  for (int g = 0; g < s->cell->groups; ++g) panels += padded(s->cell->gates[g] * s->hidden) / kPanel;
  Compression& r = s->recurrent[0].compression;
  EDGEORT_TRY(r.bind(p, kernels, directions * panels, s->hidden, kCompressedR));
  r.once = false;
  if (s->cell->groups > 1) s->recurrent[1].compression = r;
  if (p.saves_memory() || s->steps < kManySteps || panels * kPanel * s->hidden * i64{sizeof(f32)} > kWidenedBytes) return Status::ok;
  s->widened = r;
  for (int g = 0; g < s->cell->groups; ++g) s->recurrent[g].compression = {};
  return Status::ok;
}

Status bind_products(Prepare& p, Rnn* s) {
  EDGEORT_TRY(bind(p, &s->input, s->steps * s->batch, s->gates * s->hidden, s->inputs));
  u64 thread_bytes = s->input.scratch_bytes();
  for (int g = 0; g < s->cell->groups; ++g) {
    EDGEORT_TRY(bind(p, &s->recurrent[g], s->batch, s->cell->gates[g] * s->hidden, s->hidden));
    if (s->recurrent[g].scratch_bytes() > thread_bytes) thread_bytes = s->recurrent[g].scratch_bytes();
  }
  p.thread_scratch(thread_bytes);
  return Status::ok;
}

bool is_plain(const RnnParams& params, const Cell& cell) {
  constexpr u32 kSigmoid = 0, kTanh = 1;
  const u32 functions = cell.groups == 1 ? 3 : 2;
  bool plain = params.clip <= 0.0f;
  for (u32 i = 0; i < 3 * params.directions; ++i) {
    plain &= i % 3 >= functions || params.activation[i] == (i % 3 == 0 ? kSigmoid : kTanh);
  }
  return plain;
}

}  // namespace

Status prepare_rnn(Prepare& p, Rnn* s, const Cell& cell, const CompressedKernels* compressed) {
  if (!s) return p.out_of_memory();
  s->cell = &cell;
  s->params = &p.params<RnnParams>();
  s->kernels = &rnn(p.isa());
  if (!p.has(kX) || !p.has(kW) || !p.has(kR)) return p.fail("needs an input and weights");
  if (s->params->directions < 1 || s->params->directions > 2) return p.fail("has %u directions", s->params->directions);
  for (const u32 code : s->params->activation) {
    if (code >= kActivations) return p.fail("has no activation %u", code);
  }
  s->plain = is_plain(*s->params, cell);
  EDGEORT_TRY(sizes(p, s));
  EDGEORT_TRY(check_operands(p, *s, !compressed && !s->integers));
  if (compressed) EDGEORT_TRY(compress(p, s, *compressed));
  EDGEORT_TRY(declare(p, *s));
  const i64 columns = s->gates * s->hidden;
  i64 r_floats = 0;
  for (int g = 0; g < cell.groups; ++g) r_floats += padded(cell.gates[g] * s->hidden) * s->hidden;
  if (!s->integers) EDGEORT_TRY(bind_products(p, s));
  const i64 state = s->batch * s->hidden;
  s->at_gates = 0;
  s->at_state = s->steps * s->batch * columns;
  s->at_h = s->at_state + s->batch * columns;
  s->at_cell = s->at_h + state;
  s->at_bias = s->at_cell + state;
  s->at_state_bias = s->at_bias + padded(columns);
  s->at_w = s->at_state_bias + padded(s->hidden);
  s->at_r = s->at_w + (s->params->packed ? 0 : padded(columns) * s->inputs);
  const i64 floats = s->at_r + (s->params->packed && !s->widened.kernels ? 0 : r_floats);
  s->scratch_bytes = (static_cast<u64>(floats) * sizeof(f32) + kAlignment - 1) & ~(kAlignment - 1);
  p.scratch(s->scratch_bytes);
  return Status::ok;
}

}  // namespace edgeort
