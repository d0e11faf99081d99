// The operating system behind a few functions: files, memory, clocks, threads, CPU features.
#pragma once
#include "plan_layout.h"

namespace edgeort {

// ISA levels in rising order within an architecture; kernels of a higher level are preferred.
enum Isa : int { kIsa_generic = 0, kIsa_neon = 1, kIsa_neon32 = 2, kIsa_v3 = 3, kIsa_v4 = 4 };

// The highest level that this CPU and its operating system support.
int cpu_isa();
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
void free_pages(void* data, size_t size);

u64 now_ns();
int cpu_count();
size_t peak_rss_bytes();
size_t rss_bytes();

// Blocks while *address == expected (may return early); wakes all that wait on it.
void wait_on(u32* address, u32 expected);
void wake_all(u32* address);

struct Thread {
  void* handle;
};
bool start_thread(Thread* thread, void (*body)(void*), void* argument);
void join_thread(Thread thread);

// Tells the core that this is a spin loop.
static inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  __asm__ volatile("yield");
#endif
}

}  // namespace edgeort
