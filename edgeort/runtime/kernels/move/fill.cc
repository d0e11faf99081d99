// ConstantOfShape, EyeLike, Range and Trilu: tensors made from a rule.
#include <string.h>

#include "args.h"

namespace edgeort {
namespace {

// Input 1: the value, which gives the type.
Status prepare_constant_of_shape(Prepare& p) {
  EDGEORT_TRY(need(p, 2, 1));
  Integers shape;
  EDGEORT_TRY(integers_of(p, 0, kMaxRank, &shape));
  if (count(p.in(1)) != 1) return p.fail("its value must be one element");
  i64 dims[kMaxRank];
  for (i64 i = 0; i < shape.n; ++i) dims[i] = shape[i];
  return p.set(0, p.in(1).dtype, dims, static_cast<int>(shape.n));
}

void run_constant_of_shape(Run& r) {
  const Tensor& out = r.out(0);
  for_size(size_of(out.dtype), [&](auto zero) {
    using T = decltype(zero);
    const T value = *r.in(1).as<const T>();
    r.ranges(count(out), 1 << 14, [&](i64 begin, i64 end, int) {
      for (i64 i = begin; i < end; ++i) out.as<T>()[i] = value;
    });
  });
}

// Input 1: a one of the result's type. axis: the diagonal.
Status prepare_eye_like(Prepare& p) {
  EDGEORT_TRY(need(p, 2, 1));
  if (p.in(0).rank != 2) return p.fail("its input has rank %d, not 2", p.in(0).rank);
  if (count(p.in(1)) != 1 || p.in(1).dtype == DType::tensor) return p.fail("its value must be one number");
  return p.set(0, p.in(1).dtype, p.in(0).dims, 2);
}

void run_eye_like(Run& r) {
  const Tensor& out = r.out(0);
  const i64 k = r.params<AxisParams>().axis, rows = out.dims[0], columns = out.dims[1];
  memset(out.data, 0, bytes(out));
  if (k <= -rows || k >= columns) return;
  for_size(size_of(out.dtype), [&](auto zero) {
    using T = decltype(zero);
    for (i64 i = max_of(0, -k); i < rows && i + k < columns; ++i) out.as<T>()[i * columns + i + k] = *r.in(1).as<const T>();
  });
}

// flag: keep what is on and above diagonal k (input 1, else 0); without it what is on and below.
Status prepare_trilu(Prepare& p) {
  EDGEORT_TRY(need(p, 1, 1));
  if (p.in(0).dtype == DType::tensor) return p.fail("there is no tensor that could stand for nothing");
  if (p.in(0).rank < 2) return p.fail("its input has rank %d, below 2", p.in(0).rank);
  if (p.has(1) && (p.in(1).dtype != DType::i64 || count(p.in(1)) != 1)) return p.fail("its diagonal must be one int64");
  EDGEORT_TRY(p.same(0, 0));
  p.overwrite(0, 0);
  return Status::ok;
}

void run_trilu(Run& r) {
  const Tensor& t = r.out(0);
  const i64 rows = t.dims[t.rank - 2], columns = t.dims[t.rank - 1], size = static_cast<i64>(size_of(t.dtype));
  const bool upper = r.params<AxisParams>().flag;
  if (count(t) == 0) return;
  const i64 k = max_of(-rows, min_of(columns, r.has(1) ? *r.in(1).as<const i64>() : 0));
  r.ranges(count(t, 0, t.rank - 1), max_of(1, 8192 / max_of(1, columns)), [&](i64 begin, i64 end, int) {
    for (i64 i = begin; i < end; ++i) {
      const i64 edge = max_of(0, min_of(columns, i % rows + k + (upper ? 0 : 1))) * size, all = columns * size;
      const i64 from = upper ? edge : 0, to = upper ? all : edge;
      u8* out = t.as<u8>() + i * all;
      memmove(out + from, r.in(0).as<const u8>() + i * all + from, static_cast<size_t>(to - from));
      memset(upper ? out : out + edge, 0, static_cast<size_t>(upper ? edge : all - edge));
    }
  });
}

template <class T>
Status range_length(Prepare& p, const void* const values[3], i64* n) {
  const T start = *static_cast<const T*>(values[0]), limit = *static_cast<const T*>(values[1]), delta = *static_cast<const T*>(values[2]);
  if (delta == T{0}) return p.fail("its step is 0");
  if constexpr (static_cast<T>(0.5) == T{0}) {
    // The distance of two int64 fits uint64.
    const bool rising = delta > 0;
    const u64 a = static_cast<u64>(start), b = static_cast<u64>(limit), d = static_cast<u64>(delta);
    const u64 span = rising ? b - a : a - b, step = rising ? d : u64{0} - d;
    const bool empty = rising ? limit <= start : limit >= start;
    const u64 steps = empty ? 0 : (span - 1) / step + 1;
    *n = steps > u64{1} << 40 ? -1 : static_cast<i64>(steps);
  } else {
    const f64 steps = (static_cast<f64>(limit) - static_cast<f64>(start)) / static_cast<f64>(delta);
    *n = !(steps < 1e12) ? -1 : steps <= 0 ? 0 : static_cast<i64>(__builtin_ceil(steps));
  }
  return *n < 0 ? p.fail("its result would be too large") : Status::ok;
}

Status prepare_range(Prepare& p) {
  EDGEORT_TRY(need(p, 3, 1));
  const DType dtype = p.in(0).dtype;
  const void* values[3];
  for (int i = 0; i < 3; ++i) {
    if (p.in(i).dtype != dtype || count(p.in(i)) != 1) return p.fail("input %d must be one element of input 0's type", i);
    EDGEORT_TRY(value_of(p, i, &values[i]));
  }
  i64 n = 0;
  switch (dtype) {
    case DType::f32:
      EDGEORT_TRY(range_length<f32>(p, values, &n));
      break;
    case DType::f64:
      EDGEORT_TRY(range_length<f64>(p, values, &n));
      break;
    case DType::i16:
      EDGEORT_TRY(range_length<i16>(p, values, &n));
      break;
    case DType::i32:
      EDGEORT_TRY(range_length<i32>(p, values, &n));
      break;
    case DType::i64:
      EDGEORT_TRY(range_length<i64>(p, values, &n));
      break;
    default:
      return p.fail("its type has no kernel");
  }
  return p.set(0, dtype, &n, 1);
}

// start + i * delta: of integers modulo their width, of floats one multiplication and one addition.
template <class T, class Number>
void fill_range(Run& r) {
  const T start = *r.in(0).as<const T>(), delta = *r.in(2).as<const T>();
  for (i64 i = 0; i < r.out(0).dims[0]; ++i) r.out(0).as<T>()[i] = static_cast<T>(start + static_cast<Number>(i) * delta);
}

void run_range(Run& r) {
  switch (r.out(0).dtype) {
    case DType::f32:
      return fill_range<f32, f32>(r);
    case DType::f64:
      return fill_range<f64, f64>(r);
    case DType::i16:
      return fill_range<u16, u32>(r);
    case DType::i32:
      return fill_range<u32, u32>(r);
    default:
      return fill_range<u64, u64>(r);
  }
}

}  // namespace

extern const OpDef kConstantOfShape, kEyeLike, kRange, kTrilu;
const OpDef kConstantOfShape = {"ConstantOfShape", 0, prepare_constant_of_shape, run_constant_of_shape};
const OpDef kEyeLike = {"EyeLike", sizeof(AxisParams), prepare_eye_like, run_eye_like};
const OpDef kRange = {"Range", 0, prepare_range, run_range};
const OpDef kTrilu = {"Trilu", sizeof(AxisParams), prepare_trilu, run_trilu};

}  // namespace edgeort
