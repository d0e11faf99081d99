// Resize: inputs x, region of interest, scales, sizes (the last three optional). Axes that keep their size are left alone; the
// others are interpolated one after the other, outermost first, the last two row by row.
#include "resize.h"

#include <string.h>

#include "axis.h"

namespace edgeort {

EDGEORT_KERNELS(InterpolateFn, resize_interpolate)

namespace {

struct State {
  InterpolateFn interpolate;
  int n_axes;
  ResizeAxis axes[kMaxRank];
  u64 buffer_bytes;  // of each intermediate result
};

// The axes that scales, sizes and the region name.
Status named_axes(Prepare& p, const ResizeParams& params, i64* axes, i64* n) {
  const int rank = p.in(0).rank;
  *n = params.axes_count < 0 ? rank : params.axes_count;
  if (*n > rank) return p.fail("it names more axes than its input has");
  for (i64 i = 0; i < *n; ++i) {
    const i64 axis = params.axes_count < 0 ? i : params.axes[i] < 0 ? params.axes[i] + rank : params.axes[i];
    if (axis < 0 || axis >= rank) return p.fail("axis %lld of a tensor of rank %d", static_cast<long long>(params.axes[i]), rank);
    axes[i] = axis;
  }
  return Status::ok;
}

bool given(Prepare& p, int input) { return p.has(input) && count(p.in(input)) > 0; }

Status from_sizes(Prepare& p, const ResizeParams& params, const i64* sizes, const i64* named, i64 n, ResizeAxis* all) {
  f64 common = 0;
  for (i64 i = 0; i < n; ++i) {
    ResizeAxis& a = all[named[i]];
    if (sizes[i] < 0) return p.fail("size %lld is %lld", static_cast<long long>(i), static_cast<long long>(sizes[i]));
    a.out = sizes[i];
    a.scale = static_cast<f32>(a.out) / static_cast<f32>(a.in);
    const f64 scale = static_cast<f64>(a.out) / static_cast<f64>(a.in);
    if (i == 0 || (params.policy == 1 ? scale < common : scale > common)) common = scale;
  }
  for (i64 i = 0; params.policy && i < n; ++i) {  // 1: not larger, 2: not smaller than asked, with one scale for all
    ResizeAxis& a = all[named[i]];
    const f64 size = common * static_cast<f64>(a.in) + 0.5;
    if (!(size < 1e12)) return p.fail("its output would be too large");
    a.out = static_cast<i64>(size);
    a.scale = static_cast<f32>(common);
  }
  return Status::ok;
}

Status from_scales(Prepare& p, const f32* scales, const i64* named, i64 n, ResizeAxis* all) {
  for (i64 i = 0; i < n; ++i) {
    ResizeAxis& a = all[named[i]];
    a.scale = scales[i];
    const f32 size = a.scale * static_cast<f32>(a.in);
    if (!(a.scale > 0 && size < 1e12f)) return p.fail("scale %lld is %g", static_cast<long long>(i), static_cast<f64>(scales[i]));
    a.out = static_cast<i64>(size);
  }
  return Status::ok;
}

// Fills `all` (an entry an axis of the input) from the operands' values.
Status sizes_of(Prepare& p, const ResizeParams& params, ResizeAxis* all) {
  const Tensor& x = p.in(0);
  i64 named[kMaxRank], n;
  EDGEORT_TRY(named_axes(p, params, named, &n));
  for (int d = 0; d < x.rank; ++d) all[d] = {d, x.dims[d], x.dims[d], 1, 1.0f, 0.0f, 1.0f, nullptr, nullptr, nullptr};
  if (params.transform == static_cast<i32>(Transform::tf_crop_and_resize) && given(p, 1)) {
    if (p.in(1).dtype != DType::f32 || count(p.in(1)) != 2 * n)
      return p.fail("its region must be %lld float32", static_cast<long long>(2 * n));
    const auto* roi = static_cast<const f32*>(p.value(1));
    if (!roi) return p.wait();
    for (i64 i = 0; i < n; ++i) all[named[i]].start = roi[i], all[named[i]].end = roi[n + i];
  }
  const int operand = given(p, 3) ? 3 : 2;
  if (!given(p, operand)) return p.fail("it has neither scales nor sizes");
  if (p.in(operand).dtype != (operand == 3 ? DType::i64 : DType::f32) || count(p.in(operand)) != n) {
    return p.fail("it needs %lld float32 scales or int64 sizes", static_cast<long long>(n));
  }
  const void* value = p.value(operand);
  if (!value) return p.wait();
  return operand == 3 ? from_sizes(p, params, static_cast<const i64*>(value), named, n, all)
                      : from_scales(p, static_cast<const f32*>(value), named, n, all);
}

// Keeps the axes that change, with tables behind the state.
Status tables(Prepare& p, const ResizeParams& params, const ResizeAxis* all, State** state) {
  const bool crop = params.transform == static_cast<i32>(Transform::tf_crop_and_resize);
  State s = {resize_interpolate(p.isa()), 0, {}, 0};
  u64 size = sizeof(State);
  for (int d = 0; d < p.in(0).rank; ++d) {
    ResizeAxis a = all[d];
    if (a.in == a.out && a.scale == 1.0f && (!crop || (a.start == 0.0f && a.end == 1.0f))) continue;
    if (a.in == 0) return p.fail("dimension %d is empty and cannot be resized", d);
    a.taps = a.count_taps(params);
    constexpr i64 kMost = i64{1} << 32;
    if (a.taps > kMost || a.out > kMost || a.taps * a.out > kMost) return p.fail("dimension %d is too large to be resized", d);
    size += static_cast<u64>(a.out) * (static_cast<u64>(a.taps) * (sizeof(i64) + sizeof(f32)) + 1) + 16;
    s.axes[s.n_axes++] = a;
  }
  u8* memory = static_cast<u8*>(p.state(size));
  if (!memory) return p.out_of_memory();
  u8* at = memory + sizeof(State);
  for (int i = 0; i < s.n_axes; ++i) {
    ResizeAxis& a = s.axes[i];
    const size_t entries = static_cast<size_t>(a.out * a.taps);
    a.index = reinterpret_cast<i64*>(at);
    a.weight = reinterpret_cast<f32*>(a.index + entries);
    a.outside = reinterpret_cast<u8*>(a.weight + entries);
    at = a.outside + a.out;
    at += (8 - reinterpret_cast<uintptr_t>(at) % 8) % 8;
    a.fill(params);
  }
  memcpy(memory, &s, sizeof(s));
  *state = reinterpret_cast<State*>(memory);
  return Status::ok;
}

// Work space: intermediate results where more than two axes change, and one blended row a thread.
Status buffers(Prepare& p, State& s) {
  if (s.n_axes < 2) return Status::ok;
  Tensor t = p.in(0);
  for (int i = 0; i + 2 < s.n_axes; ++i) {
    t.dims[s.axes[i].axis] = s.axes[i].out;
    i64 elements = 1;
    for (int d = 0; d < t.rank; ++d) {
      if (__builtin_mul_overflow(elements, t.dims[d], &elements) || elements > i64{1} << 40) return p.fail("it is too large between axes");
    }
    const u64 size = static_cast<u64>(elements) * size_of(t.dtype);
    s.buffer_bytes = size > s.buffer_bytes ? size : s.buffer_bytes;
  }
  p.scratch((s.n_axes > 3 ? 2 : 1) * s.buffer_bytes);
  p.thread_scratch(static_cast<u64>(count(t, s.axes[s.n_axes - 2].axis + 1, t.rank)) * sizeof(f32));
  return Status::ok;
}

Status prepare(Prepare& p) {
  const auto& params = p.params<ResizeParams>();
  if (!p.has(0) || !p.wants(0)) return p.fail("it needs an input and an output");
  const Tensor& x = p.in(0);
  const bool nearest = params.mode == static_cast<i32>(ResizeMode::nearest);
  if (params.mode < 0 || params.mode > 2 || params.transform < 0 || params.transform > 6 || params.nearest < 0 || params.nearest > 4 ||
      params.axes_count > kMaxRank) {
    return p.fail("its parameters are malformed");
  }
  const bool crop = params.transform == static_cast<i32>(Transform::tf_crop_and_resize);
  if ((!nearest || crop) && x.dtype != DType::f32) return p.fail("its input must be float32");
  ResizeAxis all[kMaxRank];
  EDGEORT_TRY(sizes_of(p, params, all));
  i64 dims[kMaxRank];
  for (int d = 0; d < x.rank; ++d) dims[d] = all[d].out;
  EDGEORT_TRY(p.set(0, x.dtype, dims, x.rank));
  if (count(p.out(0)) == 0) return p.state<State>() ? Status::ok : p.out_of_memory();
  State* s;
  EDGEORT_TRY(tables(p, params, all, &s));
  if (s->n_axes == 0) p.alias(0, 0);
  if (nearest && s->n_axes > 0 && s->axes[s->n_axes - 1].axis == x.rank - 2) {
    p.reads_slice(0);
    if (!crop) p.writes_slice(0);
  }
  return nearest ? Status::ok : buffers(p, *s);
}

// Copies `n` elements of `size` bytes, `step` apart in y, element j from index[j] of those that are `x_step` apart in x.
void gather(const u8* x, i64 x_step, u8* y, i64 step, const i64* index, i64 n, i64 size) {
  if (size == 4 && x_step == 4 && step == 4) {
    for (i64 j = 0; j < n; ++j) reinterpret_cast<u32*>(y)[j] = reinterpret_cast<const u32*>(x)[index[j]];
  } else if (size == 1 && x_step == 1 && step == 1) {
    for (i64 j = 0; j < n; ++j) y[j] = x[index[j]];
  } else {
    for (i64 j = 0; j < n; ++j) memcpy(y + j * step, x + index[j] * x_step, static_cast<size_t>(size));
  }
}

void run_nearest(const Run& r, const State& s) {
  const Tensor& x = r.in(0);
  const Tensor& y = r.out(0);
  const ResizeAxis& last = s.axes[s.n_axes - 1];
  const ResizeAxis* of[kMaxRank] = {};
  for (int i = 0; i < s.n_axes; ++i) of[s.axes[i].axis] = &s.axes[i];
  const i64 size = static_cast<i64>(size_of(x.dtype)), pixel = count(x, last.axis + 1, x.rank) * size;
  const i64 x_step = x.pitch ? x.pitch * size : pixel, y_step = y.pitch ? y.pitch * size : pixel;
  r.ranges(count(y, 0, last.axis), max_of(1, 65536 / max_of(1, last.out * pixel)), [&](i64 begin, i64 end, int) {
    for (i64 row = begin, before = -1; row < end; ++row) {
      i64 from = 0, stride = 1, rest = row;
      for (int d = last.axis - 1; d >= 0; --d) {
        const i64 at = rest % y.dims[d];
        from += (of[d] ? of[d]->index[at] : at) * stride;
        stride *= x.dims[d];
        rest /= y.dims[d];
      }
      u8* to = y.as<u8>() + row * last.out * y_step;
      if (from == before && y_step == pixel) {
        memcpy(to, to - last.out * pixel, static_cast<size_t>(last.out * pixel));
      } else {
        gather(x.as<const u8>() + from * last.in * x_step, x_step, to, y_step, last.index, last.out, pixel);
      }
      before = from;
    }
  });
}

// One axis of x [outer, a.in, inner].
void run_axis(const Run& r, const State& s, const ResizeAxis& a, const f32* x, i64 outer, i64 inner, f32* y) {
  const i64 step = min_of(a.out, max_of(1, 4096 / inner)), blocks = ceil_div(a.out, step);
  r.parallel(outer * blocks, [&](i64 task, int) {
    const i64 o = task / blocks, j = task % blocks * step;
    s.interpolate({x + o * a.in * inner, inner, a.index + j * a.taps, a.weight + j * a.taps, a.taps, min_of(step, a.out - j),
                   y + (o * a.out + j) * inner});
  });
}

// Two axes of x [outer, a.in, middle, b.in, inner], row by row.
void run_pair(const Run& r, const State& s, const f32* x, i64 outer, i64 middle, i64 inner, f32* y) {
  const ResizeAxis& a = s.axes[s.n_axes - 2];
  const ResizeAxis& b = s.axes[s.n_axes - 1];
  const i64 row_in = middle * b.in * inner, row_out = middle * b.out * inner;
  r.ranges(outer * a.out, max_of(1, 16384 / max_of(1, row_in + row_out)), [&](i64 begin, i64 end, int thread) {
    f32* row = static_cast<f32*>(r.thread_scratch(thread));
    for (i64 i = begin; i < end; ++i) {
      const i64 o = i / a.out, j = i % a.out;
      s.interpolate({x + o * a.in * row_in, row_in, a.index + j * a.taps, a.weight + j * a.taps, a.taps, 1, row});
      for (i64 m = 0; m < middle; ++m) {
        s.interpolate({row + m * b.in * inner, inner, b.index, b.weight, b.taps, b.out, y + i * row_out + m * b.out * inner});
      }
    }
  });
}

void run_interpolated(const Run& r, const State& s) {
  Tensor t = r.in(0);
  u8* buffer = static_cast<u8*>(r.scratch());
  for (int i = 0; i < s.n_axes; ++i) {
    const ResizeAxis& a = s.axes[i];
    const f32* x = t.as<const f32>();
    const i64 outer = count(t, 0, a.axis);
    if (i + 2 == s.n_axes) {
      const ResizeAxis& b = s.axes[i + 1];
      return run_pair(r, s, x, outer, count(t, a.axis + 1, b.axis), count(t, b.axis + 1, t.rank), r.out(0).as<f32>());
    }
    f32* y = i + 1 == s.n_axes ? r.out(0).as<f32>() : reinterpret_cast<f32*>(buffer + static_cast<u64>(i % 2) * s.buffer_bytes);
    run_axis(r, s, a, x, outer, count(t, a.axis + 1, t.rank), y);
    t.dims[a.axis] = a.out;
    t.data = y;
  }
}

// tf_crop_and_resize: what lies outside the input along any axis.
void fill_outside(const Run& r, const State& s, f32 value) {
  const Tensor& y = r.out(0);
  for (int i = 0; i < s.n_axes; ++i) {
    const ResizeAxis& a = s.axes[i];
    const i64 inner = count(y, a.axis + 1, y.rank);
    for (i64 row = 0, rows = count(y, 0, a.axis + 1); row < rows; ++row) {
      if (!a.outside[row % a.out]) continue;
      for (i64 k = 0; k < inner; ++k) y.as<f32>()[row * inner + k] = value;
    }
  }
}

void run(Run& r) {
  const auto& params = r.params<ResizeParams>();
  const State& s = r.state<State>();
  const Tensor& y = r.out(0);
  if (count(y) == 0) return;
  if (params.mode == static_cast<i32>(ResizeMode::nearest)) {
    run_nearest(r, s);
  } else {
    run_interpolated(r, s);
  }
  if (params.transform == static_cast<i32>(Transform::tf_crop_and_resize)) fill_outside(r, s, params.extrapolation);
}

}  // namespace

extern const OpDef kResize;
const OpDef kResize = {"Resize", sizeof(ResizeParams), prepare, run};

}  // namespace edgeort
