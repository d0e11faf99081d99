// Arithmetic and comparisons of two operands. Integers wrap; division truncates; dividing by zero gives 0 (for Mod: the
// dividend).
#include "../../core/texts.h"
#include "ops.h"

namespace edgeort {
namespace {

template <class T>
void add(void* out, const void* a, const void* b, i64 n) {
  each<T, T>(out, a, b, n, [](T x, T y) { return static_cast<Wide<T>>(x) + static_cast<Wide<T>>(y); });
}
template <class T>
void sub(void* out, const void* a, const void* b, i64 n) {
  each<T, T>(out, a, b, n, [](T x, T y) { return static_cast<Wide<T>>(x) - static_cast<Wide<T>>(y); });
}
template <class T>
void mul(void* out, const void* a, const void* b, i64 n) {
  each<T, T>(out, a, b, n, [](T x, T y) { return static_cast<Wide<T>>(x) * static_cast<Wide<T>>(y); });
}

// x / y of integers for every x and y: the lowest value divided by -1 wraps.
template <class T>
T divide(T x, T y) {
  if constexpr (Traits<T>::is_float) {
    return x / y;
  } else {
    if (y == 0) return 0;
    if (Traits<T>::is_signed && y == static_cast<T>(-1)) return static_cast<T>(Wide<T>{0} - static_cast<Wide<T>>(x));
    return static_cast<T>(x / y);
  }
}
template <class T>
void div(void* out, const void* a, const void* b, i64 n) {
  if constexpr (Traits<T>::is_float) {
    each<T, T>(out, a, b, n, divide<T>);
  } else {
    serial<T>(out, a, b, n, divide<T>);
  }
}

u64 bits(f64 x) {
  u64 b;
  __builtin_memcpy(&b, &x, sizeof(b));
  return b;
}

// x modulo y, exactly, by long division of the significands; for float32 too, whose results are float32 numbers.
f64 remainder(f64 x, f64 y) {
  const f64 ax = __builtin_fabs(x), ay = __builtin_fabs(y);
  if (!(ax < __builtin_inf()) || !(ay > 0.0)) return __builtin_nan("");
  if (ax < ay || ay != ay) return ay == ay ? x : y;
  const int ex = static_cast<int>(bits(ax) >> 52), ey = static_cast<int>(bits(ay) >> 52);
  constexpr u64 kOne = u64{1} << 52;
  const u64 my = (bits(ay) & (kOne - 1)) | (ey ? kOne : 0);
  u64 m = (bits(ax) & (kOne - 1)) | (ex ? kOne : 0);
  const int base = ey ? ey : 1;
  for (int e = ex ? ex : 1;; --e) {
    m %= my;
    if (e == base) break;
    m <<= 1;
  }
  // m * 2^(base - 1075), exact: m < 2^53.
  f64 unit;
  const u64 raw = base > 52 ? static_cast<u64>(base - 52) << 52 : u64{1} << (base - 1);
  __builtin_memcpy(&unit, &raw, sizeof(unit));
  return __builtin_copysign(static_cast<f64>(m) * unit, x);
}

template <class T>
T modulo(T x, T y) {
  if constexpr (Traits<T>::is_float) {
    return static_cast<T>(remainder(x, y));
  } else {
    return y == 0 ? x : static_cast<T>(static_cast<Wide<T>>(x) - static_cast<Wide<T>>(divide(x, y)) * static_cast<Wide<T>>(y));
  }
}
// The sign of the dividend (C), and the sign of the divisor (Python).
template <class T>
void fmod(void* out, const void* a, const void* b, i64 n) {
  serial<T>(out, a, b, n, modulo<T>);
}
template <class T>
void mod(void* out, const void* a, const void* b, i64 n) {
  serial<T>(out, a, b, n, [](T x, T y) {
    const T r = modulo(x, y);
    return r != 0 && y != 0 && (r < 0) != (y < 0) ? static_cast<T>(r + y) : r;
  });
}

// x^y of integers; a negative y truncates: 1 / x^-y.
template <class T>
void pow(void* out, const void* a, const void* b, i64 n) {
  serial<T>(out, a, b, n, [](T x, T y) {
    if (Traits<T>::is_signed && y < 0) return static_cast<T>(x == 1 ? 1 : x == static_cast<T>(-1) ? ((y & 1) ? -1 : 1) : 0);
    Wide<T> result = 1, power = static_cast<Wide<T>>(x);
    for (u64 e = static_cast<u64>(y); e; e >>= 1, power *= power) result = e & 1 ? result * power : result;
    return static_cast<T>(result);
  });
}

// NaN when either is NaN.
template <class T>
void min(void* out, const void* a, const void* b, i64 n) {
  each<T, T>(out, a, b, n, [](T x, T y) { return y < x || y != y ? y : x; });
}
template <class T>
void max(void* out, const void* a, const void* b, i64 n) {
  each<T, T>(out, a, b, n, [](T x, T y) { return x < y || y != y ? y : x; });
}
template <class T>
void prelu(void* out, const void* a, const void* b, i64 n) {
  each<T, T>(out, a, b, n, [](T x, T y) { return x < 0 ? static_cast<T>(static_cast<Wide<T>>(x) * static_cast<Wide<T>>(y)) : x; });
}

template <class T>
void equal(void* out, const void* a, const void* b, i64 n) {
  each<u8, T>(out, a, b, n, [](T x, T y) { return x == y; });
}
template <class T>
void less(void* out, const void* a, const void* b, i64 n) {
  each<u8, T>(out, a, b, n, [](T x, T y) { return x < y; });
}
template <class T>
void less_or_equal(void* out, const void* a, const void* b, i64 n) {
  each<u8, T>(out, a, b, n, [](T x, T y) { return x <= y; });
}

constexpr TypedOp kAddOp = {EDGEORT_NUMBERS(add), true, false};
constexpr TypedOp kSubOp = {EDGEORT_NUMBERS(sub), true, false};
constexpr TypedOp kMulOp = {EDGEORT_NUMBERS(mul), true, false};
constexpr TypedOp kDivOp = {EDGEORT_NUMBERS(div), true, false};
constexpr TypedOp kModOp = {EDGEORT_NUMBERS(mod), true, false};
constexpr TypedOp kFmodOp = {EDGEORT_NUMBERS(fmod), true, false};
constexpr TypedOp kPowOp = {EDGEORT_INTEGERS(pow), true, false};
constexpr TypedOp kMinOp = {EDGEORT_NUMBERS(min), true, false};
void equal_texts(void* out, const void* a, const void* b, i64 n) {
  const auto *x = static_cast<const Text*>(a), *y = static_cast<const Text*>(b);
  for (i64 i = 0; i < n; ++i) static_cast<u8*>(out)[i] = same_text(x[i], y[i]);
}

constexpr TypedOp kMaxOp = {EDGEORT_NUMBERS(max), true, false};
constexpr TypedOp kPReluOp = {EDGEORT_NUMBERS(prelu), true, false};
constexpr TypedOp kLessOp = {EDGEORT_NUMBERS(less), true, true};
constexpr TypedOp kLessOrEqualOp = {EDGEORT_NUMBERS(less_or_equal), true, true};
// The bits decide but for floats; booleans are 0 and 1.
constexpr TypedOp kEqualOp = {{equal<f32>, equal<u8>,  equal<u8>,  equal<u16>, equal<u16>, equal<u32>, equal<u64>, equal<u8>,
                               nullptr,    equal<f64>, equal<u32>, equal<u64>, nullptr,    nullptr,    nullptr,    nullptr,
                               nullptr,    nullptr,    nullptr,    nullptr,    nullptr,    nullptr,    nullptr,    equal_texts},
                              true,
                              true};

}  // namespace

extern const OpDef kAdd, kSub, kMul, kDiv, kMod, kFmod, kPow, kMin, kMax, kPRelu, kEqual, kLess, kLessOrEqual;
const OpDef kAdd = {"Add", 0, prepare_op<kAddOp>, run_typed};
const OpDef kSub = {"Sub", 0, prepare_op<kSubOp>, run_typed};
const OpDef kMul = {"Mul", 0, prepare_op<kMulOp>, run_typed};
const OpDef kDiv = {"Div", 0, prepare_op<kDivOp>, run_typed};
const OpDef kMod = {"Mod", 0, prepare_op<kModOp>, run_typed};
const OpDef kFmod = {"Fmod", 0, prepare_op<kFmodOp>, run_typed};
const OpDef kPow = {"Pow", 0, prepare_op<kPowOp>, run_typed};
const OpDef kMin = {"Min", 0, prepare_op<kMinOp>, run_typed};
const OpDef kMax = {"Max", 0, prepare_op<kMaxOp>, run_typed};
const OpDef kPRelu = {"PRelu", 0, prepare_op<kPReluOp>, run_typed};
const OpDef kEqual = {"Equal", 0, prepare_op<kEqualOp>, run_typed};
const OpDef kLess = {"Less", 0, prepare_op<kLessOp>, run_typed};
const OpDef kLessOrEqual = {"LessOrEqual", 0, prepare_op<kLessOrEqualOp>, run_typed};

}  // namespace edgeort
