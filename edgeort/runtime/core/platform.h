// The operating system behind a few functions: files, memory, clocks, threads, CPU features.
#pragma once
#include "plan_layout.h"

namespace edgeort {

enum Isa : int {
  kIsa_generic,
  kIsa_neon,
  kIsa_neon32,
  kIsa_v3,
  kIsa_v4,
  kIsa_wasm,
  kIsa_wasm_relaxed,
  kIsa_m4f,
  // Of kernels of int8 alone.
  kIsa_dotprod,
  kIsa_i8mm,
  kIsa_avx_vnni,
  kIsa_avx512_vnni,
  kIsas
};

// The level that each stands on.
static constexpr int kIsaBase[kIsas] = {-1,        kIsa_generic, kIsa_generic, kIsa_generic, kIsa_v3, kIsa_generic,
                                        kIsa_wasm, kIsa_generic, kIsa_neon,    kIsa_dotprod, kIsa_v3, kIsa_v4};

// Whether a CPU of a level runs the kernels of another. Levels are a tree: AVX-VNNI and AVX-512 come without each other.
static constexpr bool runs_isa(int level, int other) {
  while (level >= 0 && level != other) level = kIsaBase[level];
  return level == other;
}

// Whether this CPU and its operating system support a level.
bool cpu_has(int level);
const char* isa_name(int level);
// The level of that name, or -1.
int isa_from_name(const char* name);

struct Mapping {
  const u8* data;
  size_t size;
  void* handle;
};
// Maps a file read-only. On failure `data` is null and `reason` says why.
Mapping map_file(const char* path, const char** reason);
void unmap(Mapping& mapping);

// Zeroed pages, 64-byte aligned, or null.
void* allocate_pages(size_t size);
// What small things that live together are taken in at once.
#if defined(EDGEORT_BARE)
static constexpr size_t kBlockBytes = 1 << 10;
#else
static constexpr size_t kBlockBytes = 1 << 16;
#endif
// Of memory of many kLargePage, which begins one: that it should be in large pages, where the system has such.
void prefer_large_pages(void* data, size_t size);
static constexpr size_t kLargePage = size_t{2} << 20;
void free_pages(void* data, size_t size);

u64 now_ns();
int cpu_count();
size_t peak_rss_bytes();

// Blocks while *address == expected (may return early); wakes all that wait on it.
void wait_on(u32* address, u32 expected);
void wake_all(u32* address);

struct Thread {
  void* handle;
};
bool start_thread(Thread* thread, void (*body)(void*), void* argument);
void join_thread(Thread thread);

// While it lives, this thread rounds to nearest and keeps denormals, as the contract says; then the caller's mode is back.
// (Libraries built with -ffast-math set flush-to-zero in whatever thread loads them.)
class FloatMode {
 public:
#if defined(__x86_64__)
  FloatMode() : callers_(__builtin_ia32_stmxcsr()) { __builtin_ia32_ldmxcsr(0x1f80); }
  ~FloatMode() { __builtin_ia32_ldmxcsr(static_cast<u32>(callers_)); }
#elif defined(__aarch64__)
  FloatMode() {
    __asm__ volatile("mrs %0, fpcr" : "=r"(callers_));
    __asm__ volatile("msr fpcr, %0" ::"r"(u64{0}));
  }
  ~FloatMode() { __asm__ volatile("msr fpcr, %0" ::"r"(callers_)); }
#elif defined(__arm__)
  FloatMode() {
    u32 mode;
    __asm__ volatile("vmrs %0, fpscr" : "=r"(mode));
    __asm__ volatile("vmsr fpscr, %0" ::"r"(0));
    callers_ = mode;
  }
  ~FloatMode() { __asm__ volatile("vmsr fpscr, %0" ::"r"(static_cast<u32>(callers_))); }
#else
  FloatMode() = default;
#endif
  FloatMode(const FloatMode&) = delete;
  FloatMode& operator=(const FloatMode&) = delete;

 private:
  [[maybe_unused]] u64 callers_ = 0;
};

// Tells the core that this is a spin loop.
static inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  __asm__ volatile("yield");
#endif
}

}  // namespace edgeort
