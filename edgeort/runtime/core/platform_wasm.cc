// WebAssembly, by WASI: in a browser nothing of it is left but the clock. One thread, and no file in a library.
#if defined(__wasm__)
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "platform.h"

namespace edgeort {
namespace {

constexpr size_t kCacheLine = 64, kWasmPage = 65536;

// All of a file that is `size` bytes long.
bool read_all(int file, u8* to, size_t size) {
  while (size > 0) {
    const ssize_t n = read(file, to, size);
    if (n <= 0) return false;
    to += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

}  // namespace

Mapping map_file(const char* path, const char** reason) {
  Mapping mapping = {nullptr, 0, nullptr};
  const int file = open(path, O_RDONLY);
  if (file < 0) {
    *reason = "the file cannot be opened";
    return mapping;
  }
  const off_t size = lseek(file, 0, SEEK_END);
  u8* data = nullptr;
  if (size <= 0 || lseek(file, 0, SEEK_SET) != 0) {
    *reason = "the file is empty or not a regular file";
  } else if (size > 0x7fffffff || !(data = static_cast<u8*>(allocate_pages(static_cast<size_t>(size))))) {
    *reason = "out of memory";
  } else if (!read_all(file, data, static_cast<size_t>(size))) {
    *reason = "the file cannot be read";
    free_pages(data, static_cast<size_t>(size));
  } else {
    mapping.data = data;
    mapping.size = static_cast<size_t>(size);
  }
  close(file);
  return mapping;
}

void unmap(Mapping& mapping) {
  free_pages(const_cast<u8*>(mapping.data), mapping.size);
  mapping = {nullptr, 0, nullptr};
}

void* allocate_pages(size_t size) {
  if (size > ~size_t{0} - kCacheLine) return nullptr;
  const size_t whole = size ? (size + kCacheLine - 1) & ~(kCacheLine - 1) : kCacheLine;
  void* data = aligned_alloc(kCacheLine, whole);
  return data ? memset(data, 0, whole) : nullptr;
}
void prefer_large_pages(void*, size_t) {}
void free_pages(void* data, size_t) { free(data); }

u64 now_ns() {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<u64>(t.tv_sec) * 1000000000u + static_cast<u64>(t.tv_nsec);
}

int cpu_count() { return 1; }
size_t peak_rss_bytes() { return __builtin_wasm_memory_size(0) * kWasmPage; }  // it never shrinks

void wait_on(u32*, u32) {}
void wake_all(u32*) {}
bool start_thread(Thread*, void (*)(void*), void*) { return false; }
void join_thread(Thread) {}

}  // namespace edgeort
#endif
