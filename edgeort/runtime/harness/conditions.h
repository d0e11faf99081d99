// What the system tells of the machine while it is measured: frequency, governor, temperature. Linux and Android tell.
#pragma once
#include "platform.h"

namespace edgeort {

struct Sample {
  double at_s;           // since the timed runs began
  double mhz;            // of the CPU that asks; negative: the system does not tell
  double temperature_c;  // of the hottest sensor of the CPU, or NaN
  char governor[24];     // or ""
};

// How many threads ran or wanted to on average in the last minute; negative: the system does not tell.
double load_average();

class Conditions {
 public:
  // Finds the sensors: those of CPUs by their names, where there are such, else all.
  Conditions();
  Sample sample(double at_s) const;

 private:
  static constexpr int kMost = 8;
  static constexpr int kPathBytes = 80;

  void find(const char* folder, const char* name_file, const char* value_file, bool of_cpus);

  [[maybe_unused]] char paths_[kMost][kPathBytes];
  [[maybe_unused]] int n_ = 0;
};

}  // namespace edgeort
