#include "onnxruntime_cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loading.h"

#if defined(_WIN32)
#include <direct.h>
#else
#include <sys/stat.h>
#endif

namespace edgeort {
namespace {

constexpr size_t kPathBytes = 4096;

// As edgeort has it on the machine that builds: $EDGEORT_CACHE, else the platform's place for caches.
bool cache_folder(char* out, size_t size) {
  const auto written = [&](const char* base, const char* rest) { return snprintf(out, size, "%s%s", base, rest) < static_cast<int>(size); };
  if (const char* chosen = getenv("EDGEORT_CACHE")) return written(chosen, "");
#if defined(_WIN32)
  const char* local = getenv("LOCALAPPDATA");
  return local && written(local, "/edgeort/cache");
#else
  const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  return xdg ? written(xdg, "/edgeort") : home && written(home, "/.cache/edgeort");
#endif
}

void make_folders(char* path) {
  for (char* at = path + 1;; ++at) {
    if (*at && *at != '/') continue;
    const char kept = *at;
    *at = 0;
#if defined(_WIN32)
    _mkdir(path);
#else
    mkdir(path, 0755);
#endif
    *at = kept;
    if (!kept) return;
  }
}

// Name and driver version by NVIDIA's driver API, as in NVIDIA-Orin-driver-12060. False where no driver or no such GPU answers.
bool gpu_name(int device, char* out, size_t size) {
  const char* const names[] = {"libcuda.so.1", "nvcuda.dll", nullptr};
  void* driver = load_library(names);
  if (!driver) return false;
  const auto init = reinterpret_cast<int (*)(unsigned)>(find_symbol(driver, "cuInit"));
  const auto get_version = reinterpret_cast<int (*)(int*)>(find_symbol(driver, "cuDriverGetVersion"));
  const auto get_device = reinterpret_cast<int (*)(int*, int)>(find_symbol(driver, "cuDeviceGet"));
  const auto get_name = reinterpret_cast<int (*)(char*, int, int)>(find_symbol(driver, "cuDeviceGetName"));
  if (!init || !get_version || !get_device || !get_name) return false;
  char name[128];
  int version = 0, handle = 0;
  if (init(0) || get_version(&version) || get_device(&handle, device) || get_name(name, sizeof(name), handle)) return false;
  for (char* at = name; *at; ++at) {
    const bool plain = (*at >= '0' && *at <= '9') || (*at >= 'A' && *at <= 'Z') || (*at >= 'a' && *at <= 'z');
    if (!plain) *at = '-';
  }
  return snprintf(out, size, "%s-driver-%d", name, version) < static_cast<int>(size);
}

}  // namespace

bool fill_places(const char* value, int device, const char* version, char* out, size_t size, char* error, size_t error_size) {
  const auto fail = [&](const char* why) { return snprintf(error, error_size, "%s", why), false; };
  char place[kPathBytes];
  size_t used = 0;
  bool is_folder = false;
  for (const char* at = value; *at;) {
    size_t length = 1;
    const char* text = at;
    if (strncmp(at, "{cache}", 7) == 0) {
      if (!cache_folder(place, sizeof(place))) return fail("no folder for caches is known: set EDGEORT_CACHE");
      at += 7, is_folder = true, text = place, length = strlen(place);
    } else if (strncmp(at, "{gpu}", 5) == 0) {
      if (!gpu_name(device, place, sizeof(place))) return fail("no NVIDIA GPU answers (libcuda.so.1, nvcuda.dll)");
      at += 5, text = place, length = strlen(place);
    } else if (strncmp(at, "{version}", 9) == 0) {
      at += 9, text = version, length = strlen(version);
    } else {
      ++at;
    }
    if (used + length >= size) return fail("a setting is too long");
    memcpy(out + used, text, length);
    used += length;
  }
  out[used] = 0;
  if (is_folder) make_folders(out);
  return true;
}

}  // namespace edgeort
