#include "facts.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#endif

#include "../core/platform.h"

namespace edgeort {
namespace {

constexpr int kFileBytes = 1 << 16, kPathBytes = 128, kMostCpus = 512, kMostCaches = 8;

const char* const kFiles[] = {"/proc/cpuinfo",           "/proc/meminfo",          "/etc/os-release",
                              "/proc/device-tree/model", "/sys/fs/cgroup/cpu.max", "/sys/devices/system/cpu/online"};
const char* const kCpuFiles[] = {"cpufreq/cpuinfo_max_freq", "cpu_capacity", "topology/thread_siblings_list"};
const char* const kCacheFiles[] = {"level", "type", "size", "shared_cpu_list"};

char content[kFileBytes];

// The file's text as a member, where there is one; true when there was.
bool print_file(const char* path, bool first) {
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  long size = 0;
  for (long n; size < kFileBytes && (n = read(file, content + size, static_cast<size_t>(kFileBytes - size))) > 0;) size += n;
  close(file);
  while (size > 0 && content[size - 1] == 0) --size;  // device trees end their texts so
  printf("%s", first ? "" : ", ");
  print_string(path, static_cast<long>(strlen(path)));
  printf(": ");
  print_string(content, size);
  return true;
}

void print_files() {
  printf("\"files\": {");
  bool first = true;
  char path[kPathBytes];
  for (const char* name : kFiles) first &= !print_file(name, first);
  for (int cpu = 0; cpu < kMostCpus; ++cpu) {
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d", cpu);
    if (access(path, F_OK) != 0) break;
    for (const char* name : kCpuFiles) {
      snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/%s", cpu, name);
      first &= !print_file(path, first);
    }
    for (int index = 0; index < kMostCaches; ++index) {
      for (const char* name : kCacheFiles) {
        snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/cache/index%d/%s", cpu, index, name);
        first &= !print_file(path, first);
      }
    }
  }
  printf("}");
}

// CPUs that this process may use.
void print_cpus() {
  printf("\"cpus\": [");
#if defined(__linux__)
  u8 mask[512] = {};
  const long bytes = syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask);
  int n = 0;
  for (long cpu = 0; cpu < 8 * bytes; ++cpu) {
    if (mask[cpu / 8] >> (cpu % 8) & 1) printf("%s%ld", n++ ? ", " : "", cpu);
  }
#else
  for (int cpu = 0; cpu < cpu_count(); ++cpu) printf("%s%d", cpu ? ", " : "", cpu);
#endif
  printf("]");
}

void print_levels() {
  printf("\"isa\": [");
  int n = 0;
  for (int level = kIsa_generic + 1; level < kIsas; ++level) {
    if (cpu_has(level)) printf("%s\"%s\"", n++ ? ", " : "", isa_name(level));
  }
  printf("]");
}

}  // namespace

void print_string(const char* text, long size) {
  putchar('"');
  for (long i = 0; i < size; ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '"' || c == '\\') {
      printf("\\%c", c);
    } else if (c < 32 || c > 126) {  // bytes: the reader makes text of them
      printf("\\u%04x", c);
    } else {
      putchar(c);
    }
  }
  putchar('"');
}

void print_facts() {
#if defined(__linux__)
  struct utsname system;
  if (uname(&system) == 0) {
    printf("\"kernel\": ");
    print_string(system.release, static_cast<long>(strlen(system.release)));
    printf(", \"machine\": ");
    print_string(system.machine, static_cast<long>(strlen(system.machine)));
    printf(", ");
  }
  printf("\"hwcap\": %lu, \"hwcap2\": %lu, ", getauxval(AT_HWCAP), getauxval(AT_HWCAP2));
#endif
  print_levels();
  printf(", ");
  print_cpus();
  printf(", ");
  print_files();
}

}  // namespace edgeort
