// Reductions of float32. The other element types stand in numbers.cc.
#include "reduce.h"

#include "axes.h"
#include "numbers.h"

namespace edgeort {

EDGEORT_KERNELS(FoldKernels, fold_sum)
EDGEORT_KERNELS(FoldKernels, fold_absolute)
EDGEORT_KERNELS(FoldKernels, fold_square)
EDGEORT_KERNELS(FoldKernels, fold_exp)
EDGEORT_KERNELS(FoldKernels, fold_product)
EDGEORT_KERNELS(FoldKernels, fold_max)
EDGEORT_KERNELS(FoldKernels, fold_min)
EDGEORT_KERNELS(FinishFn, finish_plain)
EDGEORT_KERNELS(FinishFn, finish_log)

namespace {

constexpr i64 kChunk = 1024, kColumns = 256;

struct State {
  const FoldKernels* fold;
  const FoldKernels* shift;  // of the number that exp subtracts; null for the other folds
  FinishFn finish;
  const NumberFold* numbers;  // null for float32
  Axes axes;
  i64 length;                // of a sequence
  i64 outer, inner, stride;  // where sequences lie side by side
};

struct Reduction {
  const FoldKernels& (*fold)(int isa);
  const FoldKernels& (*shift)(int isa);
  const FinishFn& (*finishing)(int isa);
  Finish finish;
  const NumberFold* numbers;
};

Status prepare_any(Prepare& p, const Reduction& reduction) {
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  EDGEORT_TRY(s->axes.bind(p));
  const Tensor& x = p.in(0);
  if (x.dtype != DType::f32) {
    s->numbers = &reduction.numbers[static_cast<u8>(x.dtype)];
    if (!s->numbers->take) return p.fail("has no kernel for element type %d", static_cast<int>(x.dtype));
  }
  s->fold = &reduction.fold(p.isa());
  s->shift = reduction.shift ? &reduction.shift(p.isa()) : nullptr;
  s->finish = reduction.finishing(p.isa());
  s->length = s->axes.reduced.count();
  s->inner = s->axes.kept.count();
  s->outer = s->stride = 1;
  if (s->axes.columns() && s->axes.reduced.rank == 1) {
    s->stride = s->axes.reduced.strides[0];
    s->outer = s->inner / max_of(s->stride, 1);
    s->inner = min_of(s->inner, s->stride);
  }
  p.thread_scratch(static_cast<u64>(kChunk) * sizeof(i64));
  return Status::ok;
}

f32 sequence(const State& s, const FoldKernels& kernels, const f32* x, f32 shift, void* scratch) {
  alignas(64) f32 lanes[16];
  for (f32& lane : lanes) lane = kernels.start;
  const i64 step = s.axes.rows() ? max_of(s.length, 1) : kChunk;
  for (i64 i = 0; i < s.length; i += step) {
    const i64 n = min_of(step, s.length - i);
    kernels.row(lanes, static_cast<const f32*>(s.axes.read(x, i, n, sizeof(f32), scratch)), n, shift);
  }
  return kernels.tree(lanes);
}

// The greatest element is subtracted in log(sum(exp)), unless it is not finite.
f32 finite(f32 x) { return __builtin_fabsf(x) < __builtin_inff() ? x : 0.0f; }

void run_rows(const Run& r, const State& s, Finish finish) {
  const Walk& kept = s.axes.kept;
  const bool packed = !s.shift && s.axes.rows() && (kept.rank == 0 || (kept.rank == 1 && kept.strides[0] == s.length));
  r.ranges(s.inner, max_of(1, 16384 / max_of(s.length, 1)), [&](i64 begin, i64 end, int thread) {
    f32 shift[kColumns];
    f32* y = r.out(0).as<f32>();
    for (i64 i = begin; i < end; i += kColumns) {
      const i64 n = min_of(kColumns, end - i);
      if (packed) s.fold->rows(y + i, r.in(0).as<const f32>() + i * s.length, s.length, n);
      for (i64 k = 0; k < n && !packed; ++k) {
        const f32* x = r.in(0).as<const f32>() + kept.offset(i + k);
        shift[k] = s.shift ? finite(sequence(s, *s.shift, x, 0.0f, r.thread_scratch(thread))) : 0.0f;
        y[i + k] = sequence(s, *s.fold, x, shift[k], r.thread_scratch(thread));
      }
      s.finish(y + i, n, finish, s.length, shift);
    }
  });
}

void run_columns(const Run& r, const State& s, Finish finish) {
  const i64 per_row = ceil_div(s.inner, kColumns);
  r.ranges(s.outer * per_row, max_of(1, 16384 / max_of(s.length * min_of(s.inner, kColumns), 1)), [&](i64 begin, i64 end, int) {
    for (i64 i = begin; i < end; ++i) {
      const i64 o = i / per_row, c = i % per_row * kColumns, n = min_of(kColumns, s.inner - c);
      const f32* x = r.in(0).as<const f32>() + o * s.length * s.stride + c;
      f32* y = r.out(0).as<f32>() + o * s.inner + c;
      f32 shift[kColumns];
      if (s.shift) {
        s.shift->columns(shift, x, s.length, s.stride, n, nullptr);
        for (i64 k = 0; k < n; ++k) shift[k] = finite(shift[k]);
      }
      s.fold->columns(y, x, s.length, s.stride, n, s.shift ? shift : nullptr);
      s.finish(y, n, finish, s.length, s.shift ? shift : nullptr);
    }
  });
}

void run_numbers(const Run& r, const State& s) {
  const size_t size = size_of(r.in(0).dtype);
  r.ranges(s.outer * s.inner, max_of(1, 8192 / max_of(s.length, 1)), [&](i64 begin, i64 end, int thread) {
    for (i64 i = begin; i < end; ++i) {
      const void* x = r.in(0).as<const u8>() + static_cast<size_t>(s.axes.kept.offset(i)) * size;
      void* y = r.out(0).as<u8>() + static_cast<size_t>(i) * size;
      s.numbers->start(y);
      for (i64 at = 0; at < s.length; at += kChunk) {
        const i64 n = min_of(kChunk, s.length - at);
        s.numbers->take(y, s.axes.read(x, at, n, size, r.thread_scratch(thread)), n);
      }
      if (s.numbers->finish) s.numbers->finish(y, s.length);
    }
  });
}

void run_any(Run& r, Finish finish) {
  const State& s = r.state<State>();
  if (s.outer * s.inner == 0 || !r.wants(0)) return;
  if (s.numbers) {
    run_numbers(r, s);
  } else if (s.axes.columns()) {
    run_columns(r, s, finish);
  } else {
    run_rows(r, s, finish);
  }
}

template <const Reduction& reduction>
Status prepare(Prepare& p) {
  return prepare_any(p, reduction);
}
template <const Reduction& reduction>
void run(Run& r) {
  run_any(r, reduction.finish);
}

constexpr Reduction kSum = {fold_sum, nullptr, finish_plain, Finish::none, kSumOf};
constexpr Reduction kMean = {fold_sum, nullptr, finish_plain, Finish::mean, kMeanOf};
constexpr Reduction kMax = {fold_max, nullptr, finish_plain, Finish::none, kMaxOf};
constexpr Reduction kMin = {fold_min, nullptr, finish_plain, Finish::none, kMinOf};
constexpr Reduction kProd = {fold_product, nullptr, finish_plain, Finish::none, kProdOf};
constexpr Reduction kL1 = {fold_absolute, nullptr, finish_plain, Finish::none, kL1Of};
constexpr Reduction kL2 = {fold_square, nullptr, finish_plain, Finish::sqrt, kL2Of};
constexpr Reduction kSumSquare = {fold_square, nullptr, finish_plain, Finish::none, kSumSquareOf};
constexpr Reduction kLogSum = {fold_sum, nullptr, finish_log, Finish::log, kNoneOf};
constexpr Reduction kLogSumExp = {fold_exp, fold_max, finish_log, Finish::log_shifted, kNoneOf};

}  // namespace

extern const OpDef kReduceSum, kReduceMean, kReduceMax, kReduceMin, kReduceProd, kReduceL1, kReduceL2, kReduceSumSquare, kReduceLogSum,
    kReduceLogSumExp;
const OpDef kReduceSum = {"ReduceSum", sizeof(ListParams), prepare<kSum>, run<kSum>};
const OpDef kReduceMean = {"ReduceMean", sizeof(ListParams), prepare<kMean>, run<kMean>};
const OpDef kReduceMax = {"ReduceMax", sizeof(ListParams), prepare<kMax>, run<kMax>};
const OpDef kReduceMin = {"ReduceMin", sizeof(ListParams), prepare<kMin>, run<kMin>};
const OpDef kReduceProd = {"ReduceProd", sizeof(ListParams), prepare<kProd>, run<kProd>};
const OpDef kReduceL1 = {"ReduceL1", sizeof(ListParams), prepare<kL1>, run<kL1>};
const OpDef kReduceL2 = {"ReduceL2", sizeof(ListParams), prepare<kL2>, run<kL2>};
const OpDef kReduceSumSquare = {"ReduceSumSquare", sizeof(ListParams), prepare<kSumSquare>, run<kSumSquare>};
const OpDef kReduceLogSum = {"ReduceLogSum", sizeof(ListParams), prepare<kLogSum>, run<kLogSum>};
const OpDef kReduceLogSumExp = {"ReduceLogSumExp", sizeof(ListParams), prepare<kLogSumExp>, run<kLogSumExp>};

}  // namespace edgeort
