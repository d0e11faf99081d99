// MaxPool with its second output (where each maximum came from), and MaxUnpool, which puts values back there. Channels first.
#include <string.h>

#include "window.h"

namespace edgeort {
namespace {

struct State {
  Window window;
  bool column_major;
};

// The larger of two, the first of equals; NaN when either is NaN.
template <class T>
bool replaces(T best, T x) {
  return best < x || x != x;
}

template <class T>
void pool_plane(const State& s, const T* x, T lowest, i64 plane, T* y, i64* indices) {
  const Window& w = s.window;
  for (i64 o = 0; o < w.out_pixels(); ++o) {
    const Window::Range r0 = w.range(0, o / w.out[2] / w.out[1]), r1 = w.range(1, o / w.out[2] % w.out[1]), r2 = w.range(2, o % w.out[2]);
    T best = lowest;
    i64 at[3] = {-1, 0, 0};
    for (i64 k0 = r0.first; k0 < r0.last; ++k0) {
      for (i64 k1 = r1.first; k1 < r1.last; ++k1) {
        for (i64 k2 = r2.first; k2 < r2.last; ++k2) {
          const i64 i0 = r0.start + k0 * w.dilation[0], i1 = r1.start + k1 * w.dilation[1], i2 = r2.start + k2 * w.dilation[2];
          const T value = x[(i0 * w.in[1] + i1) * w.in[2] + i2];
          if (at[0] >= 0 && !replaces(best, value)) continue;
          best = value;
          at[0] = i0, at[1] = i1, at[2] = i2;
        }
      }
    }
    y[o] = best;
    const i64 row_major = (at[0] * w.in[1] + at[1]) * w.in[2] + at[2], column_major = (at[2] * w.in[1] + at[1]) * w.in[0] + at[0];
    indices[o] = plane * w.in_pixels() + (at[0] < 0 ? 0 : s.column_major ? column_major : row_major);
  }
}

Status prepare_pool(Prepare& p) {
  const auto& params = p.params<PoolParams>();
  if (!p.has(0) || !p.wants(0) || !p.wants(1)) return p.fail("it needs an input and two outputs");
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  const DType dtype = p.in(0).dtype;
  if (dtype != DType::f32 && dtype != DType::u8 && dtype != DType::i8) return p.fail("its input must be float32, uint8 or int8");
  if (!params.channels_first) return p.fail("indices are defined on channels-first tensors");
  EDGEORT_TRY(s->window.bind(p, params, dtype));
  s->column_major = params.column_major;
  return p.set(1, DType::i64, p.out(0).dims, p.out(0).rank);
}

template <class T>
void run_pool(const Run& r, T lowest) {
  const State& s = r.state<State>();
  const T* x = r.in(0).as<const T>();
  T* y = r.out(0).as<T>();
  i64* indices = r.out(1).as<i64>();
  const i64 in = s.window.in_pixels(), out = s.window.out_pixels();
  r.ranges(s.window.batch, max_of(1, 4096 / max_of(1, out * s.window.taps())), [&](i64 begin, i64 end, int) {
    for (i64 plane = begin; plane < end; ++plane) pool_plane<T>(s, x + plane * in, lowest, plane, y + plane * out, indices + plane * out);
  });
}

void run(Run& r) {
  if (count(r.out(0)) == 0) return;
  switch (r.in(0).dtype) {
    case DType::u8:
      return run_pool<u8>(r, 0);
    case DType::i8:
      return run_pool<i8>(r, -128);
    default:
      return run_pool<f32>(r, -__builtin_inff());
  }
}

struct UnpoolState {
  i64 rank, inferred[kMaxRank];
};

Status prepare_unpool(Prepare& p) {
  const auto& params = p.params<PoolParams>();
  if (!p.has(0) || !p.has(1) || !p.wants(0)) return p.fail("it needs values, indices and an output");
  const Tensor& x = p.in(0);
  if (x.dtype != DType::f32 || p.in(1).dtype != DType::i64) return p.fail("values must be float32 and indices int64");
  if (params.spatial < 1 || params.spatial > 3 || x.rank != params.spatial + 2 || count(p.in(1)) != count(x)) {
    return p.fail("its inputs' shapes do not fit");
  }
  auto* s = p.state<UnpoolState>();
  if (!s) return p.out_of_memory();
  s->rank = x.rank;
  for (int d = 0; d < x.rank; ++d) {
    const int k = d - 2 + 3 - params.spatial;
    s->inferred[d] =
        d < 2 ? x.dims[d] : (x.dims[d] - 1) * params.stride[k] - (i64{params.pad_begin[k]} + params.pad_end[k]) + params.kernel[k];
  }
  EDGEORT_TRY(p.set(0, DType::f32, s->inferred, x.rank));  // the space that indices count in must itself be sane
  if (!p.has(2)) return Status::ok;
  if (p.in(2).dtype != DType::i64 || count(p.in(2)) != x.rank) return p.fail("its output shape must have %d values", x.rank);
  const void* shape = p.value(2);
  return shape ? p.set(0, DType::f32, static_cast<const i64*>(shape), x.rank) : p.wait();
}

// Indices count in the inferred shape, whose elements stand at the same coordinates of the output; others are dropped.
void run_unpool(Run& r) {
  const auto& s = r.state<UnpoolState>();
  const Tensor& y = r.out(0);
  const f32* x = r.in(0).as<const f32>();
  const i64* indices = r.in(1).as<const i64>();
  memset(y.data, 0, bytes(y));
  i64 total = 1;
  for (int d = 0; d < s.rank; ++d) total *= s.inferred[d];
  for (i64 i = 0, n = count(r.in(0)); i < n; ++i) {
    if (indices[i] < 0 || indices[i] >= total) continue;
    i64 rest = indices[i], offset = 0, stride = 1;
    bool inside = true;
    for (int d = static_cast<int>(s.rank) - 1; d >= 0; --d) {
      const i64 at = rest % s.inferred[d];
      rest /= s.inferred[d];
      inside &= at < y.dims[d];
      offset += at * stride;
      stride *= y.dims[d];
    }
    if (inside) y.as<f32>()[offset] = x[i];
  }
}

}  // namespace

extern const OpDef kMaxPoolIndices;
const OpDef kMaxPoolIndices = {"MaxPoolIndices", sizeof(PoolParams), prepare_pool, run};

extern const OpDef kMaxUnpool;
const OpDef kMaxUnpool = {"MaxUnpool", sizeof(PoolParams), prepare_unpool, run_unpool};

}  // namespace edgeort
