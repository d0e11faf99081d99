// Dots of Arm's instructions: matrix products, dot products, or products of 16 bits.
#pragma once
#include <arm_neon.h>

namespace edgeort {
namespace {

#if defined(__ARM_FEATURE_DOTPROD)
constexpr int kBiasLanes = 1;
#else
constexpr int kBiasLanes = 2;
#endif

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
#elif defined(__ARM_FEATURE_DOTPROD)
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
#else
#if !defined(__aarch64__)
// 32-bit Arm names no high halves.
EDGEORT_INLINE int16x8_t vmull_high_s8(int8x16_t w, int8x16_t x) { return vmull_s8(vget_high_s8(w), vget_low_s8(x)); }
EDGEORT_INLINE int16x8_t vmlal_high_s8(int16x8_t sum, int8x16_t w, int8x16_t x) { return vmlal_s8(sum, vget_high_s8(w), vget_low_s8(x)); }
EDGEORT_INLINE int32x4_t vpaddq_s32(int32x4_t a, int32x4_t b) {
  return vcombine_s32(vpadd_s32(vget_low_s32(a), vget_high_s32(a)), vpadd_s32(vget_low_s32(b), vget_high_s32(b)));
}
#endif

// Products of two columns by a quad, in 16 bits: those of two quads are added there, for 2 * 128 * 127 fits; two lanes a column.
template <int M, int C, bool kWide>
struct Dots {
  static constexpr int kGroups = C / 4;  // of columns, 16 bytes of a quad
  using Quad = int8x16_t;                // of a row, four times
  vi sum[M][2 * kGroups];

  EDGEORT_INLINE void begin(const i32* bias) {
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m, bias = opaque(bias)) {
#pragma clang loop unroll(full)
      for (int i = 0; i < 2 * kGroups; ++i) sum[m][i] = load(bias + 4 * i);
    }
  }

  template <int kQuads>
  EDGEORT_INLINE void row(int m, const Quad (&x)[kQuads], const Quad (&w)[kQuads][kGroups]) {
#pragma clang loop unroll(full)
    for (int i = 0; i < kGroups; ++i) {
      int16x8_t low = vmull_s8(vget_low_s8(w[0][i]), vget_low_s8(x[0])), high = vmull_high_s8(w[0][i], x[0]);
      if constexpr (kQuads == 2) {
        low = vmlal_s8(low, vget_low_s8(w[1][i]), vget_low_s8(x[1]));
        high = vmlal_high_s8(high, w[1][i], x[1]);
      }
      sum[m][2 * i] = vpadalq_s16(sum[m][2 * i], low);
      sum[m][2 * i + 1] = vpadalq_s16(sum[m][2 * i + 1], high);
    }
  }

  static EDGEORT_INLINE void load_weights(const i8*& panel, Quad (&w)[1][kGroups]) {
#pragma clang loop unroll(full)
    for (int i = 0; i < kGroups; ++i) w[0][i] = vld1q_s8(panel + 16 * i);
    panel += kQuad;
  }

#if defined(__aarch64__)
  static EDGEORT_INLINE void load_weights(const i8*& panel, Quad (&w)[2][kGroups]) {
    static_assert(kQuad == 64);
    __asm__(
        "ldp %q[c], %q[d], [%[panel], #64]\n"
        "ldp %q[a], %q[b], [%[panel]], #128"
        : [a] "=w"(w[0][0]), [b] "=w"(w[0][1]), [c] "=&w"(w[1][0]), [d] "=&w"(w[1][1]), [panel] "+r"(panel)
        : "m"(*reinterpret_cast<const i8(*)[2 * kQuad]>(panel)));
  }

  // Two quads of row m. As a whole, for the compiler would keep more products alive than there are registers; and a step over
  // the row as part of its load.
  EDGEORT_INLINE void two_quads(int m, const q8*& row, const Quad (&w)[2][kGroups]) {
    static_assert(kGroups == 2);
    __asm__(
        "ld2r {v30.4s, v31.4s}, [%[row]], #8\n"
        "smull v28.8h, %[a].8b, v30.8b\n"
        "smull2 v29.8h, %[a].16b, v30.16b\n"
        "smlal v28.8h, %[c].8b, v31.8b\n"
        "smlal2 v29.8h, %[c].16b, v31.16b\n"
        "sadalp %[s0].4s, v28.8h\n"
        "smull v28.8h, %[b].8b, v30.8b\n"
        "sadalp %[s1].4s, v29.8h\n"
        "smull2 v29.8h, %[b].16b, v30.16b\n"
        "smlal v28.8h, %[d].8b, v31.8b\n"
        "smlal2 v29.8h, %[d].16b, v31.16b\n"
        "sadalp %[s2].4s, v28.8h\n"
        "sadalp %[s3].4s, v29.8h"
        : [s0] "+w"(sum[m][0]), [s1] "+w"(sum[m][1]), [s2] "+w"(sum[m][2]), [s3] "+w"(sum[m][3]), [row] "+r"(row)
        : [a] "w"(w[0][0]), [b] "w"(w[0][1]), [c] "w"(w[1][0]), [d] "w"(w[1][1]), "m"(*reinterpret_cast<const q8(*)[8]>(row))
        : "v28", "v29", "v30", "v31");
  }
#else
  static EDGEORT_INLINE void load_weights(const i8*& panel, Quad (&w)[2][kGroups]) {
#pragma clang loop unroll(full)
    for (int i = 0; i < kGroups; ++i) w[0][i] = vld1q_s8(panel + 16 * i), w[1][i] = vld1q_s8(panel + kQuad + 16 * i);
    panel += 2 * kQuad;
  }

  EDGEORT_INLINE void two_quads(int m, const q8*& values, const Quad (&w)[2][kGroups]) {
    const Quad x[2] = {vreinterpretq_s8_u32(vdupq_n_u32(load_as<u32>(values))),
                       vreinterpretq_s8_u32(vdupq_n_u32(load_as<u32>(values + kDepth)))};
    row(m, x, w);
    values += 2 * kDepth;
  }
#endif

  EDGEORT_INLINE void quads(const q8* (&rows)[M], i64 n, const i8* (&panels)[1], bool) {
    if constexpr (!kWide) {
      for (i64 pairs = n / 2; pairs > 0; --pairs) {
        Quad w[2][kGroups];
        load_weights(panels[0], w);
#pragma clang loop unroll(full)
        for (int m = 0; m < M; ++m) two_quads(m, rows[m], w);
      }
    }
    if constexpr (kWide) {
      for (; n > 0; --n) quad(load_quads(rows), panels);
    } else if (n & 1) {
      quad(load_quads(rows), panels);
    }
  }

  EDGEORT_INLINE void quad(const Quads<M>& values, const i8* (&panels)[1]) {
    Quad w[1][kGroups];
    load_weights(panels[0], w);
#pragma clang loop unroll(full)
    for (int m = 0; m < M; ++m) {
      const Quad x[1] = {vreinterpretq_s8_u32(vdupq_n_u32(values.of[m]))};
      row(m, x, w);
    }
  }

  EDGEORT_INLINE vi get(int m, int i) const { return vpaddq_s32(sum[m][2 * i], sum[m][2 * i + 1]); }
};
#endif

}  // namespace
}  // namespace edgeort
