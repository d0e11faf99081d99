// Linux, Android, macOS and iOS. The Android library is compiled against musl's headers and linked to bionic, so this
// file uses only what is the same in both: system call numbers and flags, and no struct that a libc lays out. On 32-bit Arm
// file offsets and times are not: there the kernel is asked itself.
#if !defined(_WIN32) && !defined(__wasm__) && !defined(EDGEORT_BARE)
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#elif defined(__APPLE__)
#include <sys/resource.h>
#endif

#include "platform.h"

namespace edgeort {
namespace {

#if defined(__linux__) && defined(__arm__)
i64 file_size(int file) {
  i64 size = -1;
  return syscall(SYS__llseek, file, 0, 0, &size, SEEK_END) == 0 ? size : -1;
}

void* map_pages(size_t size, int protection, int flags, int file) {
  return reinterpret_cast<void*>(syscall(SYS_mmap2, nullptr, size, protection, flags, file, 0));
}
#else
i64 file_size(int file) { return lseek(file, 0, SEEK_END); }

void* map_pages(size_t size, int protection, int flags, int file) { return mmap(nullptr, size, protection, flags, file, 0); }
#endif

}  // namespace

Mapping map_file(const char* path, const char** reason) {
  Mapping mapping = {nullptr, 0, nullptr};
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    *reason = "the file cannot be opened";
    return mapping;
  }
  const i64 size = file_size(file);
  if (size <= 0 || static_cast<u64>(size) > ~size_t{0} / 2) {
    *reason = "the file is empty, too large or not a regular file";
  } else {
    void* data = map_pages(static_cast<size_t>(size), PROT_READ, MAP_PRIVATE, file);
    if (data == MAP_FAILED) {
      *reason = "the file cannot be mapped";
    } else {
      mapping.data = static_cast<const u8*>(data);
      mapping.size = static_cast<size_t>(size);
    }
  }
  close(file);
  return mapping;
}

void unmap(Mapping& mapping) {
  if (mapping.data) munmap(const_cast<u8*>(mapping.data), mapping.size);
  mapping = {nullptr, 0, nullptr};
}

void* allocate_pages(size_t size) {
  void* data = map_pages(size ? size : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1);
  return data == MAP_FAILED ? nullptr : data;
}

void prefer_large_pages(void* data, size_t size) {
#if defined(MADV_HUGEPAGE)
  madvise(data, size, MADV_HUGEPAGE);
#else
  (void)data, (void)size;
#endif
}

void free_pages(void* data, size_t size) {
  if (data) munmap(data, size ? size : 1);
}

u64 now_ns() {
#if defined(__linux__) && defined(__arm__)
  long t[2] = {};
  syscall(263 /* clock_gettime with seconds of 32 bits: enough since boot */, CLOCK_MONOTONIC, t);
  return static_cast<u64>(t[0]) * 1000000000u + static_cast<u64>(t[1]);
#else
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<u64>(t.tv_sec) * 1000000000u + static_cast<u64>(t.tv_nsec);
#endif
}

#if defined(__linux__)
// CPUs that this process may use. (musl and bionic number sysconf's questions differently.)
int cpu_count() {
  u8 mask[512] = {};
  const long bytes = syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask);
  int n = 0;
  for (long i = 0; i < bytes; ++i) n += __builtin_popcount(mask[i]);
  return n < 1 ? 1 : n;
}

// A field of /proc/self/status in bytes. (getrusage's maximum survives exec: it would count the parent's memory.)
static size_t status_bytes(const char* field) {
  char text[4096];
  const int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  const ssize_t size = read(file, text, sizeof(text) - 1);
  close(file);
  if (size <= 0) return 0;
  text[size] = 0;
  const char* at = strstr(text, field);
  return at ? static_cast<size_t>(strtoul(at + strlen(field), nullptr, 10)) * 1024 : 0;
}

size_t peak_rss_bytes() { return status_bytes("VmHWM:"); }

void wait_on(u32* address, u32 expected) { syscall(SYS_futex, address, 128 /* FUTEX_WAIT_PRIVATE */, expected, nullptr, nullptr, 0); }
void wake_all(u32* address) { syscall(SYS_futex, address, 129 /* FUTEX_WAKE_PRIVATE */, 0x7fffffff, nullptr, nullptr, 0); }
#else
int cpu_count() {
  const long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n < 1 ? 1 : static_cast<int>(n);
}

size_t peak_rss_bytes() {
  struct rusage usage;
  return getrusage(RUSAGE_SELF, &usage) == 0 ? static_cast<size_t>(usage.ru_maxrss) : 0;
}

// Apple's futex is private API; one condition variable for all waiters serves a pool that rarely sleeps.
static pthread_mutex_t wait_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wait_condition = PTHREAD_COND_INITIALIZER;

void wait_on(u32* address, u32 expected) {
  pthread_mutex_lock(&wait_mutex);
  if (__atomic_load_n(address, __ATOMIC_ACQUIRE) == expected) pthread_cond_wait(&wait_condition, &wait_mutex);
  pthread_mutex_unlock(&wait_mutex);
}
void wake_all(u32*) {
  pthread_mutex_lock(&wait_mutex);
  pthread_cond_broadcast(&wait_condition);
  pthread_mutex_unlock(&wait_mutex);
}
#endif

namespace {
struct Start {
  void (*body)(void*);
  void* argument;
};
void* trampoline(void* raw) {
  const Start start = *static_cast<Start*>(raw);
  free(raw);
  start.body(start.argument);
  return nullptr;
}
}  // namespace

bool start_thread(Thread* thread, void (*body)(void*), void* argument) {
  auto* start = static_cast<Start*>(malloc(sizeof(Start)));
  if (!start) return false;
  *start = {body, argument};
  pthread_t id;
  if (pthread_create(&id, nullptr, trampoline, start) != 0) {
    free(start);
    return false;
  }
  static_assert(sizeof(id) == sizeof(thread->handle));
  memcpy(&thread->handle, &id, sizeof(id));
  return true;
}

void join_thread(Thread thread) {
  pthread_t id;
  memcpy(&id, &thread.handle, sizeof(id));
  pthread_join(id, nullptr);
}

}  // namespace edgeort
#endif
