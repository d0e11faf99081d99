// Transposes, block by block in registers.
#include "move.h"

#include "../../simd/transpose.h"

namespace edgeort {
namespace {

template <class T, int N>
EDGEORT_INLINE void block(T* out, int64_t out_stride, const T* in, int64_t in_stride) {
  Vec<T, N> row[N];
#pragma clang loop unroll(full)
  for (int i = 0; i < N; ++i) row[i] = load_as<Vec<T, N>>(in + i * in_stride);
  transpose_block(row);
#pragma clang loop unroll(full)
  for (int i = 0; i < N; ++i) store(out + i * out_stride, row[i]);
}

template <class T>
__attribute__((noinline)) void edge(T* __restrict out, int64_t out_stride, const T* __restrict in, int64_t in_stride, int64_t rows,
                                    int64_t columns) {
  for (int64_t c = 0; c < columns; ++c) {
#pragma clang loop vectorize(disable) unroll(disable)
    for (int64_t r = 0; r < rows; ++r) out[c * out_stride + r] = in[r * in_stride + c];
  }
}

// The planes of an image to its pixels, and back.
template <class T>
void planes_to_pixels(T* __restrict out, const T* __restrict in, int64_t stride, int64_t n) {
  const T* __restrict a = in, * __restrict b = in + stride, * __restrict c = in + 2 * stride;
  for (int64_t i = 0; i < n; ++i) {
    out[3 * i] = a[i];
    out[3 * i + 1] = b[i];
    out[3 * i + 2] = c[i];
  }
}
template <class T>
void pixels_to_planes(T* __restrict out, int64_t stride, const T* __restrict in, int64_t n) {
  T* __restrict a = out, * __restrict b = out + stride, * __restrict c = out + 2 * stride;
  for (int64_t i = 0; i < n; ++i) {
    a[i] = in[3 * i];
    b[i] = in[3 * i + 1];
    c[i] = in[3 * i + 2];
  }
}

// Two rows element by element, and back.
template <class T, int N>
void pairs(T* __restrict out, const T* __restrict in, int64_t stride, int64_t n) {
  using Indices = typename __make_integer_seq<Sequence, int, N>::type;
  int64_t i = 0;
  for (; i + N <= n; i += N) {
    Vec<T, N> low, high;
    interleave(load_as<Vec<T, N>>(in + i), load_as<Vec<T, N>>(in + stride + i), &low, &high, Indices{});
    store(out + 2 * i, low);
    store(out + 2 * i + N, high);
  }
  for (; i < n; ++i) out[2 * i] = in[i], out[2 * i + 1] = in[stride + i];
}
template <class T>
void unpaired(T* __restrict out, int64_t stride, const T* __restrict in, int64_t n) {
  T* __restrict a = out, * __restrict b = out + stride;
  for (int64_t i = 0; i < n; ++i) {
    a[i] = in[2 * i];
    b[i] = in[2 * i + 1];
  }
}

template <class T, int N>
void transpose(void* to, int64_t out_stride, const void* from, int64_t in_stride, int64_t rows, int64_t columns) {
  T* out = static_cast<T*>(to);
  const T* in = static_cast<const T*>(from);
  if constexpr (sizeof(T) == 1 || sizeof(T) == 4) {  // what images are made of
    if (rows == 3 && out_stride == 3) return planes_to_pixels(out, in, in_stride, columns);
    if (columns == 3 && in_stride == 3) return pixels_to_planes(out, out_stride, in, rows);
  }
  if (rows == 2 && out_stride == 2) return pairs<T, N>(out, in, in_stride, columns);
  if (columns == 2 && in_stride == 2) return unpaired(out, out_stride, in, rows);
  const int64_t whole_rows = rows - rows % N, whole_columns = columns - columns % N;
  // Cache line by cache line on both sides: rows that lie a power of two apart compete for the same few places of the cache.
  constexpr int64_t line = 64 / sizeof(T) > N ? 64 / sizeof(T) : N;
  for (int64_t r0 = 0; r0 < whole_rows; r0 += line) {
    for (int64_t c = 0; c < whole_columns; c += N) {
      for (int64_t r = r0; r < r0 + line && r < whole_rows; r += N) {
        block<T, N>(out + c * out_stride + r, out_stride, in + r * in_stride + c, in_stride);
      }
    }
  }
  edge(out + whole_columns * out_stride, out_stride, in + whole_columns, in_stride, whole_rows, columns - whole_columns);
  edge(out + whole_rows, out_stride, in + whole_rows * in_stride, in_stride, rows - whole_rows, columns);
}

}  // namespace

EDGEORT_KERNEL(MoveKernels, move,
               {{transpose<uint8_t, 16>, transpose<uint16_t, 8>, transpose<uint32_t, kLanes>, transpose<uint64_t, kLanes / 2>}})

}  // namespace edgeort
