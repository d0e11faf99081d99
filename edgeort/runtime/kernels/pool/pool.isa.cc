// Pooling for one ISA level.
#include "pool.h"

#include "../../simd/bytes.h"
#include "../../simd/lanes16.h"
#include "../../simd/math.h"

namespace edgeort {
namespace {

struct MaxOp {
  static constexpr bool kLong = false;
  static constexpr float kStart = -__builtin_inff();
  using Combine = Max;
  static EDGEORT_INLINE vf step(vf sum, vf x, vf) { return max_nan<vf>(sum, x); }
  static EDGEORT_INLINE vf end(vf sum, vf) { return sum; }
};

struct AverageOp {
  static constexpr bool kLong = false;
  static constexpr float kStart = 0.0f;
  using Combine = Add;
  static EDGEORT_INLINE vf step(vf sum, vf x, vf) { return sum + x; }
  static EDGEORT_INLINE vf end(vf sum, vf count) { return sum / count; }
};

struct L1Op {
  static constexpr bool kLong = false;
  static constexpr float kStart = 0.0f;
  using Combine = Add;
  static EDGEORT_INLINE vf step(vf sum, vf x, vf) { return sum + abs(x); }
  static EDGEORT_INLINE vf end(vf sum, vf) { return sum; }
};

struct L2Op {
  static constexpr bool kLong = false;
  static constexpr float kStart = 0.0f;
  using Combine = Add;
  static EDGEORT_INLINE vf step(vf sum, vf x, vf) { return fma(x, x, sum); }
  static EDGEORT_INLINE vf end(vf sum, vf) { return sqrt(sum); }
};

struct LpOp {
  static constexpr bool kLong = true;  // too much code to have it 16 times
  static constexpr float kStart = 0.0f;
  using Combine = Add;
  static EDGEORT_INLINE vf step(vf sum, vf x, vf p) { return sum + pow(abs(x), p); }
  static EDGEORT_INLINE vf end(vf sum, vf p) { return pow(sum, splat(1.0f) / p); }
};

// What kernels read: float32, or the canonical integers of a q8 as float32.
EDGEORT_INLINE vf read(const f32* x) { return load(x); }
EDGEORT_INLINE vf read(const q8* x) { return load_bytes(x) - splat(static_cast<f32>(kQ8Bias)); }
EDGEORT_INLINE vf read_n(const f32* x, int n) { return load_n(x, n); }
EDGEORT_INLINE vf read_n(const q8* x, int n) {
  q8 bytes[kLanes] = {};
  __builtin_memcpy(bytes, x, static_cast<size_t>(n));
  return read(bytes);
}

// A tap of an output whose taps lie `offset` bytes after the first one's.
template <class T>
EDGEORT_INLINE const T* tap_at(const void* tap, i64 offset) {
  return reinterpret_cast<const T*>(static_cast<const char*>(tap) + offset);
}

template <class Op, class T, int V>
EDGEORT_INLINE void block(const void* const* taps, i64 count, i64 offset, i64 c, vf value, f32* out) {
  vf sum[V];
#pragma clang loop unroll(full)
  for (int v = 0; v < V; ++v) sum[v] = splat(Op::kStart);
  for (i64 t = 0; t < count; ++t) {
    const T* x = tap_at<T>(taps[t], offset) + c;
#pragma clang loop unroll(full)
    for (int v = 0; v < V; ++v) sum[v] = Op::step(sum[v], read(x + v * kLanes), value);
  }
#pragma clang loop unroll(full)
  for (int v = 0; v < V; ++v) store(out + c + v * kLanes, Op::end(sum[v], value));
}

template <class Op, class T, int V>
void window(const WindowRun& window) {
  const WindowRun w = window;
  const vf value = splat(w.value);
  for (i64 p = 0; p < w.pixels; ++p) {
    const i64 offset = p * w.in_step;
    f32* out = reinterpret_cast<f32*>(static_cast<char*>(w.out) + p * w.out_step);
    i64 c = 0;
    for (; c + V * kLanes <= w.channels; c += V * kLanes) block<Op, T, V>(w.taps, w.count, offset, c, value, out);
    for (; c + kLanes <= w.channels; c += kLanes) block<Op, T, 1>(w.taps, w.count, offset, c, value, out);
    if (c == w.channels) continue;
    const int rest = static_cast<int>(w.channels - c);
    vf sum = splat(Op::kStart);
    for (i64 t = 0; t < w.count; ++t) sum = Op::step(sum, read_n(tap_at<T>(w.taps[t], offset) + c, rest), value);
    store_n(out + c, Op::end(sum, value), rest);
  }
}

template <class T>
void max_bytes(const WindowRun& window) {
  const WindowRun w = window;
  using V = Vec<T, 4 * kLanes>;
  constexpr T kLowest = static_cast<T>(-1) < 0 ? static_cast<T>(-128) : static_cast<T>(0);
  for (i64 p = 0; p < w.pixels; ++p) {
    const i64 offset = p * w.in_step;
    T* out = reinterpret_cast<T*>(static_cast<char*>(w.out) + p * w.out_step);
    i64 c = 0;
    for (; c + 4 * kLanes <= w.channels; c += 4 * kLanes) {
      V best = V{} + kLowest;
      for (i64 t = 0; t < w.count; ++t) best = __builtin_elementwise_max(best, load_as<V>(tap_at<T>(w.taps[t], offset) + c));
      store(out + c, best);
    }
    for (; c < w.channels; ++c) {
      T best = kLowest;
      for (i64 t = 0; t < w.count; ++t) {
        const T x = tap_at<T>(w.taps[t], offset)[c];
        best = x > best ? x : best;
      }
      out[c] = best;
    }
  }
}

template <bool kWhole, class T>
EDGEORT_INLINE vf read_channels(const T* x, int lanes) {
  return kWhole ? read(x) : read_n(x, lanes);
}

// One vector of channels (its first `lanes` unless kWhole) over all pixels.
template <class Op, bool kWhole, class T>
EDGEORT_INLINE vf global_vector(const T* x, i64 pixels, i64 stride, int lanes, vf value) {
  vf lane[16];
#pragma clang loop unroll(full)
  for (int i = 0; i < 16; ++i) lane[i] = splat(Op::kStart);
  if constexpr (Op::kLong) {
    for (i64 r = 0; r < pixels; ++r) lane[r % 16] = Op::step(lane[r % 16], read_channels<kWhole>(x + r * stride, lanes), value);
    return Op::end(tree16(lane, typename Op::Combine{}), value);
  }
  i64 r = 0;
  for (; r + 16 <= pixels; r += 16) {
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; ++i) lane[i] = Op::step(lane[i], read_channels<kWhole>(x + (r + i) * stride, lanes), value);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < 16; ++i) {
    if (r + i < pixels) lane[i] = Op::step(lane[i], read_channels<kWhole>(x + (r + i) * stride, lanes), value);
  }
  return Op::end(tree16(lane, typename Op::Combine{}), value);
}

template <class Op, class T>
void global(const void* from, i64 pixels, i64 stride, i64 channels, f32 number, f32* out) {
  const T* x = static_cast<const T*>(from);
  const vf value = splat(number);
  i64 c = 0;
  for (; c + kLanes <= channels; c += kLanes) store(out + c, global_vector<Op, true>(x + c, pixels, stride, kLanes, value));
  const int rest = static_cast<int>(channels - c);
  if (rest) store_n(out + c, global_vector<Op, false>(x + c, pixels, stride, rest, value), rest);
}

}  // namespace

EDGEORT_KERNEL(WindowFn, pool_max_f32, window<MaxOp, f32, 4>)
EDGEORT_KERNEL(WindowFn, pool_max_u8, max_bytes<u8>)
EDGEORT_KERNEL(WindowFn, pool_max_i8, max_bytes<i8>)
EDGEORT_KERNEL(WindowFn, pool_average, window<AverageOp, f32, 4>)
EDGEORT_KERNEL(WindowFn, pool_average_q8, window<AverageOp, q8, 4>)
EDGEORT_KERNEL(WindowFn, pool_l1, window<L1Op, f32, 4>)
EDGEORT_KERNEL(WindowFn, pool_l2, window<L2Op, f32, 4>)
EDGEORT_KERNEL(WindowFn, pool_lp, window<LpOp, f32, 1>)
EDGEORT_KERNEL(GlobalFn, pool_global_max, global<MaxOp, f32>)
EDGEORT_KERNEL(GlobalFn, pool_global_average, global<AverageOp, f32>)
EDGEORT_KERNEL(GlobalFn, pool_global_average_q8, global<AverageOp, q8>)
EDGEORT_KERNEL(GlobalFn, pool_global_l1, global<L1Op, f32>)
EDGEORT_KERNEL(GlobalFn, pool_global_l2, global<L2Op, f32>)
EDGEORT_KERNEL(GlobalFn, pool_global_lp, global<LpOp, f32>)

}  // namespace edgeort
