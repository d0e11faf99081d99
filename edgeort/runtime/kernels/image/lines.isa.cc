// The passes over lines and columns, for one ISA level.
#include "lines.h"

#include "../../simd/vec.h"

namespace edgeort {
namespace {

constexpr int kStep = 2 * kLanes;  // elements of a column pass that are under way at a time
using Ints = Vec<i32, kStep>;
using Floats = Vec<f32, kStep>;
using Quad = Vec<i32, 4>;
using Share = Vec<f32, 4>;
using QuadBytes = Vec<u8, 4>;

template <class V>
EDGEORT_INLINE V limited(V x, i32 lo, i32 hi) {
  const V low = V{} + lo, high = V{} + hi;
  x = x < low ? low : x;
  return x > high ? high : x;
}

EDGEORT_INLINE u8 byte_of(i32 x) { return static_cast<u8>(x < 0 ? 0 : x > 255 ? 255 : x); }

// ---- along a line ----------------------------------------------------------------------------------------------

// A pixel's numbers are stored as four: what is too many the next pixel writes over, and behind the last one there is room.
EDGEORT_INLINE void put(u8* to, Quad sum) {
  store(to, __builtin_convertvector(limited((sum + (1 << (kPillowBits - 1))) >> kPillowBits, 0, 255), QuadBytes));
}
EDGEORT_INLINE void put(i32* to, Quad sum) { store(to, sum); }
EDGEORT_INLINE void put(u8* to, i32 sum) { *to = byte_of((sum + (1 << (kPillowBits - 1))) >> kPillowBits); }
EDGEORT_INLINE void put(i32* to, i32 sum) { *to = sum; }

// The first pixels, of which four bytes may be read at each tap; returns how many. kTaps: as many as all have, or 0.
template <int kChannels, int kTaps, class T>
i64 quad_sums(const u8* line, i64 end, const Taps& taps, T* out) {
  const i64 count = taps.count;
  for (i64 i = 0; i < count; ++i) {
    const u8* at = line + taps.first[i] * i64{kChannels};
    const i32* weight = static_cast<const i32*>(taps.weight) + i * taps.taps;
    const i64 used = kTaps ? kTaps : taps.used[i];
    if (at - line + (used - 1) * kChannels + 4 > end) return i;
    Quad sum = {};
    for (i64 t = 0; t < used; ++t) sum += __builtin_convertvector((load_as<QuadBytes>(at + t * kChannels)), Quad) * (Quad{} + weight[t]);
    put(out + i * kChannels, sum);
  }
  return count;
}

template <int kChannels, class T>
void sums(const u8* line, i64 spare, const Taps& taps, T* out) {
  const i64 end = taps.inputs * kChannels + spare;
  i64 i = 0;
  if (kChannels > 1) {  // weights that are not used are 0
    i = taps.taps == 2   ? quad_sums<kChannels, 2>(line, end, taps, out)
        : taps.taps == 4 ? quad_sums<kChannels, 4>(line, end, taps, out)
                         : quad_sums<kChannels, 0>(line, end, taps, out);
  }
  for (; i < taps.count; ++i) {
    const u8* at = line + taps.first[i] * i64{kChannels};
    const i32* weight = static_cast<const i32*>(taps.weight) + i * taps.taps;
    i32 sum[kChannels] = {};
    for (i64 t = 0; t < taps.used[i]; ++t) {
      for (int c = 0; c < kChannels; ++c) sum[c] += weight[t] * at[t * kChannels + c];
    }
    for (int c = 0; c < kChannels; ++c) put(out + i * kChannels + c, sum[c]);
  }
}

template <class T>
void across_sums(const u8* line, i64 spare, const Taps& taps, int channels, void* out) {
  T* to = static_cast<T*>(out);
  if (channels == 1) return sums<1>(line, spare, taps, to);
  if (channels == 3) return sums<3>(line, spare, taps, to);
  sums<4>(line, spare, taps, to);
}

template <int kChannels>
void copies(const u8* line, i64 spare, const Taps& taps, u8* out) {
  constexpr int kMoved = kChannels == 3 ? 4 : kChannels;
  const i64 end = taps.inputs * kChannels + spare;
  i64 i = 0;
  for (; i < taps.count && taps.first[i] * i64{kChannels} + kMoved <= end; ++i) {
    __builtin_memcpy(out + i * kChannels, line + taps.first[i] * i64{kChannels}, kMoved);
  }
  for (; i < taps.count; ++i) __builtin_memcpy(out + i * kChannels, line + taps.first[i] * i64{kChannels}, kChannels);
}

void across_nearest(const u8* line, i64 spare, const Taps& taps, int channels, void* out) {
  u8* bytes = static_cast<u8*>(out);
  if (channels == 1) return copies<1>(line, spare, taps, bytes);
  if (channels == 3) return copies<3>(line, spare, taps, bytes);
  copies<4>(line, spare, taps, bytes);
}

template <int kChannels>
void shares(const u8* line, i64 spare, const Taps& taps, f32* out) {
  const i64 end = taps.inputs * kChannels + spare;
  for (i64 i = 0; i < taps.count; ++i) {
    const f32* weight = static_cast<const f32*>(taps.weight) + i * taps.taps;
    const u8* at = line + taps.first[i] * i64{kChannels};
    const i64 used = taps.used[i];
    if (kChannels > 1 && at - line + (used - 1) * kChannels + 4 <= end) {
      Share sum = {};
      for (i64 t = 0; t < used; ++t)
        sum += (Share{} + weight[t]) * __builtin_convertvector((load_as<QuadBytes>(at + t * kChannels)), Share);
      store(out + i * kChannels, sum);
      continue;
    }
    f32 sum[kChannels] = {};
    for (i64 t = 0; t < used; ++t) {
      for (int c = 0; c < kChannels; ++c) sum[c] += weight[t] * static_cast<f32>(at[t * kChannels + c]);
    }
    for (int c = 0; c < kChannels; ++c) out[i * kChannels + c] = sum[c];
  }
}

void across_area(const u8* line, i64 spare, const Taps& taps, int channels, void* out) {
  f32* floats = static_cast<f32*>(out);
  if (channels == 1) return shares<1>(line, spare, taps, floats);
  if (channels == 3) return shares<3>(line, spare, taps, floats);
  shares<4>(line, spare, taps, floats);
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

EDGEORT_KERNEL(LineKernels, image_pillow, {across_sums<u8>, down_pillow})
EDGEORT_KERNEL(LineKernels, image_linear, {across_sums<i32>, down_linear})
EDGEORT_KERNEL(LineKernels, image_bicubic, {across_sums<i32>, down_bicubic})
EDGEORT_KERNEL(LineKernels, image_nearest, {across_nearest, down_nearest})
EDGEORT_KERNEL(LineKernels, image_area, {across_area, down_area})
EDGEORT_KERNEL(LineKernels, image_whole, {across_sums<i32>, down_whole})

}  // namespace edgeort
