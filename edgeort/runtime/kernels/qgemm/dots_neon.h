// Dots of Arm without instructions for them: products of 16 bits.
#pragma once
#include <arm_neon.h>

namespace edgeort {
namespace {

constexpr int kBiasLanes = 2;
#if defined(__aarch64__)
constexpr bool kStepped = true;
#else
constexpr bool kStepped = false;
#endif
constexpr bool kOrdered = false;

#if !defined(__aarch64__)
// 32-bit Arm names no high halves.
EDGEORT_INLINE int16x8_t vmull_high_s8(int8x16_t w, int8x16_t x) { return vmull_s8(vget_high_s8(w), vget_low_s8(x)); }
EDGEORT_INLINE int16x8_t vmlal_high_s8(int16x8_t sum, int8x16_t w, int8x16_t x) { return vmlal_s8(sum, vget_high_s8(w), vget_low_s8(x)); }
EDGEORT_INLINE int32x4_t vpaddq_s32(int32x4_t a, int32x4_t b) {
  return vcombine_s32(vpadd_s32(vget_low_s32(a), vget_high_s32(a)), vpadd_s32(vget_low_s32(b), vget_high_s32(b)));
}
#endif

// Products of two columns by a quad, in 16 bits: those of two quads are added there, for 2 * 128 * 127 fits, and of three where the
// steps say so; two lanes a column.
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

  static EDGEORT_INLINE void load_weights(const i8*& panel, Quad (&w)[3][kGroups]) {
    __asm__(
        "ldp %q[c], %q[d], [%[panel], #64]\n"
        "ldp %q[e], %q[f], [%[panel], #128]\n"
        "ldp %q[a], %q[b], [%[panel]], #192"
        : [a] "=w"(w[0][0]), [b] "=w"(w[0][1]), [c] "=&w"(w[1][0]), [d] "=&w"(w[1][1]), [e] "=&w"(w[2][0]), [f] "=&w"(w[2][1]),
          [panel] "+r"(panel)
        : "m"(*reinterpret_cast<const i8(*)[3 * kQuad]>(panel)));
  }

  EDGEORT_INLINE void three_quads(int m, const q8*& row, const Quad (&w)[3][kGroups]) {
    __asm__(
        "ld3r {v29.4s, v30.4s, v31.4s}, [%[row]], #12\n"
        "smull v27.8h, %[a].8b, v29.8b\n"
        "smull2 v28.8h, %[a].16b, v29.16b\n"
        "smlal v27.8h, %[c].8b, v30.8b\n"
        "smlal2 v28.8h, %[c].16b, v30.16b\n"
        "smlal v27.8h, %[e].8b, v31.8b\n"
        "smlal2 v28.8h, %[e].16b, v31.16b\n"
        "sadalp %[s0].4s, v27.8h\n"
        "smull v27.8h, %[b].8b, v29.8b\n"
        "sadalp %[s1].4s, v28.8h\n"
        "smull2 v28.8h, %[b].16b, v29.16b\n"
        "smlal v27.8h, %[d].8b, v30.8b\n"
        "smlal2 v28.8h, %[d].16b, v30.16b\n"
        "smlal v27.8h, %[f].8b, v31.8b\n"
        "smlal2 v28.8h, %[f].16b, v31.16b\n"
        "sadalp %[s2].4s, v27.8h\n"
        "sadalp %[s3].4s, v28.8h"
        : [s0] "+w"(sum[m][0]), [s1] "+w"(sum[m][1]), [s2] "+w"(sum[m][2]), [s3] "+w"(sum[m][3]), [row] "+r"(row)
        : [a] "w"(w[0][0]), [b] "w"(w[0][1]), [c] "w"(w[1][0]), [d] "w"(w[1][1]), [e] "w"(w[2][0]), [f] "w"(w[2][1]),
          "m"(*reinterpret_cast<const q8(*)[12]>(row))
        : "v27", "v28", "v29", "v30", "v31");
  }

  // The quads of a tap as `words` say, steps over both.
  EDGEORT_INLINE void stepped(const q8* (&rows)[M], const i8* panel, const QSteps& steps, const u64*& words) {
    static_assert(C == kStepColumns);
    i64 left = steps.count;
    do {
      u64 bits = *words++;
      for (;;) {
        while (static_cast<i64>(bits) >= 0) {
          Quad w[3][kGroups];
          load_weights(panel, w);
#pragma clang loop unroll(full)
          for (int m = 0; m < M; ++m) three_quads(m, rows[m], w);
          bits <<= 1;
        }
        bits <<= 1;
        if (!bits) break;
        Quad w[2][kGroups];
        load_weights(panel, w);
#pragma clang loop unroll(full)
        for (int m = 0; m < M; ++m) two_quads(m, rows[m], w);
      }
    } while (--left > 0);
    if (steps.single) {
      const i8* panels[] = {panel};
      quad(load_quads(rows), panels);
    }
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

}  // namespace
}  // namespace edgeort
