// The fastest that a core reads memory: sums of vectors, in enough chains that loads never wait for an addition.
#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif

typedef float Vector __attribute__((vector_size(BYTES)));

// Of `bytes` bytes from `from` on, which is aligned to 64; returns something that depends on all of them.
extern "C" __attribute__((visibility("default"))) float edgeort_read(const char* from, long bytes) {
  constexpr int kChains = 8;
  Vector sums[kChains] = {};
  for (long i = 0; i + kChains * BYTES <= bytes; i += kChains * BYTES) {
#pragma clang loop unroll(full)
    for (int c = 0; c < kChains; ++c) sums[c] += *reinterpret_cast<const Vector*>(from + i + c * BYTES);
  }
  float total = 0;
  for (int c = 0; c < kChains; ++c) {
    for (unsigned i = 0; i < BYTES / sizeof(float); ++i) total += sums[c][i];
  }
  return total;
}
