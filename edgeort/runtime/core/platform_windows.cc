// Windows 10 and later.
#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
// (after windows.h)
#include <psapi.h>
#include <stdlib.h>

#include "platform.h"

namespace edgeort {

Mapping map_file(const char* path, const char** reason) {
  Mapping mapping = {nullptr, 0, nullptr};
  wchar_t wide[32768];
  if (!MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, 32768)) {
    *reason = "the path is not UTF-8 or is too long";
    return mapping;
  }
  HANDLE file = CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ, nullptr, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr);
  if (file == INVALID_HANDLE_VALUE) {
    *reason = "the file cannot be opened";
    return mapping;
  }
  LARGE_INTEGER size;
  HANDLE view = nullptr;
  if (!GetFileSizeEx(file, &size) || size.QuadPart <= 0) {
    *reason = "the file is empty or not a regular file";
  } else if (!(view = CreateFileMappingW(file, nullptr, PAGE_READONLY, 0, 0, nullptr))) {
    *reason = "the file cannot be mapped";
  } else if (!(mapping.data = static_cast<const u8*>(MapViewOfFile(view, FILE_MAP_READ, 0, 0, 0)))) {
    *reason = "the file cannot be mapped";
  } else {
    mapping.size = static_cast<size_t>(size.QuadPart);
  }
  if (view) CloseHandle(view);
  CloseHandle(file);
  return mapping;
}

void unmap(Mapping& mapping) {
  if (mapping.data) UnmapViewOfFile(mapping.data);
  mapping = {nullptr, 0, nullptr};
}

void prefer_large_pages(void*, size_t) {}

void* allocate_pages(size_t size) { return VirtualAlloc(nullptr, size ? size : 1, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE); }
void free_pages(void* data, size_t) {
  if (data) VirtualFree(data, 0, MEM_RELEASE);
}

u64 now_ns() {
  LARGE_INTEGER frequency, ticks;
  QueryPerformanceFrequency(&frequency);
  QueryPerformanceCounter(&ticks);
  const u64 f = static_cast<u64>(frequency.QuadPart), t = static_cast<u64>(ticks.QuadPart);
  return t / f * 1000000000u + t % f * 1000000000u / f;
}

int cpu_count() {
  SYSTEM_INFO info;
  GetSystemInfo(&info);
  return static_cast<int>(info.dwNumberOfProcessors);
}

size_t peak_rss_bytes() {
  PROCESS_MEMORY_COUNTERS counters;
  return K32GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof(counters)) ? counters.PeakWorkingSetSize : 0;
}

namespace {
SRWLOCK wait_lock = SRWLOCK_INIT;
CONDITION_VARIABLE wait_condition = CONDITION_VARIABLE_INIT;

struct Start {
  void (*body)(void*);
  void* argument;
};
DWORD WINAPI trampoline(void* raw) {
  const Start start = *static_cast<Start*>(raw);
  free(raw);
  start.body(start.argument);
  return 0;
}
}  // namespace

void wait_on(u32* address, u32 expected) {
  AcquireSRWLockExclusive(&wait_lock);
  if (__atomic_load_n(address, __ATOMIC_ACQUIRE) == expected) SleepConditionVariableSRW(&wait_condition, &wait_lock, INFINITE, 0);
  ReleaseSRWLockExclusive(&wait_lock);
}
void wake_all(u32*) {
  AcquireSRWLockExclusive(&wait_lock);
  WakeAllConditionVariable(&wait_condition);
  ReleaseSRWLockExclusive(&wait_lock);
}

bool start_thread(Thread* thread, void (*body)(void*), void* argument) {
  auto* start = static_cast<Start*>(malloc(sizeof(Start)));
  if (!start) return false;
  *start = {body, argument};
  thread->handle = CreateThread(nullptr, 0, trampoline, start, 0, nullptr);
  if (!thread->handle) free(start);
  return thread->handle != nullptr;
}

void join_thread(Thread thread) {
  WaitForSingleObject(thread.handle, INFINITE);
  CloseHandle(thread.handle);
}

}  // namespace edgeort
#endif
