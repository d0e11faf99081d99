// No operating system: memory that the firmware gives (edgeort_memory.h), one thread, no files.
#if defined(EDGEORT_BARE)
#include <string.h>

#include "../include/edgeort_memory.h"
#include "platform.h"

namespace edgeort {
namespace {

constexpr size_t kLine = 64;

// A part of the memory, free or not, behind its head; all of them lie one behind the other.
struct alignas(kLine) Part {
  size_t bytes;  // behind the head
  bool used;
};

struct Pool {
  u8* begin;
  u8* end;
  size_t in_use, peak;
} pool;

Part* first() { return reinterpret_cast<Part*>(pool.begin); }
Part* behind(Part* part) { return reinterpret_cast<Part*>(reinterpret_cast<u8*>(part + 1) + part->bytes); }
bool is_last(Part* part) { return reinterpret_cast<u8*>(behind(part)) >= pool.end; }

// Makes one part of a free one and those behind it that are free.
void join(Part* part) {
  while (!is_last(part) && !behind(part)->used) part->bytes += sizeof(Part) + behind(part)->bytes;
}

}  // namespace

// The first that is large enough.
void* allocate_pages(size_t size) {
  if (!pool.begin || size > ~size_t{0} - kLine) return nullptr;
  const size_t need = size ? (size + kLine - 1) & ~(kLine - 1) : kLine;
  for (Part* part = first();; part = behind(part)) {
    if (!part->used) {
      join(part);
      if (part->bytes >= need) {
        if (part->bytes - need > sizeof(Part)) {
          const size_t rest = part->bytes - need - sizeof(Part);
          part->bytes = need;
          *behind(part) = {rest, false};
        }
        part->used = true;
        pool.in_use += sizeof(Part) + part->bytes;
        if (pool.in_use > pool.peak) pool.peak = pool.in_use;
        return memset(part + 1, 0, part->bytes);
      }
    }
    if (is_last(part)) return nullptr;
  }
}

void free_pages(void* data, size_t) {
  if (!data) return;
  Part* part = static_cast<Part*>(data) - 1;
  part->used = false;
  pool.in_use -= sizeof(Part) + part->bytes;
}

void prefer_large_pages(void*, size_t) {}

Mapping map_file(const char*, const char** reason) {
  *reason = "there are no files here: edgeort_open_memory takes the plan from where it lies";
  return {nullptr, 0, nullptr};
}
void unmap(Mapping& mapping) { mapping = {nullptr, 0, nullptr}; }

u64 now_ns() { return edgeort_clock_ns(); }
int cpu_count() { return 1; }
size_t peak_rss_bytes() { return pool.peak; }

void wait_on(u32*, u32) {}
void wake_all(u32*) {}
bool start_thread(Thread*, void (*)(void*), void*) { return false; }
void join_thread(Thread) {}

}  // namespace edgeort

extern "C" {

__attribute__((weak)) uint64_t edgeort_clock_ns(void) { return 0; }

int edgeort_use_memory(void* memory, size_t bytes) {
  using namespace edgeort;
  if (pool.in_use) return 1;
  const uintptr_t from = (reinterpret_cast<uintptr_t>(memory) + kLine - 1) & ~uintptr_t{kLine - 1};
  const uintptr_t to = (reinterpret_cast<uintptr_t>(memory) + bytes) & ~uintptr_t{kLine - 1};
  pool = {};
  if (!memory || to < from + 2 * sizeof(Part)) return 0;  // none: every model is out of memory
  pool.begin = reinterpret_cast<u8*>(from);
  pool.end = reinterpret_cast<u8*>(to);
  *first() = {static_cast<size_t>(to - from) - sizeof(Part), false};
  return 0;
}

size_t edgeort_memory_in_use(void) { return edgeort::pool.in_use; }
size_t edgeort_memory_peak(void) { return edgeort::pool.peak; }
}
#endif
