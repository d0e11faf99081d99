// Dots of Arm's instructions for them: matrix products, or dot products.
#pragma once
#include <arm_neon.h>

namespace edgeort {
namespace {

constexpr int kBiasLanes = 1;
constexpr bool kStepped = false;
constexpr bool kOrdered = false;

#if defined(__ARM_FEATURE_MATMUL_INT8)
// Two rows by two columns and eight k in an instruction: the quads of a pair of columns are brought together first.
template <int M, int C, bool kWide>
struct Dots {
  static constexpr int kPairs = (M + 1) / 2;
  vi sum[kPairs][C / 2];

  EDGEORT_INLINE void begin(const i32* bias) {
#pragma clang loop unroll(full)
    for (int c = 0; c < C / 2; ++c) {
      const vi b = {bias[2 * c], bias[2 * c + 1], bias[2 * c], bias[2 * c + 1]};
#pragma clang loop unroll(full)
      for (int p = 0; p < kPairs; ++p) sum[p][c] = b;
    }
  }

  // a: eight k of a row, and eight of the next.
  EDGEORT_INLINE void step(const int8x16_t (&a)[kPairs], const i8* first, const i8* second) {
#pragma clang loop unroll(full)
    for (int c = 0; c < C / 2; c += 2) {
      const vi w = load_as<vi>(first + 8 * c), next = load_as<vi>(second + 8 * c);
      const int8x16_t low = vreinterpretq_s8_s32(vzip1q_s32(w, next)), high = vreinterpretq_s8_s32(vzip2q_s32(w, next));
#pragma clang loop unroll(full)
      for (int p = 0; p < kPairs; ++p) {
        sum[p][c] = vmmlaq_s32(sum[p][c], a[p], low);
        sum[p][c + 1] = vmmlaq_s32(sum[p][c + 1], a[p], high);
      }
    }
  }

  EDGEORT_INLINE void quads(const q8* (&rows)[M], i64 n, const i8* (&panels)[1], bool) {
    for (; n >= 2; n -= 2, panels[0] += 2 * kQuad) {
      int8x16_t a[kPairs];
#pragma clang loop unroll(full)
      for (int p = 0; p < kPairs; ++p) a[p] = vcombine_s8(vld1_s8(rows[2 * p]), vld1_s8(rows[2 * p + 1 < M ? 2 * p + 1 : 2 * p]));
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) rows[m] += 2 * kDepth;
      step(a, panels[0], panels[0] + kQuad);
    }
    if (n > 0) quad(load_quads(rows), panels);
  }

  EDGEORT_INLINE void quad(const Quads<M>& x, const i8* (&panels)[1]) {
    int8x16_t a[kPairs];
#pragma clang loop unroll(full)
    for (int p = 0; p < kPairs; ++p) a[p] = bitcast<int8x16_t>(vu{x.of[2 * p], 0, 2 * p + 1 < M ? x.of[2 * p + 1] : 0, 0});
    step(a, panels[0], panels[0]);
    panels[0] += kQuad;
  }

  EDGEORT_INLINE vi get(int m, int i) const {
    const int64x2_t a = vreinterpretq_s64_s32(sum[m / 2][2 * i]), b = vreinterpretq_s64_s32(sum[m / 2][2 * i + 1]);
    return vreinterpretq_s32_s64(m % 2 ? vzip2q_s64(a, b) : vzip1q_s64(a, b));
  }
};
#else
// A quad of four columns by one of a row.
template <int M, int C, bool kWide>
struct Dots {
  vi sum[M][C / 4];

  EDGEORT_INLINE void begin(const i32* bias) {
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m, bias = opaque(bias)) {
#pragma clang loop unroll(full)
      for (int i = 0; i < C / 4; ++i) sum[m][i] = load(bias + 4 * i);
    }
  }

  template <int kLane>
  EDGEORT_INLINE void step(const int8x16_t (&x)[M], const i8* panel) {
#pragma clang loop unroll(full)
    for (int i = 0; i < C / 4; ++i) {
      const int8x16_t w = vld1q_s8(panel + 16 * i);
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m) sum[m][i] = vdotq_laneq_s32(sum[m][i], w, x[m], kLane);
    }
  }

  EDGEORT_INLINE void quads(const q8* (&rows)[M], i64 n, const i8* (&panels)[1], bool) {
    for (; n >= 4; n -= 4, panels[0] += 4 * kQuad) {
      int8x16_t x[M];
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m)
        __asm__("ldr %q0, [%1], #16" : "=w"(x[m]), "+r"(rows[m]) : "m"(*reinterpret_cast<const q8(*)[16]>(rows[m])));
      step<0>(x, panels[0]);
      step<1>(x, panels[0] + kQuad);
      step<2>(x, panels[0] + 2 * kQuad);
      step<3>(x, panels[0] + 3 * kQuad);
    }
    if (n & 2) {
      int8x16_t x[M];
#pragma clang loop unroll(full)
      for (int m = 0; m < M; ++m)
        __asm__("ldr %d0, [%1], #8" : "=w"(x[m]), "+r"(rows[m]) : "m"(*reinterpret_cast<const q8(*)[8]>(rows[m])));
      step<0>(x, panels[0]);
      step<1>(x, panels[0] + kQuad);
      panels[0] += 2 * kQuad;
    }
    if (n & 1) quad(load_quads(rows), panels);
  }

  EDGEORT_INLINE void quad(const Quads<M>& values, const i8* (&panels)[1]) {
    int8x16_t x[M];
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) x[m] = vreinterpretq_s8_u32(vdupq_n_u32(values.of[m]));
    step<0>(x, panels[0]);
    panels[0] += kQuad;
  }

  EDGEORT_INLINE vi get(int m, int i) const { return sum[m][i]; }
};
#endif

}  // namespace
}  // namespace edgeort
