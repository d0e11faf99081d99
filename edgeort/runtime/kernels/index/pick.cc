// NonZero, Compress and OneHot.
#include "gather.h"

namespace edgeort {
namespace {

// The bits of an element that say whether it is zero: all, but for the sign of a float.
u64 bits_of(DType dtype) {
  const bool real = dtype == DType::f32 || dtype == DType::f64 || dtype == DType::f16 || dtype == DType::bf16;
  return real ? ~(u64{1} << (8 * size_of(dtype) - 1)) : ~u64{0};
}

// Positions of the elements that are set, row by row of the last axis: coordinate d of all of them begins at out + d * found.
template <class T, class F>
void put_places(const Tensor& in, const T* data, i64 found, i64* out, const F& is_set) {
  const int last = in.rank - 1;
  const i64 columns = last < 0 ? 1 : in.dims[last], rows = columns ? count(in) / columns : 0;
  i64 at = 0;
  for (i64 row = 0; row < rows; ++row, data += columns) {
    const i64 first = at;
    for (i64 c = 0; c < columns; ++c) {
      if (!is_set(data[c])) continue;
      if (last >= 0) out[last * found + at] = c;
      ++at;
    }
    for (i64 rest = row, d = last - 1; d >= 0 && at > first; rest /= in.dims[d--]) {
      for (i64 i = first; i < at; ++i) out[d * found + i] = rest % in.dims[d];
    }
  }
}

// The result's size depends on the data: all of the work is done while preparing.
Status prepare_nonzero(Prepare& p) {
  EDGEORT_TRY(need(p, 1, 1));
  const Tensor& in = p.in(0);
  if (in.dtype == DType::tensor) return p.fail("tensors are neither zero nor not");
  const void* data;
  EDGEORT_TRY(value_of(p, 0, &data));
  const u64 bits = bits_of(in.dtype);
  Status status = Status::ok;
  for_size(size_of(in.dtype), [&](auto element) {
    using T = decltype(element);
    const auto is_set = [&](const T& x) {
      if constexpr (__is_same(T, Text))
        return x.size != 0;
      else
        return (x & static_cast<T>(bits)) != 0;
    };
    const T* x = static_cast<const T*>(data);
    i64 dims[2] = {in.rank, 0};
    for (i64 i = 0; i < count(in); ++i) dims[1] += is_set(x[i]);
    status = p.set(0, DType::i64, dims, 2);
    if (status != Status::ok) return;
    auto* out = static_cast<i64*>(p.known(0));
    if (!out) {
      status = p.out_of_memory();
      return;
    }
    put_places(in, x, dims[1], out, is_set);
  });
  return status;
}

void nothing(Run&) {}

// flag: along `axis`; without it the input is flat.
struct CompressState {
  i64 n, dim, run, outer;  // kept positions (they follow), positions, bytes at each, repetitions
};

Status prepare_compress(Prepare& p) {
  EDGEORT_TRY(need(p, 2, 1));
  const Tensor &in = p.in(0), &condition = p.in(1);
  const auto& params = p.params<AxisParams>();
  if (condition.dtype != DType::boolean || condition.rank != 1) return p.fail("its condition must be a list of bool");
  const void* data;
  EDGEORT_TRY(value_of(p, 1, &data));
  int axis = 0;
  if (params.flag) EDGEORT_TRY(axis_of(p, params.axis, in.rank, &axis));
  const i64 dim = params.flag ? in.dims[axis] : count(in), most = min_of(dim, condition.dims[0]);
  auto* s = static_cast<CompressState*>(state_of(p, static_cast<i64>(sizeof(CompressState)) + most * static_cast<i64>(sizeof(i64))));
  if (!s) return p.out_of_memory();
  const i64 size = static_cast<i64>(size_of(in.dtype));
  *s = {0, dim, params.flag ? count(in, axis + 1, in.rank) * size : size, params.flag ? count(in, 0, axis) : 1};
  i64* kept = reinterpret_cast<i64*>(s + 1);
  for (i64 i = 0; i < most; ++i) {
    if (static_cast<const u8*>(data)[i]) kept[s->n++] = i;
  }
  if (!params.flag) return p.set(0, in.dtype, &s->n, 1);
  i64 dims[kMaxRank];
  for (int d = 0; d < in.rank; ++d) dims[d] = d == axis ? s->n : in.dims[d];
  return p.set(0, in.dtype, dims, in.rank);
}

void run_compress(Run& r) {
  const CompressState& s = r.state<CompressState>();
  const i64* kept = reinterpret_cast<const i64*>(&s + 1);
  if (count(r.out(0)) == 0) return;
  r.ranges(s.outer * s.n, max_of(1, 16384 / s.run), [&](i64 begin, i64 end, int) {
    for (i64 i = begin; i < end; ++i) {
      const u8* from = r.in(0).as<const u8>() + (i / s.n * s.dim + kept[i % s.n]) * s.run;
      copy_run(r.out(0).as<u8>() + i * s.run, from, static_cast<size_t>(s.run));
    }
  });
}

// Any number as an integer; what does not fit is the least int64, which is no position.
i64 integer_at(const Tensor& t, const void* data, i64 i) {
  constexpr i64 kNone = -0x7fffffffffffffff - 1;
  switch (t.dtype) {
    case DType::f32:
    case DType::f64: {
      const f64 x = t.dtype == DType::f32 ? static_cast<f64>(static_cast<const f32*>(data)[i]) : static_cast<const f64*>(data)[i];
      return x > -9e18 && x < 9e18 ? static_cast<i64>(x) : kNone;
    }
    case DType::i8:
      return static_cast<const i8*>(data)[i];
    case DType::i16:
      return static_cast<const i16*>(data)[i];
    case DType::i32:
      return static_cast<const i32*>(data)[i];
    case DType::u8:
      return static_cast<const u8*>(data)[i];
    case DType::u16:
      return static_cast<const u16*>(data)[i];
    case DType::u32:
      return static_cast<const u32*>(data)[i];
    case DType::i64:
    case DType::u64:
      return static_cast<const i64*>(data)[i];
    default:
      return kNone;
  }
}

Status prepare_onehot(Prepare& p) {
  EDGEORT_TRY(need(p, 3, 1));
  const Tensor &indices = p.in(0), &values = p.in(2);
  const void* depth;
  if (count(p.in(1)) != 1 || count(values) != 2) return p.fail("its depth must be one element, its values two");
  EDGEORT_TRY(value_of(p, 1, &depth));
  int axis;
  EDGEORT_TRY(axis_of(p, p.params<AxisParams>().axis, indices.rank + 1, &axis));
  if (indices.rank == kMaxRank) return p.fail("its indices have rank %d; the limit is %d", indices.rank, kMaxRank - 1);
  i64 dims[kMaxRank];
  for (int d = 0; d <= indices.rank; ++d) {
    dims[d] = d < axis ? indices.dims[d] : d == axis ? integer_at(p.in(1), depth, 0) : indices.dims[d - 1];
  }
  return p.set(0, values.dtype, dims, indices.rank + 1);
}

void run_onehot(Run& r) {
  const Tensor &indices = r.in(0), &out = r.out(0);
  const i64 given = r.params<AxisParams>().axis;
  const int axis = static_cast<int>(given < 0 ? given + out.rank : given);
  const i64 depth = out.dims[axis], inner = count(out, axis + 1, out.rank);
  for_size(size_of(out.dtype), [&](auto zero) {
    using T = decltype(zero);
    const T *values = r.in(2).as<const T>(), off = values[0], on = values[1];
    T* to = out.as<T>();
    for (i64 i = 0; i < count(out); ++i) to[i] = off;
    for (i64 i = 0; depth && i < count(indices); ++i) {
      i64 at = integer_at(indices, indices.data, i);
      if (at < -depth || at >= depth) continue;
      if (at < 0) at += depth;
      to[(i / inner * depth + at) * inner + i % inner] = on;
    }
  });
}

}  // namespace

extern const OpDef kNonZero, kCompress, kOneHot;
const OpDef kNonZero = {"NonZero", 0, prepare_nonzero, nothing};
const OpDef kCompress = {"Compress", sizeof(AxisParams), prepare_compress, run_compress};
const OpDef kOneHot = {"OneHot", sizeof(AxisParams), prepare_onehot, run_onehot};

}  // namespace edgeort
