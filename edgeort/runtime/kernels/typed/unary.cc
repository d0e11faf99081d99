// Operators of one operand that need no transcendental function. float32 is here for tests of NaN and infinity only: the
// rest of it is micro-operations of kernels/elementwise.
#include "ops.h"

namespace edgeort {
namespace {

template <class T>
void neg(void* out, const void* a, const void*, i64 n) {
  each_one<T, T>(out, a, n, [](T x) {
    if constexpr (Traits<T>::is_float) return -x;
    return static_cast<T>(Wide<T>{0} - static_cast<Wide<T>>(x));
  });
}
template <class T>
void abs(void* out, const void* a, const void*, i64 n) {
  each_one<T, T>(out, a, n, [](T x) {
    if constexpr (Traits<T>::is_float) return static_cast<T>(__builtin_fabs(x));
    return x < 0 ? static_cast<T>(Wide<T>{0} - static_cast<Wide<T>>(x)) : x;
  });
}
template <class T>
void sign(void* out, const void* a, const void*, i64 n) {
  each_one<T, T>(out, a, n, [](T x) { return x > 0 ? static_cast<T>(1) : x < 0 ? static_cast<T>(-1) : x; });
}
template <class T>
void relu(void* out, const void* a, const void*, i64 n) {
  each_one<T, T>(out, a, n, [](T x) { return x < 0 ? static_cast<T>(0) : x; });
}

// Adding 2^52 to |x| < 2^52 rounds to an integer, ties to even.
f64 nearest(f64 x) {
  const f64 a = __builtin_fabs(x);
  return a < 0x1p52 ? __builtin_copysign((a + 0x1p52) - 0x1p52, x) : x;
}
void round(void* out, const void* a, const void*, i64 n) { each_one<f64, f64>(out, a, n, nearest); }
void floor(void* out, const void* a, const void*, i64 n) {
  each_one<f64, f64>(out, a, n, [](f64 x) {
    const f64 r = nearest(x);
    return __builtin_copysign(r > x ? r - 1.0 : r, x);
  });
}
void ceil(void* out, const void* a, const void*, i64 n) {
  each_one<f64, f64>(out, a, n, [](f64 x) {
    const f64 r = nearest(x);
    return __builtin_copysign(r < x ? r + 1.0 : r, x);
  });
}
void sqrt(void* out, const void* a, const void*, i64 n) {
  each_one<f64, f64>(out, a, n, [](f64 x) { return __builtin_sqrt(x); });
}
void reciprocal(void* out, const void* a, const void*, i64 n) {
  each_one<f64, f64>(out, a, n, [](f64 x) { return 1.0 / x; });
}

template <class T>
void is_nan(void* out, const void* a, const void*, i64 n) {
  each_one<u8, T>(out, a, n, [](T x) { return x != x; });
}
template <class T>
void is_positive_inf(void* out, const void* a, const void*, i64 n) {
  each_one<u8, T>(out, a, n, [](T x) { return x == static_cast<T>(__builtin_inf()); });
}
template <class T>
void is_negative_inf(void* out, const void* a, const void*, i64 n) {
  each_one<u8, T>(out, a, n, [](T x) { return x == -static_cast<T>(__builtin_inf()); });
}
template <class T>
void is_inf(void* out, const void* a, const void*, i64 n) {
  each_one<u8, T>(out, a, n, [](T x) { return __builtin_fabs(x) == __builtin_inf(); });
}

#define EDGEORT_SIGNED(OP) \
  {nullptr, nullptr, OP<i8>, nullptr, OP<i16>, OP<i32>, OP<i64>, nullptr, nullptr, OP<f64>, nullptr, nullptr, nullptr}

constexpr TypedOp kNegOp = {EDGEORT_SIGNED(neg), false, false};
constexpr TypedOp kAbsOp = {EDGEORT_NUMBERS(abs), false, false};
constexpr TypedOp kSignOp = {EDGEORT_NUMBERS(sign), false, false};
constexpr TypedOp kReluOp = {EDGEORT_SIGNED(relu), false, false};
constexpr TypedOp kRoundOp = {EDGEORT_F64(round), false, false};
constexpr TypedOp kFloorOp = {EDGEORT_F64(floor), false, false};
constexpr TypedOp kCeilOp = {EDGEORT_F64(ceil), false, false};
constexpr TypedOp kSqrtOp = {EDGEORT_F64(sqrt), false, false};
constexpr TypedOp kReciprocalOp = {EDGEORT_F64(reciprocal), false, false};
constexpr TypedOp kIsNaNOp = {EDGEORT_FLOATS(is_nan), false, true};
constexpr TypedOp kIsInfOp = {EDGEORT_FLOATS(is_inf), false, true};
constexpr TypedOp kIsPositiveInfOp = {EDGEORT_FLOATS(is_positive_inf), false, true};
constexpr TypedOp kIsNegativeInfOp = {EDGEORT_FLOATS(is_negative_inf), false, true};

}  // namespace

extern const OpDef kNeg, kAbs, kSign, kRelu, kRound, kFloor, kCeil, kSqrt, kReciprocal, kIsNaN, kIsInf, kIsPositiveInf, kIsNegativeInf;
const OpDef kNeg = {"Neg", 0, prepare_op<kNegOp>, run_typed};
const OpDef kAbs = {"Abs", 0, prepare_op<kAbsOp>, run_typed};
const OpDef kSign = {"Sign", 0, prepare_op<kSignOp>, run_typed};
const OpDef kRelu = {"Relu", 0, prepare_op<kReluOp>, run_typed};
const OpDef kRound = {"Round", 0, prepare_op<kRoundOp>, run_typed};
const OpDef kFloor = {"Floor", 0, prepare_op<kFloorOp>, run_typed};
const OpDef kCeil = {"Ceil", 0, prepare_op<kCeilOp>, run_typed};
const OpDef kSqrt = {"Sqrt", 0, prepare_op<kSqrtOp>, run_typed};
const OpDef kReciprocal = {"Reciprocal", 0, prepare_op<kReciprocalOp>, run_typed};
const OpDef kIsNaN = {"IsNaN", 0, prepare_op<kIsNaNOp>, run_typed};
const OpDef kIsInf = {"IsInf", 0, prepare_op<kIsInfOp>, run_typed};
const OpDef kIsPositiveInf = {"IsPositiveInf", 0, prepare_op<kIsPositiveInfOp>, run_typed};
const OpDef kIsNegativeInf = {"IsNegativeInf", 0, prepare_op<kIsNegativeInfOp>, run_typed};

}  // namespace edgeort
