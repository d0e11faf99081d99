#include "cores.h"

#include <stdio.h>
#if defined(__linux__)
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace edgeort {
namespace {

#if defined(__linux__)
constexpr double kSameKind = 1.1;  // single cores of one kind are let run a few percent faster than the others

// How fast a CPU is among those of this machine; 0: the system does not tell.
double speed_of(int cpu) {
  char path[80], text[32];
  constexpr const char* kFiles[] = {"cpu_capacity", "cpufreq/cpuinfo_max_freq"};
  for (const char* file : kFiles) {
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/%s", cpu, file);
    if (read_line(path, text, sizeof(text))) return strtod(text, nullptr);
  }
  return 0;
}

const char* choose_kind(bool big, const Cores& allowed, Cores* chosen) {
  double slowest = 0, fastest = 0;
  for (int cpu = 0; cpu < kMaxCpus; ++cpu) {
    const double speed = allowed.has(cpu) ? speed_of(cpu) : 0;
    if (allowed.has(cpu) && speed == 0)
      return "the system does not tell which cores are big and which are little; give numbers, such as --cores 0-3";
    if (speed > fastest) fastest = speed;
    if (speed > 0 && (slowest == 0 || speed < slowest)) slowest = speed;
  }
  const double border = slowest * kSameKind;
  if (fastest <= border) return "the cores here are all of one kind; give numbers, such as --cores 0-3";
  for (int cpu = 0; cpu < kMaxCpus; ++cpu) {
    if (allowed.has(cpu) && (speed_of(cpu) > border) == big) chosen->add(cpu);
  }
  return nullptr;
}

// 0-3,6 and the like.
const char* choose_numbers(const char* at, const Cores& allowed, Cores* chosen) {
  for (;; ++at) {
    char* end;
    const long first = strtol(at, &end, 10);
    if (end == at || first < 0) return "this is not big, little, or numbers such as 0-3 or 0,2";
    long last = first;
    if (*end == '-') last = strtol(at = end + 1, &end, 10);
    if (end == at || last < first || last >= kMaxCpus) return "this is not big, little, or numbers such as 0-3 or 0,2";
    for (long cpu = first; cpu <= last; ++cpu) {
      if (!allowed.has(static_cast<int>(cpu))) return "there is no such CPU here that this process may use";
      chosen->add(static_cast<int>(cpu));
    }
    if (!*end) return nullptr;
    if (*end != ',') return "this is not big, little, or numbers such as 0-3 or 0,2";
    at = end;
  }
}
#endif

}  // namespace

int Cores::count() const {
  int n = 0;
  for (const u8 byte : mask) n += __builtin_popcount(byte);
  return n;
}

#if defined(__linux__)
bool read_line(const char* path, char* line, int line_bytes) {
  FILE* file = fopen(path, "rb");
  if (!file) return false;
  bool good = fgets(line, line_bytes, file) != nullptr;
  fclose(file);
  if (!good) return false;
  size_t length = strlen(line);
  while (length && (line[length - 1] == '\n' || line[length - 1] == ' ')) --length;
  line[length] = 0;
  return length > 0;
}

bool hold_to_cores(const char* text, Cores* cores, char* error, size_t error_bytes) {
  Cores allowed = {};
  *cores = {};
  if (syscall(SYS_sched_getaffinity, 0, sizeof(allowed.mask), allowed.mask) < 0) {
    return snprintf(error, error_bytes, "--cores: the system does not tell which CPUs there are"), false;
  }
  const bool big = strcmp(text, "big") == 0;
  const char* reason = big || strcmp(text, "little") == 0 ? choose_kind(big, allowed, cores) : choose_numbers(text, allowed, cores);
  if (!reason && syscall(SYS_sched_setaffinity, 0, sizeof(cores->mask), cores->mask) != 0) reason = "the system refuses";
  if (reason) return snprintf(error, error_bytes, "--cores %s: %s", text, reason), false;
  return true;
}

int current_cpu() {
  unsigned cpu;
  return syscall(SYS_getcpu, &cpu, nullptr, nullptr) == 0 ? static_cast<int>(cpu) : -1;
}
#else
bool hold_to_cores(const char* text, Cores*, char* error, size_t error_bytes) {
  return snprintf(error, error_bytes, "--cores %s: this system does not let programs choose their cores", text), false;
}

int current_cpu() { return -1; }
#endif

}  // namespace edgeort
