// Independent chains of one instruction each, enough to hide its latency and few enough for the registers.
#include "loops.h"

#include "../core/dispatch.h"
#include "../simd/types.h"

namespace edgeort {
namespace {

constexpr int kChains = 12;  // hides 4 cycles on 3 pipes, in 16 registers

#if defined(__x86_64__)
#define EDGEORT_IN_REGISTER "+v"
#else
#define EDGEORT_IN_REGISTER "+w"
#endif

double float32(i64 steps) {
  const vf factor = vf{} + 0.5f, term = vf{} + 1.0f;
  vf sums[kChains];
  for (int c = 0; c < kChains; ++c) sums[c] = vf{} + static_cast<float>(c);
  for (i64 i = 0; i < steps; ++i) {
#pragma clang loop unroll(full)
    for (int c = 0; c < kChains; ++c) {
      sums[c] = __builtin_elementwise_fma(sums[c], factor, term);
      __asm__ volatile("" : EDGEORT_IN_REGISTER(sums[c]));
    }
  }
  return 2.0 * kLanes * kChains * static_cast<double>(steps);
}

// sum += products of bytes (of 16 bits where the level has no others), kMacs of them.
#if defined(__AVX512VNNI__)
constexpr int kMacs = 4 * kLanes;
EDGEORT_INLINE void dot(vi& sum, vi x, vi w) { __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w)); }
#elif defined(__AVXVNNI__)
constexpr int kMacs = 4 * kLanes;
EDGEORT_INLINE void dot(vi& sum, vi x, vi w) { __asm__ volatile("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(x), "x"(w)); }
#elif defined(__AVX2__)
constexpr int kMacs = 2 * kLanes;
EDGEORT_INLINE void dot(vi& sum, vi x, vi w) {
  vi products;
  __asm__ volatile("vpmaddwd %2, %1, %0" : "=v"(products) : "v"(x), "v"(w));
  sum += products;
  __asm__ volatile("" : "+v"(sum));
}
#elif defined(__ARM_FEATURE_MATMUL_INT8)
constexpr int kMacs = 32;
EDGEORT_INLINE void dot(vi& sum, vi x, vi w) { __asm__ volatile("smmla %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(x), "w"(w)); }
#elif defined(__ARM_FEATURE_DOTPROD)
constexpr int kMacs = 16;
EDGEORT_INLINE void dot(vi& sum, vi x, vi w) { __asm__ volatile("sdot %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(x), "w"(w)); }
#elif defined(__aarch64__)
constexpr int kMacs = 16;
EDGEORT_INLINE void dot(vi& sum, vi x, vi w) {
  vi low, high;
  __asm__ volatile("smull %0.8h, %2.8b, %3.8b\nsmull2 %1.8h, %2.16b, %3.16b" : "=&w"(low), "=&w"(high) : "w"(x), "w"(w));
  __asm__ volatile("sadalp %0.4s, %1.8h\nsadalp %0.4s, %2.8h" : "+w"(sum) : "w"(low), "w"(high));
}
#elif defined(__ARM_NEON)
constexpr int kMacs = 8;
EDGEORT_INLINE void dot(vi& sum, vi x, vi w) {
  vi products;
  __asm__ volatile("vmull.s8 %q0, %e1, %e2" : "=&w"(products) : "w"(x), "w"(w));
  __asm__ volatile("vpadal.s16 %q0, %q1" : "+w"(sum) : "w"(products));
}
#else
constexpr int kMacs = kLanes;
EDGEORT_INLINE void dot(vi& sum, vi x, vi w) { sum += x * w; }
#endif

#if defined(__ARM_NEON) && !defined(__ARM_FEATURE_DOTPROD)
constexpr int kDotChains = 6;  // each has products between
#else
constexpr int kDotChains = 12;
#endif

double int8(i64 steps) {
  vi x = vi{} + 1, w = vi{} + 2, sums[kDotChains] = {};
  for (i64 i = 0; i < steps; ++i) {
#pragma clang loop unroll(full)
    for (int c = 0; c < kDotChains; ++c) dot(sums[c], x, w);
  }
  for (int c = 0; c < kDotChains; ++c) __asm__ volatile("" ::"r"(&sums[c]) : "memory");
  return 2.0 * kMacs * kDotChains * static_cast<double>(steps);
}

// Sums of vectors, in chains enough that loads never wait for an addition.
float read(const u8* from, size_t bytes) {
  constexpr int kReads = kReadBytes / sizeof(vf), kSums = 8;
  vf sums[kSums] = {};
  for (size_t i = 0; i + kReadBytes <= bytes; i += kReadBytes) {
#pragma clang loop unroll(full)
    for (int c = 0; c < kReads; ++c) sums[c % kSums] += *reinterpret_cast<const vf*>(from + i + static_cast<size_t>(c) * sizeof(vf));
  }
  float total = 0;
  for (int c = 0; c < kSums; ++c) {
    for (int i = 0; i < kLanes; ++i) total += sums[c][i];
  }
  return total;
}

}  // namespace

EDGEORT_KERNEL(Loops, loops, {float32, int8, read})

}  // namespace edgeort
