// Kernels exist once for every ISA level of a build; the best one that the CPU has is picked at prepare.
//
// A family writes its vector code in `<family>.isa.cc`, which the toolchain compiles once a level with EDGEORT_ISA set to
// the level's name, and whose only symbols are constants made by EDGEORT_KERNEL: function pointers, or tables of them. The
// rest of the family writes EDGEORT_KERNELS(<Type>, <name>) and calls <name>(isa). The linker drops what nobody calls, so
// kernels that are not always used together want a constant each.
#pragma once
#include "platform.h"

#define EDGEORT_PASTE_(a, b) a##_##b
#define EDGEORT_PASTE(a, b) EDGEORT_PASTE_(a, b)
#define EDGEORT_NAME(name) EDGEORT_PASTE(name, EDGEORT_ISA)

#define EDGEORT_KERNEL(Type, name, ...) \
  extern const Type EDGEORT_NAME(name); \
  const Type EDGEORT_NAME(name) = __VA_ARGS__;

// EDGEORT_LEVELS(X, ...) is X(level, ...) for each level that the build has of the family, rising; the toolchain defines it.
#define EDGEORT_EXTERN_(level, Type, name) extern const Type name##_##level;
#define EDGEORT_PICK_(level, Type, name) \
  if (runs_isa(isa, kIsa_##level)) best = &name##_##level;
#define EDGEORT_KERNELS(Type, name)           \
  EDGEORT_LEVELS(EDGEORT_EXTERN_, Type, name) \
  static inline const Type& name(int isa) {   \
    const Type* best = nullptr;               \
    EDGEORT_LEVELS(EDGEORT_PICK_, Type, name) \
    return *best;                             \
  }
