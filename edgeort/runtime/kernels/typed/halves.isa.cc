// float16 to and from float32 for one ISA level.
#include "halves.h"

#include "../../simd/half.h"

namespace edgeort {
namespace {

// f(i, n) over [0, total) in steps of kLanes; the last has n < kLanes.
template <class F>
EDGEORT_INLINE void steps(i64 total, const F& f) {
  i64 i = 0;
  for (; i + kLanes <= total; i += kLanes) f(i, kLanes);
  if (i < total) f(i, static_cast<int>(total - i));
}

void widen(f32* to, const u16* from, i64 n) {
  steps(n, [&](i64 i, int m) __attribute__((always_inline)) {
    if (m == kLanes) return store(to + i, load_halves<kLanes>(from + i));
    u16 some[kLanes] = {};
    __builtin_memcpy(some, from + i, static_cast<size_t>(m) * sizeof(u16));
    store_n(to + i, load_halves<kLanes>(some), m);
  });
}

void narrow(u16* to, const f32* from, i64 n) {
  steps(n, [&](i64 i, int m) __attribute__((always_inline)) {
    if (m == kLanes) return store_halves<kLanes>(to + i, load(from + i));
    u16 some[kLanes];
    store_halves<kLanes>(some, load_n(from + i, m));
    __builtin_memcpy(to + i, some, static_cast<size_t>(m) * sizeof(u16));
  });
}

}  // namespace

EDGEORT_KERNEL(HalfKernels, typed_halves, {widen, narrow})

}  // namespace edgeort
