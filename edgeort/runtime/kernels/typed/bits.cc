// Operators on bits and booleans.
#include "ops.h"

namespace edgeort {
namespace {

template <class T>
void bitwise_and(void* out, const void* a, const void* b, i64 n) {
  each<T, T>(out, a, b, n, [](T x, T y) { return x & y; });
}
template <class T>
void bitwise_or(void* out, const void* a, const void* b, i64 n) {
  each<T, T>(out, a, b, n, [](T x, T y) { return x | y; });
}
template <class T>
void bitwise_xor(void* out, const void* a, const void* b, i64 n) {
  each<T, T>(out, a, b, n, [](T x, T y) { return x ^ y; });
}
template <class T>
void bitwise_not(void* out, const void* a, const void*, i64 n) {
  each_one<T, T>(out, a, n, [](T x) { return ~x; });
}
void logical_not(void* out, const void* a, const void*, i64 n) {
  each_one<u8, u8>(out, a, n, [](u8 x) { return x == 0; });
}
// Shifts by the width or more, or by less than nothing, leave what extending the sign leaves.
template <class T>
void shift_left(void* out, const void* a, const void* b, i64 n) {
  each<T, T>(out, a, b, n, [](T x, T y) { return y >= 0 && static_cast<u64>(y) < sizeof(T) * 8 ? static_cast<Wide<T>>(x) << y : 0; });
}
template <class T>
void shift_right(void* out, const void* a, const void* b, i64 n) {
  each<T, T>(out, a, b, n, [](T x, T y) { return y >= 0 && static_cast<u64>(y) < sizeof(T) * 8 ? x >> y : x < 0 ? -1 : 0; });
}

constexpr TypedOp kAndOp = {EDGEORT_BOOLEANS(bitwise_and), true, false};
constexpr TypedOp kOrOp = {EDGEORT_BOOLEANS(bitwise_or), true, false};
constexpr TypedOp kXorOp = {EDGEORT_BOOLEANS(bitwise_xor), true, false};
constexpr TypedOp kNotOp = {{nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, logical_not}, false, false};
constexpr TypedOp kBitwiseAndOp = {EDGEORT_BITS(bitwise_and), true, false};
constexpr TypedOp kBitwiseOrOp = {EDGEORT_BITS(bitwise_or), true, false};
constexpr TypedOp kBitwiseXorOp = {EDGEORT_BITS(bitwise_xor), true, false};
constexpr TypedOp kBitwiseNotOp = {EDGEORT_BITS(bitwise_not), false, false};
constexpr TypedOp kShiftLeftOp = {EDGEORT_INTEGERS(shift_left), true, false};
constexpr TypedOp kShiftRightOp = {EDGEORT_INTEGERS(shift_right), true, false};

}  // namespace

extern const OpDef kAnd, kOr, kXor, kNot, kBitwiseAnd, kBitwiseOr, kBitwiseXor, kBitwiseNot, kShiftLeft, kShiftRight;
const OpDef kAnd = {"And", 0, prepare_op<kAndOp>, run_typed};
const OpDef kOr = {"Or", 0, prepare_op<kOrOp>, run_typed};
const OpDef kXor = {"Xor", 0, prepare_op<kXorOp>, run_typed};
const OpDef kNot = {"Not", 0, prepare_op<kNotOp>, run_typed};
const OpDef kBitwiseAnd = {"BitwiseAnd", 0, prepare_op<kBitwiseAndOp>, run_typed};
const OpDef kBitwiseOr = {"BitwiseOr", 0, prepare_op<kBitwiseOrOp>, run_typed};
const OpDef kBitwiseXor = {"BitwiseXor", 0, prepare_op<kBitwiseXorOp>, run_typed};
const OpDef kBitwiseNot = {"BitwiseNot", 0, prepare_op<kBitwiseNotOp>, run_typed};
const OpDef kShiftLeft = {"ShiftLeft", 0, prepare_op<kShiftLeftOp>, run_typed};
const OpDef kShiftRight = {"ShiftRight", 0, prepare_op<kShiftRightOp>, run_typed};

}  // namespace edgeort
