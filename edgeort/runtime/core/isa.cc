// Which ISA level this CPU has. The compiler's own __builtin_cpu_supports answers 0 in this toolchain.
#include <string.h>

#include "platform.h"

namespace edgeort {
namespace {

struct Name {
  const char* name;
  int level;
};

#if defined(__x86_64__)
constexpr Name kNames[] = {{"generic", kIsa_generic}, {"v3", kIsa_v3}, {"v4", kIsa_v4}};

void cpuid(u32 leaf, u32 subleaf, u32 out[4]) {
  __asm__ volatile("cpuid" : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3]) : "a"(leaf), "c"(subleaf));
}

u64 xcr0() {
  u32 low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<u64>(high) << 32 | low;
}

bool all(u32 word, u32 bits) { return (word & bits) == bits; }

int detect() {
  u32 r[4];
  cpuid(0, 0, r);
  if (r[0] < 7) return kIsa_generic;
  cpuid(1, 0, r);
  // FMA 12, MOVBE 22, OSXSAVE 27, AVX 28, F16C 29
  if (!all(r[2], 1u << 12 | 1u << 22 | 1u << 27 | 1u << 28 | 1u << 29) || (xcr0() & 6) != 6) return kIsa_generic;
  u32 extended[4];
  cpuid(0x80000001, 0, extended);
  if (!all(extended[2], 1u << 5)) return kIsa_generic;  // LZCNT
  cpuid(7, 0, r);
  // BMI1 3, AVX2 5, BMI2 8
  if (!all(r[1], 1u << 3 | 1u << 5 | 1u << 8)) return kIsa_generic;
  // AVX512 F 16, DQ 17, CD 28, BW 30, VL 31; the system must save opmask and ZMM state
  if (all(r[1], 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31) && (xcr0() & 0xe6) == 0xe6) return kIsa_v4;
  return kIsa_v3;
}
#elif defined(__aarch64__)
constexpr Name kNames[] = {{"neon", kIsa_neon}};

int detect() { return kIsa_neon; }
#elif defined(__arm__)
constexpr Name kNames[] = {{"neon32", kIsa_neon32}};

int detect() { return kIsa_neon32; }
#else
constexpr Name kNames[] = {{"generic", kIsa_generic}};

int detect() { return kIsa_generic; }
#endif

}  // namespace

int cpu_isa() { return detect(); }

const char* isa_name(int level) {
  for (const Name& entry : kNames) {
    if (entry.level == level) return entry.name;
  }
  return "unknown";
}

int isa_from_name(const char* name) {
  for (const Name& entry : kNames) {
    if (strcmp(entry.name, name) == 0) return entry.level;
  }
  return -1;
}

}  // namespace edgeort
