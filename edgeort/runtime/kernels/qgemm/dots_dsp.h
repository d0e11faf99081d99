// Dots of 32-bit Arm without NEON: two products of 16 bits an instruction.
#pragma once
#include "../../simd/halves.h"

namespace edgeort {
namespace {

constexpr int kBiasLanes = 1;
constexpr bool kStepped = false;
constexpr bool kOrdered = false;

template <int M, int C, bool kWide>
struct Dots {
  static constexpr int kColumns = 2;  // at once: their sums, values and weights fit the registers
  i32 sum[M][C];

  EDGEORT_INLINE void begin(const i32* bias) {
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) __builtin_memcpy(sum[m], bias, sizeof(sum[m]));
  }

  EDGEORT_INLINE void quads(const q8* (&rows)[M], i64 n, const i8* (&panels)[1], bool) {
    const i32 count = static_cast<i32>(n);
#pragma clang loop unroll(disable)
    for (int c = 0; c < C; c += kColumns) {
      i32 own[M][kColumns];
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) __builtin_memcpy(own[m], sum[m] + c, sizeof(own[m]));
      const i8* panel = panels[0] + c * kDepth;
      const q8* row[M];
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) row[m] = rows[m];
#pragma clang loop unroll(disable)
      for (i32 q = 0; q < count; ++q, panel += kQuad) {
        Halves x[M];
#pragma clang loop unroll(full)
        for (int m = 0; m < M; ++m) x[m] = halves(load_as<u32>(row[m])), row[m] += kDepth;
        add(own, x, panel);
      }
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) __builtin_memcpy(sum[m] + c, own[m], sizeof(own[m]));
    }
    panels[0] += n * kQuad;
  }

  EDGEORT_INLINE void quad(const Quads<M>& values, const i8* (&panels)[1]) {
    Halves x[M];
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) x[m] = halves(values.of[m]);
    add(sum, x, panels[0]);
    panels[0] += kQuad;
  }

  template <int N>
  static EDGEORT_INLINE void add(i32 (&sums)[M][N], const Halves (&x)[M], const i8* panel) {
#pragma clang loop unroll(full)
    for (int c = 0; c < N; ++c) {
      const Halves w = halves(load_as<u32>(panel + c * kDepth));
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) sums[m][c] = __smlad(x[m].odd, w.odd, __smlad(x[m].even, w.even, sums[m][c]));
    }
  }

  EDGEORT_INLINE vi get(int m, int i) const { return load(sum[m] + i * kLanes); }
};

}  // namespace
}  // namespace edgeort
