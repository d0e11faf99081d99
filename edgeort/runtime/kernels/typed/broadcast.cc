#include "broadcast.h"

#include "../../core/texts.h"

namespace edgeort {

Status Broadcast::shape(Prepare& p, i64* out, int* out_rank) {
  *out_rank = 0;
  for (int i = 0; i < p.inputs(); ++i) {
    if (!p.has(i)) return p.fail("operand %d is missing", i);
    if (p.in(i).rank > *out_rank) *out_rank = p.in(i).rank;
  }
  for (int d = 0; d < *out_rank; ++d) out[d] = 1;
  for (int i = 0; i < p.inputs(); ++i) {
    const Tensor& t = p.in(i);
    for (int d = 0; d < t.rank; ++d) {
      i64& dim = out[*out_rank - t.rank + d];
      if (t.dims[d] == 1 || t.dims[d] == dim) continue;
      if (dim != 1) return p.fail("operands do not broadcast: a dimension is %lld and %lld", (long long)dim, (long long)t.dims[d]);
      dim = t.dims[d];
    }
  }
  return Status::ok;
}

Status Broadcast::bind(Prepare& p, DType dtype) {
  operands = p.inputs();
  element_bytes = sizeof(f64);
  if (operands < 1 || operands > kMaxOperands) return p.fail("has %d operands; 1 to %d can be", operands, kMaxOperands);
  i64 out[kMaxRank];
  int out_rank;
  EDGEORT_TRY(shape(p, out, &out_rank));
  EDGEORT_TRY(p.set(0, dtype, out, out_rank));
  // The last dimension is the columns; a scalar has one.
  rank = out_rank > 0 ? out_rank - 1 : 0;
  columns = out_rank > 0 ? out[rank] : 1;
  rows = 1;
  for (int d = 0; d < rank; ++d) rows *= dims[d] = out[d];
  for (int i = 0; i < operands; ++i) {
    const Tensor& t = p.in(i);
    Operand& o = operand[i];
    if (size_of(t.dtype) > element_bytes) element_bytes = size_of(t.dtype);
    o = {};
    i64 stride = 1;
    for (int d = t.rank - 1; d >= 0; --d) {
      const int at = d + out_rank - t.rank;
      (at == rank ? o.step : o.strides[at]) = t.dims[d] == 1 ? 0 : stride;
      stride *= t.dims[d];
    }
  }
  join();
  return Status::ok;
}

// Joins the last leading dimension with the columns while every operand walks both alike: fewer, longer rows.
void Broadcast::join() {
  for (; rank > 0; --rank) {
    const i64 size = dims[rank - 1];
    for (int i = 0; i < operands; ++i) {
      if (size != 1 && columns != 1 && operand[i].strides[rank - 1] != operand[i].step * columns) return;
    }
    for (int i = 0; i < operands; ++i) {
      if (columns == 1) operand[i].step = operand[i].strides[rank - 1];
    }
    columns *= size;
    rows = size > 0 ? rows / size : 1;
  }
}

namespace {

template <class T>
void fill(void* out, const void* value, i64 n) {
  const T v = *static_cast<const T*>(value);
  for (i64 i = 0; i < n; ++i) static_cast<T*>(out)[i] = v;
}

}  // namespace

const void* Broadcast::read(const Tensor& t, int input, i64 row, i64 column, i64 n, void* scratch) const {
  const Operand& o = operand[input];
  i64 offset = column * o.step;
  for (i64 d = rank - 1; d >= 0; --d) {
    offset += row % dims[d] * o.strides[d];
    row /= dims[d];
  }
  const size_t size = size_of(t.dtype);
  const u8* at = static_cast<const u8*>(t.data) + static_cast<size_t>(offset) * size;
  if (o.step != 0 || n == 1) return at;
  u8* out = static_cast<u8*>(scratch) + static_cast<size_t>(input) * kTypedTile * element_bytes;
  switch (size) {
    case 1:
      memset(out, *at, static_cast<size_t>(n));
      break;
    case 2:
      fill<u16>(out, at, n);
      break;
    case 4:
      fill<u32>(out, at, n);
      break;
    case 8:
      fill<u64>(out, at, n);
      break;
    default:
      fill<Text>(out, at, n);
  }
  return out;
}

}  // namespace edgeort
