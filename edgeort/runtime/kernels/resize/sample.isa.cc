// GridSample for one ISA level. Multiplications and additions are rounded one by one, in the order written here.
#include "sample.h"

#include "../../simd/gather.h"
#include "../../simd/vec.h"

namespace edgeort {
namespace {

// Of each place of a block, along one axis: a negative index reads zero.
struct AxisTaps {
  i32 index[kMostTaps][kPlaces];
  f32 weight[kMostTaps][kPlaces];
};

// Reflects x at the borders until it lies between them.
EDGEORT_INLINE vf reflect(vf x, f32 low, f32 high) {
  const f32 range = high - low;
  if (!(range > 0)) return splat(low);
  const vi below = x < splat(low);
  const vf beyond = select(below, low - x, x - high);
  const vf turns = trunc(beyond / range), rest = beyond - turns * range;
  const vi even = turns - 2.0f * floor(turns * 0.5f) == splat(0.0f);
  const vf back = select(~(even ^ below), low + rest, high - rest);
  return select(~below & (x <= splat(high)), x, back);
}

EDGEORT_INLINE vi place(const Sampling& s, vf x, i64 size) {
  const i32 last = static_cast<i32>(size) - 1;
  const f32 low = s.align_corners ? 0.0f : -0.5f, high = s.align_corners ? static_cast<f32>(last) : static_cast<f32>(size) - 0.5f;
  const vi i = to_int_trunc(s.padding == Padding::reflection ? reflect(x, low, high) : x);
  const vi inside = select(i < 0, vi{}, select(i > last, vi{} + last, i));
  return s.padding == Padding::zeros ? select((i < 0) | (i > last), vi{} - 1, inside) : inside;
}

// Keys 1981 with a = -0.75, for the tap `distance` away.
EDGEORT_INLINE vf cubic(vf distance) {
  constexpr f32 a = -0.75f;
  const vf x = abs(distance);
  return select(x <= splat(1.0f), ((a + 2) * x - (a + 3)) * x * x + 1.0f, ((a * x - 5 * a) * x + 8 * a) * x - 4 * a);
}

// The taps of kLanes places from `at` on; `normal` are their coordinates along an axis of `size` elements.
EDGEORT_INLINE void fill(const Sampling& s, vf normal, i64 size, AxisTaps& taps, i64 at) {
  const f32 length = static_cast<f32>(size);
  vf x = s.align_corners ? (normal + 1.0f) / 2.0f * (length - 1) : ((normal + 1.0f) * length - 1.0f) / 2.0f;
  constexpr f32 kFar = 1e9f;  // beyond every image; NaN goes there too
  x = select(x > splat(-kFar), vmin(x, splat(kFar)), splat(-kFar));
  if (s.mode == SampleMode::nearest) {
    store(taps.index[0] + at, place(s, round_even(x), size));
    store(taps.weight[0] + at, splat(1.0f));
    return;
  }
  const f32 low = s.align_corners ? 0.0f : -0.5f, high = s.align_corners ? length - 1 : length - 0.5f;
  if (s.padding == Padding::border && s.mode == SampleMode::linear) x = clip(x, splat(0.0f), splat(length - 1));
  if (s.padding == Padding::reflection) x = reflect(x, low, high);
  const vf whole = floor(x), rest = x - whole;
  const bool linear = s.mode == SampleMode::linear;
  for (int i = 0; i < s.taps(); ++i) {
    const f32 step = static_cast<f32>(linear ? i : i - 1);
    store(taps.index[i] + at, place(s, whole + step, size));
    store(taps.weight[i] + at, !linear ? cubic(step - rest) : i ? rest : 1.0f - rest);
  }
}

// Where in an image each place's taps are, those of the last axis next to each other.
void combine(const Sampling& s, const AxisTaps (&axes)[3], i32* offsets) {
  const int t = s.taps(), planes = s.spatial == 3 ? t : 1;
  for (int i = 0; i < planes; ++i) {
    for (int j = 0; j < t; ++j) {
      for (int k = 0; k < t; ++k, offsets += kPlaces) {
        for (i64 at = 0; at < kPlaces; at += kLanes) {
          const vi a = s.spatial == 3 ? load(axes[0].index[i] + at) : vi{}, b = load(axes[1].index[j] + at),
                   c = load(axes[2].index[k] + at);
          const vi where = (a * static_cast<i32>(s.in[1]) + b) * static_cast<i32>(s.in[2]) + c;
          store(offsets + at, select((a | b | c) < 0, vi{} - 1, where));
        }
      }
    }
  }
}

template <int kTaps, bool kVolume>
void channels_of(const AxisTaps (&axes)[3], const i32* offsets, const f32* x, i64 image, f32* y, i64 channels, i64 pixels, i64 n) {
  for (i64 c = 0; c < channels; ++c, x += image, y += pixels) {
    for (i64 at = 0; at < n; at += kLanes) {
      vf volume = splat(0.0f);
      const i32* from = offsets + at;
#pragma clang loop unroll(full)
      for (int i = 0; i < (kVolume ? kTaps : 1); ++i) {
        vf plane = splat(0.0f);
#pragma clang loop unroll(full)
        for (int j = 0; j < kTaps; ++j) {
          vf line = splat(0.0f);
#pragma clang loop unroll(full)
          for (int k = 0; k < kTaps; ++k, from += kPlaces) line += load(axes[2].weight[k] + at) * gather(x, load(from));
          plane += load(axes[1].weight[j] + at) * line;
        }
        volume += kVolume ? load(axes[0].weight[i] + at) * plane : plane;
      }
      if (at + kLanes <= n) {
        store(y + at, volume);
      } else {
        store_n(y + at, volume, static_cast<int>(n - at));
      }
    }
  }
}

void sample(const Sampling& s, const f32* x, const f32* grid, f32* y, i64 channels, i64 pixels, i64 n, void* scratch) {
  auto& axes = *static_cast<AxisTaps(*)[3]>(scratch);
  auto* offsets = reinterpret_cast<i32*>(&axes + 1);
  for (int d = 0; d < s.spatial; ++d) {
    f32 normal[kPlaces] = {};
    for (i64 i = 0; i < n; ++i) normal[i] = grid[i * s.spatial + d];
    for (i64 at = 0; at < kPlaces; at += kLanes) fill(s, load(normal + at), s.in[2 - d], axes[2 - d], at);
  }
  combine(s, axes, offsets);
  const auto run = [&](auto call) { call(axes, offsets, x, s.image(), y, channels, pixels, n); };
  if (s.spatial == 3) {
    run(s.mode == SampleMode::nearest ? channels_of<1, true> : s.mode == SampleMode::linear ? channels_of<2, true> : channels_of<4, true>);
  } else {
    run(s.mode == SampleMode::nearest  ? channels_of<1, false>
        : s.mode == SampleMode::linear ? channels_of<2, false>
                                       : channels_of<4, false>);
  }
}

}  // namespace

EDGEORT_KERNEL(SampleFn, resize_sample, sample)

}  // namespace edgeort
