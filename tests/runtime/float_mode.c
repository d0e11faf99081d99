// This thread's floating-point mode, for tests that play a caller who has changed it.
#include <stdint.h>

uint64_t mode(void) {
#if defined(__x86_64__)
  return __builtin_ia32_stmxcsr();
#else
  uint64_t value;
  __asm__ volatile("mrs %0, fpcr" : "=r"(value));
  return value;
#endif
}

void set_mode(uint64_t value) {
#if defined(__x86_64__)
  __builtin_ia32_ldmxcsr((unsigned)value);
#else
  __asm__ volatile("msr fpcr, %0" ::"r"(value));
#endif
}
