#include "loading.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace edgeort {
namespace {

constexpr int kPathBytes = 4096;
#if defined(_WIN32)
constexpr char kListSeparator = ';';
#else
constexpr char kListSeparator = ':';
#endif

void* open_library(const char* path) {
#if defined(_WIN32)
  // With a path, what the library itself needs is looked for beside it.
  const DWORD flags = strpbrk(path, "/\\") ? LOAD_WITH_ALTERED_SEARCH_PATH : 0;
  return reinterpret_cast<void*>(LoadLibraryExA(path, nullptr, flags));
#else
  return dlopen(path, RTLD_NOW | RTLD_LOCAL);
#endif
}

void* open_in(const char* folder, size_t length, const char* between, const char* name) {
  char path[kPathBytes];
  if (snprintf(path, kPathBytes, "%.*s%s%s", static_cast<int>(length), folder, between, name) >= kPathBytes) return nullptr;
  return open_library(path);
}

// Whether a path of that length is of the library, whatever version stands behind its ".so".
bool is_library(const char* path, size_t length, const char* name) {
  const char* version = strstr(name, ".so");
  const size_t stem = version ? static_cast<size_t>(version - name) + 3 : strlen(name);
  size_t base = length;
  while (base && path[base - 1] != '/' && path[base - 1] != '\\') --base;
  return length - base >= stem && strncmp(path + base, name, stem) == 0;
}

void* open_in_list(const char* list, const char* name) {
  for (const char* at = list; at && *at;) {
    const char* end = strchr(at, kListSeparator);
    const size_t length = end ? static_cast<size_t>(end - at) : strlen(at);
    if (void* found = open_in(at, length, "/", name)) return found;
    if (void* found = is_library(at, length, name) ? open_in(at, length, "", "") : nullptr) return found;
    at = end ? end + 1 : nullptr;
  }
  return nullptr;
}

}  // namespace

bool own_folder(char* out, int size) {
#if defined(_WIN32)
  HMODULE module;
  const DWORD flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
  if (!GetModuleHandleExA(flags, reinterpret_cast<LPCSTR>(&own_folder), &module)) return false;
  const DWORD length = GetModuleFileNameA(module, out, static_cast<DWORD>(size));
  if (!length || length >= static_cast<DWORD>(size)) return false;
  for (char* at = out; *at; ++at) *at = *at == '\\' ? '/' : *at;
#else
  Dl_info info;
  if (!dladdr(reinterpret_cast<void*>(&own_folder), &info)) return false;
  if (snprintf(out, static_cast<size_t>(size), "%s", info.dli_fname) >= size) return false;
#endif
  char* slash = strrchr(out, '/');
  if (!slash) return snprintf(out, static_cast<size_t>(size), "./"), true;
  slash[1] = 0;
  return true;
}

void* load_library(const char* const* names) {
  char own[kPathBytes];
  const bool known = own_folder(own, kPathBytes);
  for (int i = 0; names[i]; ++i) {
    if (void* found = open_in_list(getenv("EDGEORT_LIBRARIES"), names[i])) return found;
    if (void* found = known ? open_in(own, strlen(own), "", names[i]) : nullptr) return found;
    if (void* found = known ? open_in(own, strlen(own), "../lib/", names[i]) : nullptr) return found;
    if (void* found = open_library(names[i])) return found;
  }
  return nullptr;
}

void* find_symbol(void* library, const char* name) {
#if defined(_WIN32)
  return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(library), name));
#else
  return dlsym(library, name);
#endif
}

}  // namespace edgeort
