// DynamicQGemm: float32 rows, quantised each by its own range, or all by one, by int8 [k, n].
#include <string.h>

#include "matrix.h"

namespace edgeort {
namespace {

constexpr i32 kMostShift = 128;

struct State {
  QMatrix matrix;
  i64 k, row;  // values of a row, and the bytes that it takes when quantised: whole quads
  bool whole;  // one range for all rows
  i32 shift;   // what the stored weights are less than they mean

  u64 bytes() const { return static_cast<u64>(matrix.rows * row) + kAlignment; }
};

Status prepare(Prepare& p) {
  const auto& g = p.params<DynamicQGemmParams>();
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  if (!p.has(0) || p.in(0).dtype != DType::f32 || p.in(0).rank < 1) return p.fail("the input must be float32, and no scalar");
  const Tensor& x = p.in(0);
  s->k = x.dims[x.rank - 1];
  s->whole = g.whole != 0;
  s->shift = g.shift;
  if (s->k != g.k) return p.fail("inner dimensions disagree: %lld and %lld", (long long)s->k, (long long)g.k);
  if (s->shift < -kMostShift || s->shift > kMostShift || (s->shift && !s->whole)) return p.fail("its weights are shifted too far");
  if (s->k < 1 || s->k > i64{1} << 16 || g.n < 1 || g.n > i64{1} << 31) return p.fail("a dimension is out of range");
  i64 dims[kMaxRank];
  memcpy(dims, x.dims, sizeof(dims));
  dims[x.rank - 1] = g.n;
  EDGEORT_TRY(p.set(0, DType::f32, dims, x.rank));
  const i64 quads = ceil_div(s->k, kDepth);
  QMatrix& m = s->matrix;
  EDGEORT_TRY(m.bind_rows(p, g.wide != 0, g.epilogue, sizeof(g), g.n, quads));
  m.even = true;
  m.partition(count(x, 0, x.rank - 1), 1, p.threads());
  EDGEORT_TRY(m.put_in_order(p, 1, quads, false));
  s->row = quads * kDepth;
  p.scratch(s->bytes() + static_cast<u64>(m.rows) * sizeof(RowScale));
  p.thread_scratch(m.scratch_bytes());
  p.reads_slice(0);
  p.writes_slice(0);
  if (m.rows * m.n == 0) return Status::ok;
  if (!m.count_ended(p)) return p.out_of_memory();
  // x, which may be an operand of the epilogue as well, is quantised before.
  p.ends_rows(static_cast<int>(max_of(kOperands, g.epilogue.first_operand)));
  return Status::ok;
}

// The range of all rows, 0 among them. `of_rows` has room for two numbers a row.
void range_of(const Run& r, const State& s, f32* of_rows, f32* low, f32* high) {
  const f32* x = r.in(0).as<const f32>();
  const i64 stride = pitch_of(r.in(0));
  r.ranges(s.matrix.rows, max_of(1, 16384 / s.k), [&](i64 begin, i64 end, int) {
    for (i64 i = begin; i < end; ++i) {
      of_rows[2 * i] = of_rows[2 * i + 1] = 0;
      s.matrix.row_kernels->widen(x + i * stride, s.k, of_rows + 2 * i, of_rows + 2 * i + 1);
    }
  });
  *low = *high = 0;
  for (i64 i = 0; i < s.matrix.rows; ++i) {
    *low = of_rows[2 * i] < *low ? of_rows[2 * i] : *low;
    *high = of_rows[2 * i + 1] > *high ? of_rows[2 * i + 1] : *high;
  }
}

void run(Run& r) {
  const State& s = r.state<State>();
  const QMatrix& m = s.matrix;
  if (m.rows == 0) return;
  const f32* x = r.in(0).as<const f32>();
  const i64 stride = pitch_of(r.in(0));
  q8* quantised = static_cast<q8*>(r.scratch());
  auto* scales = reinterpret_cast<RowScale*>(quantised + (s.bytes() & ~(kAlignment - 1)));
  f32 low = 0, high = 0;
  if (s.whole) range_of(r, s, reinterpret_cast<f32*>(scales), &low, &high);
  r.ranges(m.rows, max_of(1, 16384 / s.k), [&](i64 begin, i64 end, int) {
    for (i64 i = begin; i < end; ++i) {
      q8* to = quantised + i * s.row;
      scales[i] = s.whole ? m.row_kernels->quantise_within(x + i * stride, s.k, low, high, s.shift, to)
                          : m.row_kernels->quantise(x + i * stride, s.k, to);
      memset(to + s.k, 0, static_cast<size_t>(s.row - s.k));  // multiplied by weights of zero
    }
  });
  m.multiply(r, {r.out(0).as<char>(), pitch_of(r.out(0)), 0, 0, 0, scales}, [&](i64 row, QMatrix::Rows* block) {
    for (int i = 0; i < block->rows; ++i) block->pointers[i] = quantised + (row + i) * s.row;
    block->taps = 1;
    block->kc = s.row;
    block->step = block->rows * s.row;
  });
}

}  // namespace

extern const OpDef kDynamicQGemm;
const OpDef kDynamicQGemm = {"DynamicQGemm", sizeof(DynamicQGemmParams), prepare, run};

}  // namespace edgeort
