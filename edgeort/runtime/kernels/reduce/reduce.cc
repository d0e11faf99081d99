// Reductions of float32. The other element types stand in numbers.cc.
#include "reduce.h"

#include "axes.h"
#include "numbers.h"

namespace edgeort {

EDGEORT_KERNELS(ReduceKernels, reduce)

namespace {

constexpr i64 kChunk = 1024, kColumns = 256;

struct State {
  const ReduceKernels* kernels;
  const NumberFold* numbers;  // null for float32
  Axes axes;
  i64 length;                // of a sequence
  i64 outer, inner, stride;  // where sequences lie side by side
};

struct Reduction {
  Fold fold;
  Finish finish;
  const NumberFold* numbers;
};

Status prepare_any(Prepare& p, const Reduction& reduction) {
  auto* s = p.state<State>();
  if (!s) return p.fail("out of memory");
  EDGEORT_TRY(s->axes.bind(p));
  const Tensor& x = p.in(0);
  if (x.dtype != DType::f32) {
    s->numbers = &reduction.numbers[static_cast<u8>(x.dtype)];
    if (!s->numbers->take) return p.fail("has no kernel for element type %d", static_cast<int>(x.dtype));
  }
  s->kernels = &reduce(p.isa());
  s->length = s->axes.reduced.count();
  s->inner = s->axes.kept.count();
  s->outer = s->stride = 1;
  if (s->axes.columns() && s->axes.reduced.rank == 1) {
    s->stride = s->axes.reduced.strides[0];
    s->outer = s->inner / max_of(s->stride, 1);
    s->inner = min_of(s->inner, s->stride);
  }
  p.thread_scratch(static_cast<size_t>(kChunk) * sizeof(i64));
  return Status::ok;
}

f32 sequence(const State& s, Fold fold, const f32* x, f32 shift, void* scratch) {
  const FoldKernels& kernels = s.kernels->fold[static_cast<u8>(fold)];
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

void run_rows(const Run& r, const State& s, const Reduction& reduction) {
  r.ranges(s.inner, max_of(1, 16384 / max_of(s.length, 1)), [&](i64 begin, i64 end, int thread) {
    for (i64 i = begin; i < end; ++i) {
      const f32* x = r.in(0).as<const f32>() + s.axes.kept.offset(i);
      f32* y = r.out(0).as<f32>() + i;
      f32 shift = 0.0f;
      if (reduction.fold == Fold::exp) shift = finite(sequence(s, Fold::max, x, 0.0f, r.thread_scratch(thread)));
      *y = sequence(s, reduction.fold, x, shift, r.thread_scratch(thread));
      s.kernels->finish(y, 1, reduction.finish, s.length, &shift);
    }
  });
}

void run_columns(const Run& r, const State& s, const Reduction& reduction) {
  const i64 per_row = ceil_div(s.inner, kColumns);
  const FoldKernels* folds = s.kernels->fold;
  r.ranges(s.outer * per_row, max_of(1, 16384 / max_of(s.length * min_of(s.inner, kColumns), 1)), [&](i64 begin, i64 end, int) {
    for (i64 i = begin; i < end; ++i) {
      const i64 o = i / per_row, c = i % per_row * kColumns, n = min_of(kColumns, s.inner - c);
      const f32* x = r.in(0).as<const f32>() + o * s.length * s.stride + c;
      f32* y = r.out(0).as<f32>() + o * s.inner + c;
      f32 shift[kColumns];
      if (reduction.fold == Fold::exp) {
        folds[static_cast<u8>(Fold::max)].columns(shift, x, s.length, s.stride, n, nullptr);
        for (i64 k = 0; k < n; ++k) shift[k] = finite(shift[k]);
      }
      folds[static_cast<u8>(reduction.fold)].columns(y, x, s.length, s.stride, n, reduction.fold == Fold::exp ? shift : nullptr);
      s.kernels->finish(y, n, reduction.finish, s.length, reduction.fold == Fold::exp ? shift : nullptr);
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

void run_any(Run& r, const Reduction& reduction) {
  const State& s = r.state<State>();
  if (s.outer * s.inner == 0) return;
  if (s.numbers) {
    run_numbers(r, s);
  } else if (s.axes.columns()) {
    run_columns(r, s, reduction);
  } else {
    run_rows(r, s, reduction);
  }
}

template <const Reduction& reduction>
Status prepare(Prepare& p) {
  return prepare_any(p, reduction);
}
template <const Reduction& reduction>
void run(Run& r) {
  run_any(r, reduction);
}

constexpr Reduction kSum = {Fold::sum, Finish::none, kSumOf};
constexpr Reduction kMean = {Fold::sum, Finish::mean, kMeanOf};
constexpr Reduction kMax = {Fold::max, Finish::none, kMaxOf};
constexpr Reduction kMin = {Fold::min, Finish::none, kMinOf};
constexpr Reduction kProd = {Fold::product, Finish::none, kProdOf};
constexpr Reduction kL1 = {Fold::absolute, Finish::none, kL1Of};
constexpr Reduction kL2 = {Fold::square, Finish::sqrt, kL2Of};
constexpr Reduction kSumSquare = {Fold::square, Finish::none, kSumSquareOf};
constexpr Reduction kLogSum = {Fold::sum, Finish::log, kNoneOf};
constexpr Reduction kLogSumExp = {Fold::exp, Finish::log_shifted, kNoneOf};

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
