// The fastest that one core multiplies and adds: independent chains of fused multiply-adds that stay in registers.
#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif

#if defined(__x86_64__)
#define IN_REGISTER "+v"
#else
#define IN_REGISTER "+w"
#endif

namespace {

typedef float Vector __attribute__((vector_size(BYTES)));

constexpr int kChains = 12;  // enough to hide 4 cycles of latency on 3 pipes, and few enough for 16 registers

}  // namespace

// Runs `steps` rounds and returns how many float operations that were; a multiply-add is two.
extern "C" __attribute__((visibility("default"))) double edgeort_peak(long steps) {
  const Vector factor = Vector{} + 0.5f, term = Vector{} + 1.0f;
  Vector sums[kChains];
  for (int c = 0; c < kChains; ++c) sums[c] = Vector{} + static_cast<float>(c);
  for (long i = 0; i < steps; ++i) {
#pragma clang loop unroll(full)
    for (int c = 0; c < kChains; ++c) {
      sums[c] = __builtin_elementwise_fma(sums[c], factor, term);
      __asm__ volatile("" : IN_REGISTER(sums[c]));
    }
  }
  return 2.0 * BYTES / sizeof(float) * kChains * static_cast<double>(steps);
}
