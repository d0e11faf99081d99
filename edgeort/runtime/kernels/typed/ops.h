// Elementwise operators over one element type: what they compute for which types, and the loop around it.
#pragma once
#include "../../core/op.h"

namespace edgeort {

// out[i] = op(a[i], b[i]); b is null for operators of one operand; out may be a or b.
using TypedFn = void (*)(void* out, const void* a, const void* b, i64 n);

// A null function: no kernel for that element type. More than two operands fold from the left.
struct TypedOp {
  TypedFn fn[kDTypes];
  bool binary;
  bool to_boolean;  // comparisons and tests
};

Status prepare_typed(Prepare& p, const TypedOp& op);
void run_typed(Run& r);

// The words of the kernels below. Iterations are independent even where out is a or b.
template <class Out, class T, class F>
static inline void each(void* out, const void* a, const void* b, i64 n, const F& f) {
  Out* o = static_cast<Out*>(out);
  const T* x = static_cast<const T*>(a);
  const T* y = static_cast<const T*>(b);
#pragma clang loop vectorize(assume_safety)
  for (i64 i = 0; i < n; ++i) o[i] = static_cast<Out>(f(x[i], y[i]));
}
// The same for what no vector unit does.
template <class T, class F>
static inline void serial(void* out, const void* a, const void* b, i64 n, const F& f) {
  T* o = static_cast<T*>(out);
  const T* x = static_cast<const T*>(a);
  const T* y = static_cast<const T*>(b);
#pragma clang loop vectorize(disable) unroll(disable)
  for (i64 i = 0; i < n; ++i) o[i] = f(x[i], y[i]);
}
template <class Out, class T, class F>
static inline void each_one(void* out, const void* a, i64 n, const F& f) {
  Out* o = static_cast<Out*>(out);
  const T* x = static_cast<const T*>(a);
#pragma clang loop vectorize(assume_safety)
  for (i64 i = 0; i < n; ++i) o[i] = static_cast<Out>(f(x[i]));
}

template <class T>
struct Traits {
  static constexpr bool is_float = false;
  static constexpr bool is_signed = T(-1) < T(0);
};
template <>
struct Traits<f32> {
  static constexpr bool is_float = true, is_signed = true;
};
template <>
struct Traits<f64> : Traits<f32> {};

// The type that integers are computed in, so that overflow wraps: unsigned, and not narrower than int.
template <int bytes>
struct Wrapping {
  using type = u32;
};
template <>
struct Wrapping<8> {
  using type = u64;
};
template <class T>
struct Word {
  using type = typename Wrapping<sizeof(T)>::type;
};
template <>
struct Word<f32> {
  using type = f32;
};
template <>
struct Word<f64> {
  using type = f64;
};
template <class T>
using Wide = typename Word<T>::type;

// OP(T) for every arithmetic element type, in the order of DType; and for subsets of them.
#define EDGEORT_NUMBERS(OP) \
  {OP<f32>, OP<u8>, OP<i8>, OP<u16>, OP<i16>, OP<i32>, OP<i64>, nullptr, nullptr, OP<f64>, OP<u32>, OP<u64>, nullptr}
#define EDGEORT_INTEGERS(OP) \
  {nullptr, OP<u8>, OP<i8>, OP<u16>, OP<i16>, OP<i32>, OP<i64>, nullptr, nullptr, nullptr, OP<u32>, OP<u64>, nullptr}
// By size alone: signed and unsigned are the same.
#define EDGEORT_BITS(OP) {nullptr, OP<u8>, OP<u8>, OP<u16>, OP<u16>, OP<u32>, OP<u64>, nullptr, nullptr, nullptr, OP<u32>, OP<u64>, nullptr}
#define EDGEORT_FLOATS(OP) \
  {OP<f32>, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, OP<f64>, nullptr, nullptr, nullptr}
#define EDGEORT_F64(OP) {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, OP, nullptr, nullptr, nullptr}
#define EDGEORT_BOOLEANS(OP) \
  {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, OP<u8>, nullptr, nullptr, nullptr, nullptr, nullptr}

template <const TypedOp& op>
static Status prepare_op(Prepare& p) {
  return prepare_typed(p, op);
}

}  // namespace edgeort
