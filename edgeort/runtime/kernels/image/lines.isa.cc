// The passes over lines and columns, for one ISA level.
#include "lines.h"

#include "../../simd/vec.h"

namespace edgeort {
namespace {

constexpr int kStep = 2 * kLanes;  // elements of a column pass that are under way at a time
using Ints = Vec<i32, kStep>;
using Floats = Vec<f32, kStep>;
using Quad = Vec<i32, 4>;
using QuadBytes = Vec<u8, 4>;

template <class V>
EDGEORT_INLINE V limited(V x, i32 lo, i32 hi) {
  const V low = V{} + lo, high = V{} + hi;
  x = x < low ? low : x;
  return x > high ? high : x;
}

EDGEORT_INLINE u8 byte_of(i32 x) { return static_cast<u8>(x < 0 ? 0 : x > 255 ? 255 : x); }

// ---- along a line ----------------------------------------------------------------------------------------------

// Sums of one output pixel, in lanes. `quads`: four bytes may be read at each tap.
template <int kChannels>
EDGEORT_INLINE Quad sum_at(const u8* at, const i32* weight, i64 used, bool quads) {
  Quad sum = {};
  if (kChannels > 1 && quads) {
    for (i64 t = 0; t < used; ++t) sum += __builtin_convertvector((load_as<QuadBytes>(at + t * kChannels)), Quad) * (Quad{} + weight[t]);
    return sum;
  }
  for (i64 t = 0; t < used; ++t) {
    for (int c = 0; c < kChannels; ++c) sum[c] += weight[t] * at[t * kChannels + c];
  }
  return sum;
}

template <int kChannels, bool kBytes>
void sums(const u8* line, i64 spare, const Taps& taps, void* out) {
  const i64 end = taps.inputs * kChannels + spare;
  for (i64 i = 0; i < taps.count; ++i) {
    const i64 begin = taps.first[i] * i64{kChannels}, used = taps.used[i];
    const bool quads = begin + (used - 1) * kChannels + 4 <= end;
    const Quad sum = sum_at<kChannels>(line + begin, static_cast<const i32*>(taps.weight) + i * taps.taps, used, quads);
    for (int c = 0; c < kChannels; ++c) {
      if (kBytes) {
        static_cast<u8*>(out)[i * kChannels + c] = byte_of((sum[c] + (1 << (kPillowBits - 1))) >> kPillowBits);
      } else {
        static_cast<i32*>(out)[i * kChannels + c] = sum[c];
      }
    }
  }
}

template <bool kBytes>
void across_sums(const u8* line, i64 spare, const Taps& taps, int channels, void* out) {
  if (channels == 1) return sums<1, kBytes>(line, spare, taps, out);
  if (channels == 3) return sums<3, kBytes>(line, spare, taps, out);
  sums<4, kBytes>(line, spare, taps, out);
}

template <int kChannels>
void copies(const u8* line, const Taps& taps, u8* out) {
  for (i64 i = 0; i < taps.count; ++i) {
    for (int c = 0; c < kChannels; ++c) out[i * kChannels + c] = line[taps.first[i] * i64{kChannels} + c];
  }
}

void across_nearest(const u8* line, i64, const Taps& taps, int channels, void* out) {
  u8* bytes = static_cast<u8*>(out);
  if (channels == 1) return copies<1>(line, taps, bytes);
  if (channels == 3) return copies<3>(line, taps, bytes);
  copies<4>(line, taps, bytes);
}

template <int kChannels>
void shares(const u8* line, const Taps& taps, f32* out) {
  for (i64 i = 0; i < taps.count; ++i) {
    const f32* weight = static_cast<const f32*>(taps.weight) + i * taps.taps;
    const u8* at = line + taps.first[i] * i64{kChannels};
    f32 sum[kChannels] = {};
    for (i64 t = 0; t < taps.used[i]; ++t) {
      for (int c = 0; c < kChannels; ++c) sum[c] += weight[t] * static_cast<f32>(at[t * kChannels + c]);
    }
    for (int c = 0; c < kChannels; ++c) out[i * kChannels + c] = sum[c];
  }
}

void across_area(const u8* line, i64, const Taps& taps, int channels, void* out) {
  f32* floats = static_cast<f32*>(out);
  if (channels == 1) return shares<1>(line, taps, floats);
  if (channels == 3) return shares<3>(line, taps, floats);
  shares<4>(line, taps, floats);
}

// ---- down columns ----------------------------------------------------------------------------------------------

// out[i] = f(i, load), whole steps first; the last one's lines are copied, so that nothing behind them is read.
template <class T, class F>
EDGEORT_INLINE void steps(const Column& column, u8* out, const F& f) {
  using In = Vec<T, kStep>;
  using Out = Vec<u8, kStep>;
  i64 i = 0;
  for (; i + kStep <= column.n; i += kStep) {
    store(out + i, f([&](i64 t) __attribute__((always_inline)) { return load_as<In>(static_cast<const T*>(column.lines[t]) + i); }));
  }
  if (i == column.n) return;
  const size_t rest = static_cast<size_t>(column.n - i);
  const Out last = f([&](i64 t) __attribute__((always_inline)) {
    In x = {};
    __builtin_memcpy(&x, static_cast<const T*>(column.lines[t]) + i, rest * sizeof(T));
    return x;
  });
  __builtin_memcpy(out + i, &last, rest);
}

EDGEORT_INLINE Vec<u8, kStep> bytes_of(Ints x) { return __builtin_convertvector(limited(x, 0, 255), Vec<u8, kStep>); }

void down_pillow(const Column& column, u8* out) {
  const i32* weight = static_cast<const i32*>(column.weight);
  steps<u8>(column, out, [&](const auto& line) __attribute__((always_inline)) {
    Ints sum = Ints{} + (1 << (kPillowBits - 1));
    for (i64 t = 0; t < column.used; ++t) sum += __builtin_convertvector(line(t), Ints) * (Ints{} + weight[t]);
    return bytes_of(sum >> kPillowBits);
  });
}

// Two lines, of which the second may have the weight 0.
void down_linear(const Column& column, u8* out) {
  const i32* weight = static_cast<const i32*>(column.weight);
  steps<i32>(column, out, [&](const auto& line) __attribute__((always_inline)) {
    const Ints above = ((line(0) >> 4) * (Ints{} + weight[0])) >> 16;
    const Ints below = column.used < 2 ? Ints{} : ((line(1) >> 4) * (Ints{} + weight[1])) >> 16;
    return bytes_of((above + below + 2) >> 2);
  });
}

void down_bicubic(const Column& column, u8* out) {
  const i32* weight = static_cast<const i32*>(column.weight);
  steps<i32>(column, out, [&](const auto& line) __attribute__((always_inline)) {
    Ints sum = Ints{} + (1 << (2 * kOpencvBits - 1));
    for (i64 t = 0; t < column.used; ++t) sum += line(t) * (Ints{} + weight[t]);
    return bytes_of(sum >> (2 * kOpencvBits));
  });
}

void down_nearest(const Column& column, u8* out) { __builtin_memcpy(out, column.lines[0], static_cast<size_t>(column.n)); }

void down_area(const Column& column, u8* out) {
  const f32* weight = static_cast<const f32*>(column.weight);
  steps<f32>(column, out, [&](const auto& line) __attribute__((always_inline)) {
    Floats sum = {};
    for (i64 t = 0; t < column.used; ++t) sum += line(t) * (Floats{} + weight[t]);
    return bytes_of(__builtin_convertvector(round_even(sum), Ints));
  });
}

void down_whole(const Column& column, u8* out) {
  const f32 share = 1.0f / static_cast<f32>(column.pixels);
  steps<i32>(column, out, [&](const auto& line) __attribute__((always_inline)) {
    Ints sum = {};
    for (i64 t = 0; t < column.used; ++t) sum += line(t);
    if (column.four) return bytes_of((sum + 2) >> 2);
    return bytes_of(__builtin_convertvector(round_even(__builtin_convertvector(sum, Floats) * (Floats{} + share)), Ints));
  });
}

}  // namespace

EDGEORT_KERNEL(LineKernels, image_pillow, {across_sums<true>, down_pillow})
EDGEORT_KERNEL(LineKernels, image_linear, {across_sums<false>, down_linear})
EDGEORT_KERNEL(LineKernels, image_bicubic, {across_sums<false>, down_bicubic})
EDGEORT_KERNEL(LineKernels, image_nearest, {across_nearest, down_nearest})
EDGEORT_KERNEL(LineKernels, image_area, {across_area, down_area})
EDGEORT_KERNEL(LineKernels, image_whole, {across_sums<false>, down_whole})

}  // namespace edgeort
