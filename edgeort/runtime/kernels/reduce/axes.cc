#include "axes.h"

#include <string.h>

namespace edgeort {
namespace {

// Bit d of `mask` is set when axis d is reduced.
Status read_axes(Prepare& p, u32* mask) {
  const auto& params = p.params<ListParams>();
  const i64* axes = params.values;
  i64 n = params.count;
  const int rank = p.in(0).rank;
  if (n < 0 || n > kMaxRank) return p.fail("has %lld axes", static_cast<long long>(n));
  if (p.has(1)) {
    const Tensor& t = p.in(1);
    if (t.dtype != DType::i64 || t.rank > 1) return p.fail("its axes must be a list of int64");
    n = count(t);
    axes = static_cast<const i64*>(p.value(1));
    if (!axes && n > 0) return p.wait();
  }
  *mask = n == 0 && !(params.flag & 2) ? (1u << rank) - 1 : 0;
  for (i64 i = 0; i < n; ++i) {
    const i64 axis = axes[i] < 0 ? axes[i] + rank : axes[i];
    if (axis < 0 || axis >= rank) return p.fail("has axis %lld for rank %d", static_cast<long long>(axes[i]), rank);
    *mask |= 1u << axis;
  }
  return Status::ok;
}

template <class T>
void gather(void* out, const void* from, i64 n, i64 stride) {
  for (i64 i = 0; i < n; ++i) static_cast<T*>(out)[i] = static_cast<const T*>(from)[i * stride];
}

void copy(void* out, const void* from, i64 n, i64 stride, size_t size) {
  if (stride == 1) {
    memcpy(out, from, static_cast<size_t>(n) * size);
  } else if (size == 1) {
    gather<u8>(out, from, n, stride);
  } else if (size == 4) {
    gather<u32>(out, from, n, stride);
  } else {
    gather<u64>(out, from, n, stride);
  }
}

}  // namespace

i64 Walk::count() const {
  i64 n = 1;
  for (int d = 0; d < rank; ++d) n *= dims[d];
  return n;
}

i64 Walk::offset(i64 index) const {
  i64 at = 0;
  for (int d = rank - 1; d > 0; --d) {
    at += index % dims[d] * strides[d];
    index /= dims[d];
  }
  return rank > 0 ? at + index * strides[0] : at;
}

Status Axes::bind(Prepare& p) {
  if (!p.has(0)) return p.fail("needs an operand");
  const Tensor& x = p.in(0);
  u32 mask;
  EDGEORT_TRY(read_axes(p, &mask));
  kept.rank = reduced.rank = 0;
  i64 dims[kMaxRank];
  int rank = 0, last = -1;  // the kind of the dimension before
  for (int d = 0; d < x.rank; ++d) {
    const int kind = mask >> d & 1;
    if (!kind || (p.params<ListParams>().flag & 1)) dims[rank++] = kind ? 1 : x.dims[d];
    if (x.dims[d] == 1) continue;
    Walk& walk = kind ? reduced : kept;
    if (kind == last) {
      walk.dims[walk.rank - 1] *= x.dims[d];
    } else {
      walk.dims[walk.rank++] = x.dims[d];
    }
    walk.strides[walk.rank - 1] = edgeort::count(x, d + 1, x.rank);
    last = kind;
  }
  return p.set(0, x.dtype, dims, rank);
}

const void* Axes::read(const void* base, i64 begin, i64 n, size_t size, void* out) const {
  const u8* from = static_cast<const u8*>(base);
  if (reduced.rank == 0) return from;
  const i64 inner = reduced.dims[reduced.rank - 1], stride = reduced.strides[reduced.rank - 1];
  if (rows()) return from + static_cast<size_t>(begin) * size;
  for (i64 done = 0; done < n;) {
    const i64 run = min_of(n - done, inner - (begin + done) % inner);
    copy(static_cast<u8*>(out) + static_cast<size_t>(done) * size, from + static_cast<size_t>(reduced.offset(begin + done)) * size, run,
         stride, size);
    done += run;
  }
  return out;
}

}  // namespace edgeort
