/* What runs first on a Cortex-M: the vectors, and the floating-point unit. A board's own start-up code does the same. */
#include <stdint.h>

#define CPACR (*(volatile uint32_t*)0xE000ED88) /* Armv7-M Architecture Reference Manual, B3.2.20 */

extern uint32_t stack_top;
extern void _start(void); /* newlib: clears .bss, opens semihosting, calls main */

static void fault(void) {
  for (;;) {
  }
}

static void reset(void) {
  CPACR |= 0xFu << 20;
  __asm__ volatile("dsb\n isb");
  _start();
}

__attribute__((section(".vectors"), used)) static void* const vectors[16] = {&stack_top,   (void*)reset, (void*)fault, (void*)fault,
                                                                             (void*)fault, (void*)fault, (void*)fault};
