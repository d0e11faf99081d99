// Checks of a node's operands that the moving and indexing kernels share.
#pragma once
#include "../../core/texts.h"

namespace edgeort {

// The first `inputs` inputs are present, and so are the first `outputs` outputs.
static inline Status need(Prepare& p, int inputs, int outputs) {
  for (int i = 0; i < inputs; ++i) {
    if (!p.has(i)) return p.fail("input %d is missing", i);
  }
  for (int i = 0; i < outputs; ++i) {
    if (!p.wants(i)) return p.fail("output %d is missing", i);
  }
  return Status::ok;
}

// The axis in [0, rank) that `axis` in [-rank, rank) names.
static inline Status axis_of(Prepare& p, i64 axis, int rank, int* out) {
  if (axis < -rank || axis >= rank) return p.fail("axis %lld is out of range for rank %d", static_cast<long long>(axis), rank);
  *out = static_cast<int>(axis < 0 ? axis + rank : axis);
  return Status::ok;
}

// Memory of the node for a number of bytes that data decides; null when it is out, or when the sum does not fit size_t.
static inline void* state_of(Prepare& p, i64 size) {
  return static_cast<u64>(size) > (size_t{0} - 1) / 4 ? nullptr : p.state(static_cast<size_t>(size));
}

// Calls body(T{}) with the unsigned integer type of `size` bytes, or with a string.
template <class F>
static inline void for_size(size_t size, const F& body) {
  size == 1 ? body(u8{}) : size == 2 ? body(u16{}) : size == 4 ? body(u32{}) : size == 8 ? body(u64{}) : body(Text{});
}

// Integers of an int32 or int64 tensor.
struct Integers {
  const void* data;
  i64 n;
  bool wide;

  i64 operator[](i64 i) const { return wide ? static_cast<const i64*>(data)[i] : static_cast<const i32*>(data)[i]; }
  static bool holds(const Tensor& t) { return t.dtype == DType::i64 || t.dtype == DType::i32; }
  static Integers of(const Tensor& t) { return {t.data, count(t), t.dtype == DType::i64}; }
};

// The data of an input that prepare needs; without elements there is nothing to wait for.
static inline Status value_of(Prepare& p, int input, const void** data) {
  static const u64 nothing = 0;
  *data = count(p.in(input)) ? p.value(input) : &nothing;
  return *data ? Status::ok : p.wait();
}

// A list of integers that prepare needs, of rank 0 or 1 and at most `most` elements.
static inline Status integers_of(Prepare& p, int input, i64 most, Integers* out) {
  const Tensor& t = p.in(input);
  if (!Integers::holds(t)) return p.fail("input %d must be int32 or int64", input);
  if (t.rank > 1 || count(t) > most) return p.fail("input %d must be a list of at most %lld integers", input, static_cast<long long>(most));
  *out = Integers::of(t);
  return value_of(p, input, &out->data);
}

}  // namespace edgeort
