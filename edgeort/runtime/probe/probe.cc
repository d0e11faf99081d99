// What the device is and how fast it can be at most, as JSON.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facts.h"
#include "peaks.h"

namespace {

const char kUsage[] =
    "usage: edgeort_probe facts\n"
    "       edgeort_probe peaks [--threads N] [--cpu N] [--ms N] [--bytes N]\n"
    "facts: the CPU's levels, and files of /proc and /sys. peaks: multiply-adds and reading memory, of one core (on that CPU)\n"
    "and of N threads, each for about that many milliseconds; what is read has that many bytes.\n";

int usage() {
  fputs(kUsage, stderr);
  return 2;
}

void print_rate(const char* name, const edgeort::Rate& rate) { printf(", \"%s\": [%.6g, %.6g]", name, rate.one, rate.all); }

int peaks(int argc, char** argv) {
  edgeort::PeakOptions options = {1, -1, 300, size_t{64} << 20};
  for (int i = 2; i + 1 < argc; i += 2) {
    char* end = nullptr;
    const long long number = strtoll(argv[i + 1], &end, 10);
    if (*end || end == argv[i + 1] || number < 0) return usage();
    if (strcmp(argv[i], "--threads") == 0 && number > 0) {
      options.threads = static_cast<int>(number);
    } else if (strcmp(argv[i], "--cpu") == 0) {
      options.cpu = static_cast<int>(number);
    } else if (strcmp(argv[i], "--ms") == 0 && number > 0) {
      options.ms = static_cast<int>(number);
    } else if (strcmp(argv[i], "--bytes") == 0 && number >= 1 << 16) {
      options.bytes = static_cast<size_t>(number);
    } else {
      return usage();
    }
  }
  if (argc % 2) return usage();
  edgeort::Peaks found;
  if (!edgeort::measure_peaks(options, &found)) {
    fputs("edgeort_probe: out of memory, or a CPU without vectors\n", stderr);
    return 2;
  }
  printf("{\"isa\": \"%s\", \"threads\": %d", found.isa, found.threads);
  print_rate("float32_gflops", found.float32);
  print_rate("int8_gops", found.int8);
  print_rate("bandwidth_gbs", found.read);
  printf("}\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "facts") == 0) {
    printf("{");
    edgeort::print_facts();
    printf("}\n");
    return 0;
  }
  return argc >= 2 && strcmp(argv[1], "peaks") == 0 ? peaks(argc, argv) : usage();
}
