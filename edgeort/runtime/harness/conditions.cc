#include "conditions.h"

#if defined(__linux__)
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cores.h"
#endif

namespace edgeort {
namespace {

constexpr double kNoTemperature = __builtin_nan("");

#if defined(__linux__)
constexpr int kMostSensors = 128;

// What sensors of CPUs have in their names: of boards, of phones, of PCs.
constexpr const char* kCpuNames[] = {"cpu", "soc", "pkg", "core", "CPU", "BIG", "MID", "LITTLE", "k10temp", "zenpower"};

bool is_of_cpu(const char* name) {
  for (const char* part : kCpuNames) {
    if (strstr(name, part)) return true;
  }
  return false;
}

// In degrees; NaN where there is none, or a number that no working sensor gives.
double read_temperature(const char* path) {
  char text[32];
  if (!read_line(path, text, sizeof(text))) return kNoTemperature;
  const double celsius = strtod(text, nullptr) * 1e-3;
  return celsius > -60 && celsius < 200 && celsius != 0 ? celsius : kNoTemperature;
}
#endif

}  // namespace

#if defined(__linux__)
double load_average() {
  char text[64];
  return read_line("/proc/loadavg", text, sizeof(text)) ? strtod(text, nullptr) : -1;
}

void Conditions::find(const char* folder, const char* name_file, const char* value_file, bool of_cpus) {
  for (int i = 0; i < kMostSensors && n_ < kMost; ++i) {
    char path[kPathBytes], name[64];
    snprintf(path, sizeof(path), "%s%d/%s", folder, i, name_file);
    if (!read_line(path, name, sizeof(name)) || (of_cpus && !is_of_cpu(name))) continue;
    snprintf(paths_[n_], kPathBytes, "%s%d/%s", folder, i, value_file);
    if (read_temperature(paths_[n_]) == read_temperature(paths_[n_])) ++n_;  // not NaN
  }
}

Conditions::Conditions() {
  find("/sys/class/thermal/thermal_zone", "type", "temp", true);
  if (!n_) find("/sys/class/hwmon/hwmon", "name", "temp1_input", true);
  if (!n_) find("/sys/class/thermal/thermal_zone", "type", "temp", false);
}

Sample Conditions::sample(double at_s) const {
  Sample s = {at_s, -1, kNoTemperature, ""};
  char path[kPathBytes], text[32];
  const int cpu = current_cpu();
  snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq", cpu);
  if (cpu >= 0 && read_line(path, text, sizeof(text))) s.mhz = strtod(text, nullptr) * 1e-3;
  snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", cpu);
  if (cpu < 0 || !read_line(path, s.governor, sizeof(s.governor))) s.governor[0] = 0;
  for (int i = 0; i < n_; ++i) {
    const double found = read_temperature(paths_[i]);
    if (!(found <= s.temperature_c)) s.temperature_c = found == found ? found : s.temperature_c;
  }
  return s;
}
#else
double load_average() { return -1; }
Conditions::Conditions() {}
Sample Conditions::sample(double at_s) const { return {at_s, -1, kNoTemperature, ""}; }
#endif

}  // namespace edgeort
