// Gemm: y = epilogue(alpha * a @ b + bias), b packed at build time or at run time; a has any leading dimensions. CompressedGemm is
// the same with b compressed at build time.
#include <string.h>

#include "matrix.h"

namespace edgeort {

EDGEORT_KERNELS(CompressedKernels, compressed)

namespace {

struct State {
  Matrix matrix;
  i64 m, k, n;            // of one product
  i64 batch;              // products
  i64 a_batch[kMaxRank];  // elements between batches of a and of b, by leading dimension
  i64 b_batch[kMaxRank];
  i64 dims[kMaxRank];  // leading dimensions of the result
  int rank;
  i64 a_row, a_column;  // elements between rows and columns of a
  i64 b_row, b_column;
  bool copy_a;  // columns of a are not contiguous, or alpha scales it
  f32 alpha;
};

i64 packed_floats(i64 k, i64 n) { return ceil_div(n, kPanel) * kPanel * k; }

// The leading dimensions of the result, and each operand's strides along them.
Status batches(Prepare& p, const Tensor& a, const Tensor& b, int a_core, int b_core, State* s) {
  const int a_lead = a.rank - a_core, b_lead = b.rank - b_core;
  s->rank = a_lead > b_lead ? a_lead : b_lead;
  s->batch = 1;
  i64 a_step = count(a, a_lead, a.rank), b_step = b.capacity ? b.capacity * b.dims[b.rank - 1] : count(b, b_lead, b.rank);
  for (int d = s->rank - 1; d >= 0; --d) {
    const int ia = d - (s->rank - a_lead), ib = d - (s->rank - b_lead);
    const i64 da = ia < 0 ? 1 : a.dims[ia], db = ib < 0 ? 1 : b.dims[ib];
    if (da != db && da != 1 && db != 1) return p.fail("leading dimensions %lld and %lld do not broadcast", (long long)da, (long long)db);
    s->dims[d] = da == 1 ? db : da;
    s->a_batch[d] = da == 1 ? 0 : a_step;
    s->b_batch[d] = db == 1 ? 0 : b_step;
    a_step *= da;
    b_step *= db;
    s->batch *= s->dims[d];
  }
  return Status::ok;
}

Status packed_weights(Prepare& p, const GemmParams& g, const CompressedKernels* kernels, State* s) {
  if (g.k < 0 || g.n < 0 || g.n > i64{1} << 32 || (g.k && g.n > (i64{1} << 40) / g.k)) return p.fail("its weights are too large");
  if (kernels) return s->matrix.compression.bind(p, *kernels, ceil_div(g.n, kPanel), g.k);
  const Tensor& b = p.in(1);
  return b.rank == 1 && b.dims[0] == packed_floats(g.k, g.n) ? Status::ok : p.fail("packed weights have the wrong size");
}

// kernels: those of compressed weights, which b must then be.
Status shapes(Prepare& p, const GemmParams& g, const CompressedKernels* kernels, State* s) {
  const Tensor& a = p.in(0);
  const Tensor& b = p.in(1);
  if (a.dtype != DType::f32 || (!kernels && b.dtype != DType::f32)) return p.fail("operands must be float32");
  if (kernels && !g.packed) return p.fail("compressed weights must be packed");
  if (a.rank < 1 || (!g.packed && b.rank < 1)) return p.fail("operands must not be scalars");
  const bool a_vector = a.rank == 1, b_vector = !g.packed && b.rank == 1;
  const i64 a0 = a_vector ? 1 : a.dims[a.rank - 2], a1 = a.dims[a.rank - 1];
  s->m = g.transpose_a ? a1 : a0;
  s->k = g.transpose_a ? a0 : a1;
  s->a_row = g.transpose_a ? 1 : a1;
  s->a_column = g.transpose_a ? a1 : 1;
  i64 b_k = g.k;
  s->n = g.n;
  if (!g.packed) {
    const i64 b0 = b_vector ? b.dims[0] : b.dims[b.rank - 2], b1 = b_vector ? 1 : b.dims[b.rank - 1];
    b_k = g.transpose_b ? b1 : b0;
    s->n = g.transpose_b ? b0 : b1;
    s->b_row = g.transpose_b ? 1 : b1;
    s->b_column = g.transpose_b ? b1 : 1;
    p.reads_state(1);
  } else {
    EDGEORT_TRY(packed_weights(p, g, kernels, s));
  }
  if (b_k != s->k) return p.fail("inner dimensions disagree: %lld and %lld", (long long)s->k, (long long)b_k);
  Tensor none = {};
  EDGEORT_TRY(batches(p, a, g.packed ? none : b, a_vector ? 1 : 2, g.packed ? 0 : b_vector ? 1 : 2, s));
  i64 dims[kMaxRank + 2];
  int rank = s->rank;
  memcpy(dims, s->dims, sizeof(s->dims));
  if (!a_vector) dims[rank++] = s->m;
  if (!b_vector) dims[rank++] = s->n;
  return p.set(0, DType::f32, dims, rank);
}

Status prepare_with(Prepare& p, const CompressedKernels* kernels) {
  const auto& g = p.params<GemmParams>();
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  EDGEORT_TRY(shapes(p, g, kernels, s));
  if (p.has(2) && (p.in(2).dtype != DType::f32 || p.in(2).rank != 1 || p.in(2).dims[0] != ceil_div(s->n, kPanel) * kPanel)) {
    return p.fail("the bias must have %lld values", (long long)(ceil_div(s->n, kPanel) * kPanel));
  }
  // One matrix with many rows is better than many matrices when b is the same for all.
  bool same_b = true;
  for (int d = 0; d < s->rank; ++d) same_b &= s->b_batch[d] == 0 && (s->a_batch[d] != 0 || s->dims[d] == 1);
  i64 dims[kMaxRank];
  memcpy(dims, s->dims, sizeof(dims));
  dims[s->rank] = s->m;
  EDGEORT_TRY(s->matrix.bind(p, g.epilogue, sizeof(g), dims, s->rank + (p.in(0).rank > 1 ? 1 : 0), s->n, s->k));
  if (same_b && !g.transpose_a) {
    s->m *= s->batch;
    s->batch = 1;
    s->rank = 0;
  }
  s->alpha = g.alpha;
  s->copy_a = s->a_column != 1 || s->alpha != 1.0f;
  p.scratch((g.packed ? 0 : static_cast<u64>(packed_floats(s->k, s->n))) * sizeof(f32) +
            (s->copy_a ? static_cast<u64>(s->m * s->k) : 0) * sizeof(f32));
  s->matrix.even = true;
  s->matrix.partition(s->m, 1, p.threads());
  p.thread_scratch(s->matrix.scratch_bytes());
  const Tensor& y = p.out(0);
  if (s->batch != 1 || s->m * s->n == 0 || y.rank == 0 || y.dims[y.rank - 1] != s->n) return Status::ok;
  if (!s->matrix.count_ended(p)) return p.out_of_memory();
  // An operand of the epilogue may be a as well: its rows are read by the tasks of the same rows, or are copied before.
  p.ends_rows(static_cast<int>(max_of(3, g.epilogue.first_operand)));
  return Status::ok;
}

Status prepare(Prepare& p) { return prepare_with(p, nullptr); }
Status prepare_compressed(Prepare& p) { return prepare_with(p, &compressed(p.isa())); }

i64 batch_offset(const State& s, const i64* strides, i64 batch) {
  i64 offset = 0;
  for (int d = s.rank - 1; d >= 0; --d) {
    offset += batch % s.dims[d] * strides[d];
    batch /= s.dims[d];
  }
  return offset;
}

// Panels of b: element (k, n) goes to panel n / kPanel, row k. Columns beyond n are zero.
void pack(const Run& r, const State& s, const f32* b, f32* panels) {
  r.ranges(ceil_div(s.n, kPanel), max_of(1, 4096 / (s.k + 1)), [&](i64 begin, i64 end, int) {
    for (i64 panel = begin; panel < end; ++panel) {
      f32* out = panels + panel * s.k * kPanel;
      const i64 columns = min_of(kPanel, s.n - panel * kPanel);
      const f32* from = b + panel * kPanel * s.b_column;
      if (columns < kPanel) memset(out, 0, static_cast<size_t>(s.k * kPanel) * sizeof(f32));
      if (s.b_column == 1) {
        for (i64 k = 0; k < s.k; ++k) memcpy(out + k * kPanel, from + k * s.b_row, static_cast<size_t>(columns) * sizeof(f32));
      } else {
        for (i64 j = 0; j < columns; ++j) {
          for (i64 k = 0; k < s.k; ++k) out[k * kPanel + j] = from[k * s.b_row + j * s.b_column];
        }
      }
    }
  });
}

// a, row-major and scaled by alpha.
void copy(const Run& r, const State& s, const f32* a, f32* out) {
  r.ranges(s.m, max_of(1, 8192 / (s.k + 1)), [&](i64 begin, i64 end, int) {
    for (i64 m = begin; m < end; ++m) {
      for (i64 k = 0; k < s.k; ++k) out[m * s.k + k] = s.alpha * a[m * s.a_row + k * s.a_column];
    }
  });
}

void run(Run& r) {
  const State& s = r.state<State>();
  const bool packed = r.params<GemmParams>().packed;
  if (s.m * s.batch * s.n == 0) return;
  f32* panels = static_cast<f32*>(r.scratch());
  f32* copied = panels + (packed ? 0 : packed_floats(s.k, s.n));
  const f32* bias = r.has(2) ? r.in(2).as<const f32>() : nullptr;
  const f32* packed_last = nullptr;
  for (i64 i = 0; i < s.batch; ++i) {
    const f32* a = r.in(0).as<const f32>() + batch_offset(s, s.a_batch, i);
    const f32* b = packed ? nullptr : r.in(1).as<const f32>() + batch_offset(s, s.b_batch, i);
    if (b != packed_last) pack(r, s, packed_last = b, panels);
    if (s.copy_a) copy(r, s, a, copied);
    const f32* rows = s.copy_a ? copied : a;
    const i64 stride = s.copy_a ? s.k : s.a_row;
    s.matrix.multiply(r, packed ? s.matrix.weights(r, 0) : Weights(panels), bias, r.out(0).as<f32>() + i * s.m * s.n, s.n, i * s.m, 0,
                      [&](i64 row, Matrix::Rows* block) {
                        for (int m = 0; m < block->rows; ++m) block->pointers[m] = rows + (row + m) * stride;
                        block->offsets[0] = 0;
                        block->taps = 1;
                        block->kc = s.k;
                        block->step = block->rows * stride;
                      });
  }
}

}  // namespace

extern const OpDef kGemm, kCompressedGemm;
const OpDef kGemm = {"Gemm", sizeof(GemmParams), prepare, run};
const OpDef kCompressedGemm = {"CompressedGemm", sizeof(GemmParams), prepare_compressed, run};

}  // namespace edgeort
