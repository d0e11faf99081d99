// Which ISA levels this CPU has. The compiler's own __builtin_cpu_supports answers 0 in this toolchain.
#include <string.h>
#if (defined(__aarch64__) || defined(__arm__)) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include "platform.h"

namespace edgeort {
namespace {

struct Name {
  const char* name;
  int level;
};

constexpr u32 bit(int level) { return 1u << level; }

#if defined(__x86_64__)
constexpr Name kNames[] = {
    {"generic", kIsa_generic}, {"v3", kIsa_v3}, {"avx_vnni", kIsa_avx_vnni}, {"v4", kIsa_v4}, {"avx512_vnni", kIsa_avx512_vnni}};

void cpuid(u32 leaf, u32 subleaf, u32 out[4]) {
  __asm__ volatile("cpuid" : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3]) : "a"(leaf), "c"(subleaf));
}

u64 xcr0() {
  u32 low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<u64>(high) << 32 | low;
}

bool all(u32 word, u32 bits) { return (word & bits) == bits; }

// The levels that the CPU has, a bit each.
u32 detect() {
  u32 found = bit(kIsa_generic), r[4];
  cpuid(0, 0, r);
  if (r[0] < 7) return found;
  cpuid(1, 0, r);
  // FMA 12, MOVBE 22, OSXSAVE 27, AVX 28, F16C 29
  if (!all(r[2], 1u << 12 | 1u << 22 | 1u << 27 | 1u << 28 | 1u << 29) || (xcr0() & 6) != 6) return found;
  u32 extended[4], more[4];
  cpuid(0x80000001, 0, extended);
  if (!all(extended[2], 1u << 5)) return found;  // LZCNT
  cpuid(7, 0, r);
  cpuid(7, 1, more);
  // BMI1 3, AVX2 5, BMI2 8
  if (!all(r[1], 1u << 3 | 1u << 5 | 1u << 8)) return found;
  found |= bit(kIsa_v3);
  if (r[0] >= 1 && all(more[0], 1u << 4)) found |= bit(kIsa_avx_vnni);
  // AVX512 F 16, DQ 17, CD 28, BW 30, VL 31; the system must save opmask and ZMM state
  if (!all(r[1], 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31) || (xcr0() & 0xe6) != 0xe6) return found;
  found |= bit(kIsa_v4);
  if (all(r[2], 1u << 11)) found |= bit(kIsa_avx512_vnni);
  return found;
}
#elif defined(__aarch64__)
constexpr Name kNames[] = {{"neon", kIsa_neon}, {"dotprod", kIsa_dotprod}, {"i8mm", kIsa_i8mm}};

// Whether the system tells of dot products, and of matrix products (Linux: arch/arm64/include/uapi/asm/hwcap.h).
#if defined(__linux__)
bool dot_products() { return getauxval(AT_HWCAP) & 1 << 20; }
bool matrix_products() { return getauxval(AT_HWCAP2) & 1 << 13; }
#elif defined(__APPLE__)
bool told(const char* feature) {
  int value = 0;
  size_t size = sizeof(value);
  return sysctlbyname(feature, &value, &size, nullptr, 0) == 0 && value == 1;
}
bool dot_products() { return told("hw.optional.arm.FEAT_DotProd"); }
bool matrix_products() { return told("hw.optional.arm.FEAT_I8MM"); }
#else
bool dot_products() { return false; }
bool matrix_products() { return false; }
#endif

u32 detect() {
  u32 found = bit(kIsa_generic) | bit(kIsa_neon);
  if (!dot_products()) return found;
  found |= bit(kIsa_dotprod);
  return matrix_products() ? found | bit(kIsa_i8mm) : found;
}
#elif defined(__arm__) && __ARM_ARCH_PROFILE == 'M'
constexpr Name kNames[] = {{"m4f", kIsa_m4f}};

// Nothing tells: the library is linked for one core.
u32 detect() { return bit(kIsa_generic) | bit(kIsa_m4f); }
#elif defined(__arm__)
constexpr Name kNames[] = {{"neon32", kIsa_neon32}};

// NEON 12, VFPv4 16, which has fused multiply-add, IDIVA 17 (Linux: arch/arm/include/uapi/asm/hwcap.h).
#if defined(__linux__)
bool has_neon32() {
  constexpr unsigned long kNeeded = 1ul << 12 | 1ul << 16 | 1ul << 17;
  return (getauxval(AT_HWCAP) & kNeeded) == kNeeded;
}
#else
bool has_neon32() { return true; }
#endif

u32 detect() { return bit(kIsa_generic) | (has_neon32() ? bit(kIsa_neon32) : 0); }
#elif defined(__wasm__)
constexpr Name kNames[] = {{"wasm", kIsa_wasm}, {"wasm_relaxed", kIsa_wasm_relaxed}};

// An engine that lacks a level's instructions refuses the module.
u32 detect() { return bit(kIsa_generic) | bit(kIsa_wasm) | bit(kIsa_wasm_relaxed); }
#else
constexpr Name kNames[] = {{"generic", kIsa_generic}};

u32 detect() { return bit(kIsa_generic); }
#endif

}  // namespace

bool cpu_has(int level) {
  static u32 levels;  // in a virtual machine each cpuid is a question to its host
  u32 found = __atomic_load_n(&levels, __ATOMIC_RELAXED);
  if (!found) __atomic_store_n(&levels, found = detect(), __ATOMIC_RELAXED);
  return found & bit(level);
}

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
