// Attention: softmax(q (scale k)^T + mask) v of each batch entry and head, a block of rows at a time, so that only a block's
// scores exist, in the thread's work space. The operations are those of MatMul, Add, Softmax and MatMul, in their order, but that
// Softmax's division comes last: of the result, which is narrower.
#include <string.h>

#include "../gemm/matrix.h"
#include "../move/move.h"
#include "../reduce/reduce.h"
#include "few.h"

namespace edgeort {

EDGEORT_KERNELS(FewKernels, attention_few)
EDGEORT_KERNELS(MoveKernels, move)
EDGEORT_KERNELS(SoftmaxKernels, softmax)

namespace {

// Where [batch, head, row, column] lies: strides in elements (0: broadcast), and the first element.
struct View {
  i64 dims[4], strides[4], first;
  i64 at(i64 batch, i64 head) const { return first + batch * strides[0] + head * strides[1]; }
};

// A mask that all heads share is looked at before: where it only hides padding its rows are one row, and where there is none it
// adds nothing.
enum class MaskRows : u8 { own, one, none };

struct State {
  const SoftmaxKernels* softmax;
  const FewKernels* few;  // where keys and values are read as they lie; else null
  TransposeFn transpose;
  Matrix scores, values;
  View q, k, v, mask, out;
  i64 batch, heads, rows, keys, depth, width;
  i64 block, stride;         // rows of a block, floats between rows of its scores
  i64 together;              // heads that are packed before their rows are shared out
  i64 k_floats, all_floats;  // of a packed k, of a packed head
  MaskRows* masks;           // of each batch entry
};

// Multiplications that make a task worth a thread's while.
constexpr i64 kTaskWork = 1 << 19;
// Rows of a block that are whole tiles of most kinds, and scores that stay in level 1.
constexpr i64 kBlockRows = 24, kBlockScores = 6 * 1024;

i64 padded(i64 n) { return ceil_div(n, kPanel) * kPanel; }

// Operand i by its part of the parameters.
Status view_operand(Prepare& p, int i, View* view) {
  const auto& params = p.params<AttentionParams>();
  if (!p.has(i) || p.in(i).dtype != DType::f32 || p.in(i).rank != 5) return p.fail("operand %d must be float32 of rank 5", i);
  const Tensor& t = p.in(i);
  const i32* perm = params.perm + 5 * i;
  u32 seen = 0;
  for (int d = 0; d < 5; ++d) seen |= perm[d] >= 0 && perm[d] < 5 ? 1u << perm[d] : 0;
  if (seen != 31) return p.fail("its permutation of operand %d is none", i);
  i64 strides[5], step = 1;
  for (int d = 4; d >= 0; --d) {
    strides[d] = step;
    step *= d == 3 && t.capacity ? t.capacity : t.dims[d];
  }
  p.reads_state(i);
  const i64 part = params.part[i];
  if (part < 0 || part >= t.dims[perm[0]]) return p.fail("operand %d has no part %lld", i, (long long)part);
  view->first = part * strides[perm[0]];
  for (int d = 0; d < 4; ++d) {
    view->dims[d] = t.dims[perm[d + 1]];
    view->strides[d] = strides[perm[d + 1]];
  }
  return Status::ok;
}

// Dimension d of a view becomes `size`; what has one element there is broadcast.
Status broadcast(Prepare& p, int i, View* view, int d, i64 size) {
  if (view->dims[d] == size) return Status::ok;
  if (view->dims[d] != 1) return p.fail("operand %d has %lld for %lld", i, (long long)view->dims[d], (long long)size);
  view->dims[d] = size;
  view->strides[d] = 0;
  return Status::ok;
}

Status view_mask(Prepare& p, State* s) {
  const Tensor& t = p.in(3);
  if (t.dtype != DType::f32 || t.rank > 4) return p.fail("its mask must be float32 of rank 4 at most");
  const i64 full[4] = {s->batch, s->heads, s->rows, s->keys};
  i64 step = 1;
  s->mask = {};
  for (int d = 3; d >= 0; --d) {
    const int own = d - (4 - t.rank);
    s->mask.dims[d] = own < 0 ? 1 : t.dims[own];
    s->mask.strides[d] = step;
    step *= s->mask.dims[d];
    if (d == 3 && s->mask.dims[d] != s->keys)
      return p.fail("its mask has %lld columns, not %lld", (long long)s->mask.dims[d], (long long)s->keys);
    EDGEORT_TRY(broadcast(p, 3, &s->mask, d, full[d]));
  }
  return Status::ok;
}

Status view_output(Prepare& p, State* s) {
  const i32* perm = p.params<AttentionParams>().out_perm;
  const i64 full[4] = {s->batch, s->heads, s->rows, s->width};
  u32 seen = 0;
  for (int d = 0; d < 4; ++d) seen |= perm[d] >= 0 && perm[d] < 4 ? 1u << perm[d] : 0;
  if (seen != 15 || perm[3] != 3) return p.fail("its output's permutation is none that keeps rows together");
  i64 dims[4], step = 1;
  s->out.first = 0;
  for (int d = 3; d >= 0; --d) {
    dims[d] = s->out.dims[perm[d]] = full[perm[d]];
    s->out.strides[perm[d]] = step;
    step *= dims[d];
  }
  return p.set(0, DType::f32, dims, 4);
}

Status shapes(Prepare& p, State* s) {
  View* operands[] = {&s->q, &s->k, &s->v};
  for (int i = 0; i < 3; ++i) EDGEORT_TRY(view_operand(p, i, operands[i]));
  s->rows = s->q.dims[2];
  s->keys = s->k.dims[2];
  s->depth = s->q.dims[3];
  s->width = s->v.dims[3];
  if (s->k.dims[3] != s->depth || s->v.dims[2] != s->keys) return p.fail("the shapes of q, k and v disagree");
  i64* sizes[] = {&s->batch, &s->heads};
  for (int d = 0; d < 2; ++d) {
    *sizes[d] = 1;
    for (const View* view : operands) *sizes[d] = view->dims[d] == 1 ? *sizes[d] : view->dims[d];
    for (int i = 0; i < 3; ++i) EDGEORT_TRY(broadcast(p, i, operands[i], d, *sizes[d]));
  }
  if (s->q.strides[3] != 1 || (s->k.strides[2] != 1 && s->k.strides[3] != 1) || (s->v.strides[2] != 1 && s->v.strides[3] != 1)) {
    return p.fail("neither rows nor columns of an operand are contiguous");
  }
  if (p.has(3)) EDGEORT_TRY(view_mask(p, s));
  s->masks = static_cast<MaskRows*>(p.keep(static_cast<u64>(s->batch)));
  if (!s->masks) return p.out_of_memory();
  return view_output(p, s);
}

Status prepare(Prepare& p) {
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  EDGEORT_TRY(shapes(p, s));
  s->softmax = &softmax(p.isa());
  s->stride = padded(s->keys);
  if (s->rows <= kFewQueries && s->k.strides[3] == 1 && s->v.strides[3] == 1) {
    s->few = &attention_few(p.isa());
    p.thread_scratch(static_cast<u64>(s->rows) * (static_cast<u64>(s->stride) + 1) * sizeof(f32));
    return Status::ok;
  }
  s->transpose = move(p.isa()).transpose[2];
  const Program none = {};
  EDGEORT_TRY(s->scores.bind(p, none, sizeof(AttentionParams), &s->rows, 1, s->keys, s->depth));
  EDGEORT_TRY(s->values.bind(p, none, sizeof(AttentionParams), &s->rows, 1, s->width, s->keys));
  const i64 tile_rows = max_of(s->scores.main_tile().rows, s->values.main_tile().rows);
  s->block = max_of(1, min_of(s->rows, max_of(tile_rows, min_of(kBlockRows, kBlockScores / max_of(1, s->stride)))));
  s->k_floats = padded(s->keys) * s->depth;
  s->all_floats = s->k_floats + padded(s->width) * s->keys;
  s->together = p.threads() > 1 ? min_of(s->batch * s->heads, 8 * p.threads()) : 1;
  p.scratch(static_cast<u64>(s->together) * static_cast<u64>(s->all_floats) * sizeof(f32));
  p.thread_scratch(static_cast<u64>(s->block) * (static_cast<u64>(s->stride) + 1) * sizeof(f32));
  return Status::ok;
}

// Panels of factor * b[rows, columns], one of whose strides is 1. Columns beyond the last are zero.
void pack(const State& s, f32* panels, const f32* b, i64 rows, i64 columns, i64 row_step, i64 column_step, f32 factor) {
  for (i64 column = 0; column < columns; column += kPanel, panels += rows * kPanel) {
    const f32* from = b + column * column_step;
    const i64 width = min_of(kPanel, columns - column);
    if (width < kPanel) memset(panels, 0, static_cast<size_t>(rows * kPanel) * sizeof(f32));
    if (column_step == 1) {
      for (i64 row = 0; row < rows; ++row) memcpy(panels + row * kPanel, from + row * row_step, static_cast<size_t>(width) * sizeof(f32));
    } else {
      s.transpose(panels, kPanel, from, column_step, width, rows);
    }
    if (factor != 1.0f) {
      for (i64 i = 0; i < rows * kPanel; ++i) panels[i] *= factor;
    }
  }
}

// `rows` rows of a product, a tile at a time.
void multiply(const Matrix& matrix, const f32* a, i64 a_stride, i64 k, i64 rows, const f32* panels, i64 columns, f32* out, i64 out_stride) {
  const f32* pointers[kMaxTileRows];
  i64 offset = 0;
  for (i64 row = 0; row < rows;) {
    const i64 size = min_of(rows - row, matrix.main_tile().rows), repeat = (rows - row) / size;
    for (i64 i = 0; i < size; ++i) pointers[i] = a + (row + i) * a_stride;
    matrix.columns({pointers, &offset, 1, k, static_cast<int>(size), repeat, size * a_stride}, panels, nullptr, 0, columns,
                   out + row * out_stride, out_stride);
    row += size * repeat;
  }
}

// How a batch entry's mask, which begins at `mask`, can be read.
MaskRows look(const State& s, const f32* mask) {
  if (s.mask.strides[1] != 0) return MaskRows::own;
  const auto row_bytes = static_cast<size_t>(s.keys) * sizeof(f32);
  for (i64 row = 1; row < s.rows && s.mask.strides[2] != 0; ++row) {
    if (memcmp(mask, mask + row * s.mask.strides[2], row_bytes) != 0) return MaskRows::own;
  }
  for (i64 i = 0; i < s.keys; ++i) {
    if (mask[i] != 0.0f) return MaskRows::one;
  }
  return MaskRows::none;
}

// Rows [row, row + count) of one head, at most a block; `mask` may be null, and its rows are `mask_row` apart.
void attend(const State& s, const f32* panels, const f32* q, const f32* mask, i64 mask_row, f32* out, i64 row, i64 count, f32* scores) {
  const i64 q_row = s.q.strides[2], out_row = s.out.strides[2];
  multiply(s.scores, q + row * q_row, q_row, s.depth, count, panels, s.keys, scores, s.stride);
  f32* sums = scores + s.block * s.stride;
  s.softmax->weights(scores, s.keys, count, s.stride, mask ? mask + row * mask_row : nullptr, mask_row, sums);
  multiply(s.values, scores, s.stride, s.keys, count, panels + s.k_floats, s.width, out + row * out_row, out_row);
  if (s.keys > 0) s.softmax->divide(out + row * out_row, s.width, count, out_row, sums);
}

// All rows of one head, which are few. `next`: keys of the head after it, or null.
void attend_few(const State& s, const f32* q, const f32* k, const f32* v, const f32* mask, f32 scale, f32* out, f32* scores,
                const f32* next) {
  const i64 k_row = s.k.strides[2], v_row = s.v.strides[2];
  s.few->dots({q, s.rows, s.q.strides[2], k, s.keys, s.depth, k_row, scale, v, v_row, scores, s.stride});
  f32* sums = scores + s.rows * s.stride;
  s.softmax->weights(scores, s.keys, s.rows, s.stride, mask, s.mask.strides[2], sums);
  s.few->sums({scores, s.rows, s.stride, v, s.keys, s.width, v_row, 1.0f, next, k_row, out, s.out.strides[2]});
  if (s.keys > 0) s.softmax->divide(out, s.width, s.rows, s.out.strides[2], sums);
}

void run_few(const Run& r, const State& s) {
  const i64 grain = max_of(1, kTaskWork / 16 / max_of(1, s.keys * (s.depth + s.width)));
  const auto keys_of = [&](i64 i) { return r.in(1).as<const f32>() + s.k.at(i / s.heads, i % s.heads); };
  r.ranges(s.batch * s.heads, grain, [&](i64 begin, i64 end, int thread) {
    for (i64 i = begin; i < end; ++i) {
      const i64 batch = i / s.heads, head = i % s.heads;
      attend_few(s, r.in(0).as<const f32>() + s.q.at(batch, head), keys_of(i), r.in(2).as<const f32>() + s.v.at(batch, head),
                 r.has(3) ? r.in(3).as<const f32>() + s.mask.at(batch, head) : nullptr, r.params<AttentionParams>().scale,
                 r.out(0).as<f32>() + s.out.at(batch, head), static_cast<f32*>(r.thread_scratch(thread)),
                 i + 1 < end ? keys_of(i + 1) : nullptr);
    }
  });
}

// Heads [first, first + heads): all threads pack, then all share their blocks of rows.
void run_heads(const Run& r, const State& s, i64 first, i64 heads) {
  const f32* mask = r.has(3) ? r.in(3).as<const f32>() : nullptr;
  const f32 scale = r.params<AttentionParams>().scale;
  f32* panels = static_cast<f32*>(r.scratch());
  const i64 blocks = ceil_div(s.rows, s.block), per_key = s.depth + s.width;
  r.ranges(2 * heads, kTaskWork / 16 / max_of(1, s.keys * per_key), [&](i64 begin, i64 end, int) {
    for (i64 i = begin; i < end; ++i) {
      const i64 batch = (first + i / 2) / s.heads, head = (first + i / 2) % s.heads;
      f32* to = panels + i / 2 * s.all_floats;
      if (i % 2 == 0) {
        pack(s, to, r.in(1).as<const f32>() + s.k.at(batch, head), s.depth, s.keys, s.k.strides[3], s.k.strides[2], scale);
      } else {
        pack(s, to + s.k_floats, r.in(2).as<const f32>() + s.v.at(batch, head), s.keys, s.width, s.v.strides[2], s.v.strides[3], 1.0f);
      }
    }
  });
  const i64 all = heads * blocks, step = max_of(max_of(1, all / (8 * r.threads())), kTaskWork / max_of(1, s.block * s.keys * per_key));
  r.parallel(ceil_div(all, step), [&](i64 task, int thread) {
    for (i64 i = task * step; i < min_of(all, task * step + step); ++i) {
      const i64 batch = (first + i / blocks) / s.heads, head = (first + i / blocks) % s.heads, row = i % blocks * s.block;
      const bool masked = mask && s.masks[batch] != MaskRows::none;
      attend(s, panels + i / blocks * s.all_floats, r.in(0).as<const f32>() + s.q.at(batch, head),
             masked ? mask + s.mask.at(batch, head) : nullptr, s.masks[batch] == MaskRows::one ? 0 : s.mask.strides[2],
             r.out(0).as<f32>() + s.out.at(batch, head), row, min_of(s.block, s.rows - row), static_cast<f32*>(r.thread_scratch(thread)));
    }
  });
}

void run(Run& r) {
  const State& s = r.state<State>();
  const i64 heads = s.batch * s.heads;
  if (count(r.out(0)) == 0) return;
  if (s.few) return run_few(r, s);
  for (i64 batch = 0; r.has(3) && batch < s.batch; ++batch) s.masks[batch] = look(s, r.in(3).as<const f32>() + s.mask.at(batch, 0));
  for (i64 first = 0; first < heads; first += s.together) run_heads(r, s, first, min_of(s.together, heads - first));
}

}  // namespace

extern const OpDef kAttention;
const OpDef kAttention = {"Attention", sizeof(AttentionParams), prepare, run};

}  // namespace edgeort
